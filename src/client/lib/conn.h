/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection to the agent's socket: whole messages in and out, each within a time limit.
 * Used by libtakt's calls.
 */
#pragma once

#include <stdint.h>
#include <sys/un.h>

#include "base/bytes.h"
#include "base/err.h"

struct conn {
	int fd; /* -1: not connected */
	char *in; /* read, not yet handed out */
	size_t in_len, in_size;
	size_t in_used; /* the message that was handed out last */
};

#define CONN_NULL ((struct conn){ .fd = -1 })

void conn_fini(struct conn *c); /* accepts NULL; what is left can be used again */

/* When a wait that begins now is over; CONN_FOREVER for a negative time. */
#define CONN_FOREVER INT64_MAX
int64_t conn_deadline(int timeout_ms);

/*
 * Connects, unless it is connected to an agent that is still there. -ENOENT, -ECONNREFUSED: no
 * agent; -EACCES; -ETIMEDOUT.
 */
int conn_ready(struct conn *c, const struct sockaddr_un *to, int64_t deadline, struct err *err);

/* -ECONNRESET: the agent went away; -ETIMEDOUT. After an error the connection is closed. */
int conn_send(struct conn *c, struct bytes message, int64_t deadline, struct err *err);

/*
 * The next message without its NUL, a view that lives until the next call here. Errors as from
 * conn_send, and -EPROTO: longer than API_REPLY_MAX.
 */
int conn_receive(struct conn *c, int64_t deadline, struct bytes *ret, struct err *err);
