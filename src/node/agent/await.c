// SPDX-License-Identifier: Apache-2.0
/*
 * A runtime that sets the policy of a container's first thread itself, between Bind and exec: its
 * call must find room, or nothing to change. ARCHITECTURE.md, "The runtime may set the policy".
 */
#include "node/agent/agent.h"

/* Of a shareable promise, for the first container alone: its one server is then taken. */
static bool awaits(const struct promise *p, const struct binding *b)
{
	return b && b == p->bindings && b->via == VIA_NRI && !b->running && !b->early &&
	       p->settled && p->state != RESV_DRAINING && p->placement == PLACEMENT_SHARED &&
	       p->request.threads == THREADS_MAIN && p->n_admitted > 0;
}

/* For its thread, and for one thread of another promise that moves at that moment. */
static bool room_to_await(struct agent *a, const struct promise *p)
{
	bw_t held = holder_held(a->holder), more = held;
	uint64_t largest = 0;
	bool fits;

	for (const struct promise *q = a->promises.first; q; q = q->next)
		if (promise_server_bandwidth(q).q20 > largest)
			largest = promise_server_bandwidth(q).q20;
	more.q20 += promise_server_bandwidth(p).q20 + largest;
	fits = holder_set(a->holder, more) == 0;
	holder_set(a->holder, held);
	return fits;
}

static void put_in_early(struct agent *a, struct promise *p)
{
	p->bindings->early = true;
	enforce_threads(a, p);
}

static void put_in_awaited(struct agent *a, const struct binding *but)
{
	for (struct promise *p = a->promises.first; p; p = p->next)
		if (p->bindings != but && awaits(p, p->bindings))
			put_in_early(a, p);
}

void await_runtime(struct agent *a, struct promise *p, struct binding *b)
{
	if (a->probe.unlimited || (!awaits(p, b) && b == p->bindings))
		return;
	/* The try takes all the room for some microseconds: nobody may be waited for then. And who
	 * shares a promise must not take the server that the first one's runtime is to have. */
	put_in_awaited(a, b);
	if (awaits(p, b) && !room_to_await(a, p))
		put_in_early(a, p);
}

void await_nobody(struct agent *a)
{
	put_in_awaited(a, NULL);
}
