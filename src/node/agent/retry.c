// SPDX-License-Identifier: Apache-2.0
/*
 * Tries again what the kernel refuses for now, by a timer that runs only then: after a pause that
 * grows, or sooner where it is known when something comes free.
 */
#include "base/cleanup.h"
#include "node/agent/agent.h"

#define RETRY_FIRST_MS 1
#define RETRY_MAX_MS 1000

/* Whether everything is taken back. */
static bool settle(struct agent *a)
{
	struct err gave_up = ERR_NULL;
	bool all = true;

	for (enum placement i = 0; i < _PLACEMENT_MAX; i++)
		if (a->kerns[i] && a->kerns[i]->ops->settle)
			all &= a->kerns[i]->ops->settle(a->kerns[i], &gave_up);
	if (gave_up.text[0])
		agent_log("%s", gave_up.text);
	return all;
}

static void wait_to_retry(struct agent *a, uint64_t ms);

static void retry(uv_timer_t *timer)
{
	struct agent *a = container_of(timer, struct agent, retry);
	unsigned waited = a->retry_ms;

	a->retry_ms = 0;
	for (struct promise *p = a->promises.first; p; p = p->next)
		if ((p->refused[0] || p->owing) && p->bindings)
			enforce_threads(a, p);
	enforce_hold(a);
	if (!settle(a))
		enforce_start_retry(a);
	if (a->retry_ms) {
		a->retry_ms = 2 * waited < RETRY_MAX_MS ? 2 * waited : RETRY_MAX_MS;
		wait_to_retry(a, a->retry_ms);
	}
}

/* Where something comes free sooner, then. */
static void wait_to_retry(struct agent *a, uint64_t ms)
{
	uint64_t ending = ceiling_ending_ms(a);

	uv_timer_start(&a->retry, retry, ending && ending < ms ? ending : ms, 0);
}

void enforce_start_retry(struct agent *a)
{
	if (a->retry_ms) {
		wait_to_retry(a, uv_timer_get_due_in(&a->retry));
		return;
	}
	a->retry_ms = RETRY_FIRST_MS;
	wait_to_retry(a, a->retry_ms);
}
