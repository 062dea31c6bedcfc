/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of taktd's control socket in the loop: a few connections that stay open, one call at a time
 * on each. Used by takt-dra, which has no other way to the machine and ignores SIGPIPE.
 */
#pragma once

#include <jansson.h>
#include <uv.h>

#include "base/err.h"

#define DOOR_TIMEOUT_MS 10000 /* of a call once it is sent; well below the kubelet's 45 s */
#define DOOR_CONNECTIONS 4
#define DOOR_WAITING_MAX 4096 /* calls that wait for a connection */

struct door;

/* Nothing is connected before the first call. `socket` is borrowed. -ENAMETOOLONG, -ENOMEM. */
int door_create(struct door **ret, uv_loop_t *loop, const char *socket, struct err *err);
/* No callback comes any more; the memory goes when the loop has run some turns. Accepts NULL. */
void door_destroy(struct door *d);

/*
 * How it ended, on the loop and never from inside door_call(): code 0 and the reply's parameters,
 * which live until the callback returns; or a negative errno by takt_call()'s table (takt/takt.h)
 * and the sentence. -ENOENT, -ECONNREFUSED: taktd is not there; -ECONNRESET: it went away, and what
 * was asked may have been done; -ETIMEDOUT.
 */
typedef void door_done(void *data, int code, const json_t *reply, const char *error);

/*
 * `parameters` is taken over; NULL is out of memory while it was made. A call that is lost with a
 * connection that was already open is asked once more, so it must be one that may come twice: those
 * of rt.takt.varlink may. -ENOMEM, -ENOBUFS (too many wait): `done` does not come.
 */
int door_call(struct door *d, const char *method, json_t *parameters, door_done *done, void *data);
