/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Varlink's framing: a message is JSON text that a NUL ends. Used by whoever reads the door's
 * socket, on both sides; it sees bytes, never a socket.
 */
#pragma once

#include "base/bytes.h"

/* The longest message that the agent takes, with its NUL. */
#define API_MESSAGE_MAX (256 * 1024)
/* The longest reply that the agent writes and a client takes: List of some ten thousand. */
#define API_REPLY_MAX (16 * 1024 * 1024)

/*
 * 1: *ret is a message without its NUL, a view into *in, which moves past it and its NUL.
 * 0: no whole message yet, feed more. -EMSGSIZE: the peer broke the limit; nothing after that
 * can be read. *in and *ret change on 1 only. Source: varlink.org, "Protocol".
 */
int api_frame_next(struct bytes *in, struct bytes *ret);

/* The same with another limit than API_MESSAGE_MAX: a client reads up to API_REPLY_MAX. */
int api_frame_next_max(struct bytes *in, size_t max, struct bytes *ret);
