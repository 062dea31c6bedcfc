/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One message to the agent and one back, over its unix socket and before a deadline; and the
 * runtime's message on standard input. For takt-hook.
 */
#pragma once

#include "client/hook/reply.h"
#include "core/model/units.h"

/* CLOCK_MONOTONIC. */
nsec_t call_now_ns(void);

/* Reads the container's state to its end. HOOK_USAGE: it is too long or does not end in time. */
enum hook_exit call_read_state(
	int fd, nsec_t deadline_ns, char buf[static STATE_MAX], struct bytes *ret, struct err *err);

/*
 * Sends `message`, which ends in NUL, to the socket and waits for the reply; *ret is a view into
 * buf without the NUL. HOOK_UNAVAILABLE: nobody answers there, nor two seconds later, or not in time.
 */
enum hook_exit call_agent(const char *path, nsec_t deadline_ns, struct bytes message,
	char buf[static BIND_REPLY_MAX], struct bytes *ret, struct err *err);
