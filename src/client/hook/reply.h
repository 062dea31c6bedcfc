/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The call rt.takt.Bind as bytes, and what its reply means. For takt-hook.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "client/hook/state.h"

#define BIND_CALL_MAX (8 * STATE_ID_MAX)
#define BIND_REPLY_MAX (256 << 10)

/* Exit codes of every program of the house; the names are sysexits.h's. */
enum hook_exit {
	HOOK_OK = 0,
	HOOK_USAGE = 64,
	HOOK_UNAVAILABLE = 69, /* the agent cannot be reached */
	HOOK_FAILED = 70,
	HOOK_NO = 75, /* the reservation is not to be had now */
	HOOK_DENIED = 77,
};

/* The message with its NUL; its length, or 0: does not fit. */
size_t bind_call_write(
	char buf[static BIND_CALL_MAX], const char *name, const struct oci_state *state);

/* The message comes without its NUL. Anything but HOOK_OK has a sentence in err. */
enum hook_exit bind_reply_read(struct bytes reply, struct err *err);
