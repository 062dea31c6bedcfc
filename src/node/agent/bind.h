/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ties containers and programs to promises. Used by the calls, by follow.c and by recover.c.
 */
#pragma once

#include "api/params.h"
#include "node/agent/agent.h"
#include "node/agent/door.h"

/* Its first process has begun another program since it was bound: its own. */
void bind_check_running(struct binding *b);

/* Prepares the kernel and the own socket for one of its bindings; undone by follow_unbind(). */
int bind_prepare(struct agent *a, struct promise *p, struct binding *b, struct err *err);

/* Looks the process up. -ESRCH: it is not there. */
int bind_create(struct binding **ret, const struct api_bind *asked, struct err *err);

/*
 * Ties `b`, which it takes over, to a promise that is free for it, and begins to write it down; then
 * `done`. On an error the promise is as before.
 */
int bind_tie(struct agent *a, struct promise *p, struct binding *b, commit_done_fn *done,
	void *context, struct err *err);

/*
 * The binding is not there any more, or was not written down; with the last one go the own socket and
 * the state. No thread of it is under the promise.
 */
void bind_end(struct agent *a, struct promise *p, struct binding *b);

/* Answers that something else has it. */
void bind_refuse_held(struct door_call *call, const struct promise *p);

/*
 * Processes can be followed, and the caller numbers them as this machine does; false: the call is
 * answered.
 */
bool bind_can_follow(const struct agent *a, struct door_call *call, const char *name);

/* The door's word for an error of bind_create() or bind_tie(). */
enum api_error bind_error(int code);
