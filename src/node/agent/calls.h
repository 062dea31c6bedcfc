/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files that answer calls share: the methods themselves and their common answers. Used
 * by calls.c, intake.c and bind.c.
 */
#pragma once

#include <jansson.h>

#include "node/agent/door.h"
#include "node/agent/promise.h"

void call_reserve(struct agent *a, struct door_call *call);
void call_release(struct agent *a, struct door_call *call);
void call_bind(struct agent *a, struct door_call *call);
void call_attach(struct agent *a, struct door_call *call);
void call_detach(struct agent *a, struct door_call *call);
void call_tell(struct agent *a, struct door_call *call); /* told.c */

/* NULL: none of that name, and the call is answered. */
struct promise *calls_find(struct door_call *call, const char *name);

/* A new reference; NULL: out of memory. */
json_t *calls_encode(const struct agent *a, const struct promise *p);
void calls_reply_reservation(struct door_call *call, const struct promise *p);

/* A connection for which door_tell_end() was asked is closed. */
void calls_peer_gone(struct agent *a, const struct peer *peer);
