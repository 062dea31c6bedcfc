/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Life of threads as the kernel tells it: who forked, ran a program, took a name, ended. The agent
 * implements the handler; the process-event connector is one source, and any other stands behind
 * the same two structs.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/err.h"
#include "core/model/resv.h"

struct event_handler {
	/* A thread (child_tid != child_pid) or a process began. */
	void (*forked)(struct event_handler *h, pid_t parent_pid, pid_t child_pid, pid_t child_tid);
	void (*execed)(struct event_handler *h, pid_t pid);
	void (*named)(
		struct event_handler *h, pid_t pid, pid_t tid, const char name[THREAD_NAME_LEN]);
	/* May come after another event of a thread that now has the same number: look. */
	void (*exited)(struct event_handler *h, pid_t pid, pid_t tid);
	/* All that has happened until now was handed over. */
	void (*caught_up)(struct event_handler *h);
	/* Events were lost: look at everything again. */
	void (*lost)(struct event_handler *h);
};

struct event_source;

/* Events of all processes of the machine; needs CAP_NET_ADMIN and the initial namespaces. */
int event_source_open(struct event_source **ret, struct event_handler *h, struct err *err);
void event_source_close(struct event_source *s);

/*
 * While nothing is watched, the kernel drops events before they wake us. Events from before a
 * change may still come.
 */
void event_source_listen(struct event_source *s, bool listen);

/* To be watched for reading; then event_source_read() hands over some of what is there. */
int event_source_fd(const struct event_source *s);
/* Returns whether there may be more. */
bool event_source_read(struct event_source *s);

/*
 * Hands the events of one datagram to the handler. Takes any bytes; returns how many events it
 * understood.
 */
unsigned event_parse(struct bytes datagram, struct event_handler *h);
