// SPDX-License-Identifier: Apache-2.0
/*
 * Calls that cannot be answered yet, for a reason that is over in a moment: they are asked again then,
 * in the order in which they came, as if they came then.
 */
#include "node/agent/agent.h"

#include "base/cleanup.h"
#include "node/agent/door.h"

#define PUT_OFF_MAX 3

static void on_due(uv_timer_t *timer);

static void start_timer(struct agent *a)
{
	uint64_t now = uv_now(&a->loop), first = UINT64_MAX;

	for (const struct door_call *call = a->later; call; call = call->next)
		if (call->due_ms < first)
			first = call->due_ms;
	if (a->later)
		uv_timer_start(&a->later_timer, on_due, first > now ? first - now : 0, 0);
}

static void append(struct agent *a, struct door_call *call)
{
	struct door_call **last = &a->later;

	while (*last)
		last = &(*last)->next;
	*last = call;
	call->next = NULL;
}

static void on_due(uv_timer_t *timer)
{
	struct agent *a = container_of(timer, struct agent, later_timer);
	struct door_call *call = TAKE(a->later), *next;

	for (; call; call = next) {
		next = call->next;
		if (call->due_ms > uv_now(&a->loop))
			append(a, call);
		else if (call->peer)
			calls_dispatch(a, call);
		else
			door_error(call, API_FAILED, NULL, "who asked has gone");
	}
	start_timer(a);
}

void later_ask(struct agent *a, struct door_call *call, uint64_t ms)
{
	call->due_ms = uv_now(&a->loop) + ms;
	call->times_later++;
	append(a, call);
	start_timer(a);
}

bool later_put_off(struct agent *a, struct door_call *call, uint64_t ms)
{
	if (call->times_later == PUT_OFF_MAX)
		return false;
	later_ask(a, call, ms);
	return true;
}

void later_stop(struct agent *a)
{
	struct door_call *call = TAKE(a->later), *next;

	for (; call; call = next) {
		next = call->next;
		door_error(call, API_FAILED, NULL, "taktd is ending: ask again");
	}
}
