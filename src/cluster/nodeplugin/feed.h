/* SPDX-License-Identifier: Apache-2.0 */
/*
 * taktd's changes as they happen: one connection that watches (rt.takt.Watch) and comes back when
 * it breaks. Used by takt-dra, to ask taktd anew when there is something new.
 */
#pragma once

#include <uv.h>

#include "base/err.h"

#define FEED_RETRY_MS 500
#define FEED_MESSAGE_MAX (16 * 1024) /* a change is a name and two short texts */

struct feed;

/* All on the loop. */
struct feed_handler {
	void (*began)(void *data); /* what happened before is to be asked for */
	void (*changed)(void *data, const char *what); /* Change.what of rt.takt.varlink */
	void (*lost)(void *data, const char *why); /* tried again by itself; also told each time */
};

/* `socket` and `handler` are borrowed. -ENOMEM. */
int feed_start(struct feed **ret, uv_loop_t *loop, const char *socket,
	const struct feed_handler *handler, void *data, struct err *err);

/* Nothing is told any more; the memory goes in the loop. Accepts NULL. */
void feed_stop(struct feed *f);
