/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends promises whose claims are over, where no container holds them any more: for a claim that
 * finds the node full, and from time to time for what was left over. Used by prepare.c,
 * unprepare.c, errand.c and main.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct plugin;
struct sweep;

struct reclaimed {
	unsigned released; /* promises that are not there any more */
	unsigned dying; /* whose claims are over, and which a container still holds */
	bool blind; /* taktd or the API server did not answer for all of them */
};

typedef void reclaim_done(void *data, const struct reclaimed *result);

/*
 * Looks at every promise that was made for a claim, asks the API server for the claim, and releases
 * it where the claim is over and nobody holds it. Where all that are over are still held, waits for
 * the first of them to come free, at most wait_ms. `done` comes once, on the loop. -ENOMEM: it does
 * not come.
 */
int reclaim_start(struct plugin *p, uint64_t wait_ms, reclaim_done *done, void *data);

/* The one with that data waits for nothing any more: `done` comes once it has its answers. */
void reclaim_hurry(struct plugin *p, const void *data);

/* That claim is being prepared: what was seen of it before does not count. */
void reclaim_spare(struct plugin *p, const char *uid);

/* The slow look that finds what was left over: the next one is soon, and it goes on by itself. */
void reclaim_soon(struct plugin *p);
void reclaim_stop(struct plugin *p);
