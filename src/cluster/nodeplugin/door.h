/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of taktd's control socket that do not block the loop: each waits on libuv's worker threads.
 * Used by takt-dra, which has no other way to the machine.
 */
#pragma once

#include <jansson.h>
#include <uv.h>

#include "base/err.h"

#define DOOR_TIMEOUT_MS 10000 /* well below the 45 s that the kubelet waits */

/*
 * How it ended, on the loop: code 0 and the reply's parameters, which live until the callback
 * returns; or takt_call()'s negative errno and the sentence.
 */
typedef void door_done(void *data, int code, const json_t *reply, const char *error);

/* `parameters` is taken over. -ENOMEM: `done` does not come. */
int door_call(uv_loop_t *loop, const char *socket, const char *method, json_t *parameters,
	door_done *done, void *data);
