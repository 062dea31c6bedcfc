// SPDX-License-Identifier: Apache-2.0
#include "core/model/plan.h"

#include <fnmatch.h>

bool plan_wants(const struct resv_request *r, const struct plan_thread *t)
{
	if (t->by_hand)
		return true;
	if (t->waits)
		return false;
	switch (r->threads) {
	case THREADS_MAIN:
		return t->main;
	case THREADS_ALL:
		return true;
	case THREADS_MATCH:
		for (unsigned i = 0; i < r->n_patterns; i++)
			if (fnmatch(r->patterns[i], t->name, 0) == 0)
				return true;
		return false;
	default:
		return false;
	}
}

/* 0 comes first; 3 gets none. */
static unsigned rank(const struct resv_request *r, const struct plan_thread *t)
{
	if (t->by_hand)
		return 0;
	if (!plan_wants(r, t))
		return 3;
	return t->on ? 1 : 2;
}

/* Ranks below `limit`, and of that rank the first `left`, hold a server. */
struct cut {
	unsigned limit;
	size_t left;
};

static struct cut find_cut(
	const struct resv_request *r, const struct plan_thread *threads, size_t n)
{
	size_t count[4] = { 0 };
	struct cut cut = { 0, r->cores };

	for (size_t i = 0; i < n; i++)
		count[rank(r, &threads[i])]++;
	while (cut.limit < 3 && count[cut.limit] <= cut.left)
		cut.left -= count[cut.limit++];
	return cut;
}

size_t plan_threads(const struct resv_request *r, const struct plan_thread *threads, size_t n,
	struct plan_step *ret)
{
	size_t steps = 0;

	for (enum plan_kind kind = PLAN_THREAD_OFF; kind <= PLAN_THREAD_ON; kind++) {
		struct cut cut = find_cut(r, threads, n);

		for (size_t i = 0; i < n; i++) {
			unsigned at = rank(r, &threads[i]);
			bool wish = at < cut.limit;

			if (at == cut.limit && at < 3 && cut.left > 0) {
				wish = true;
				cut.left--;
			}
			if (threads[i].on != wish && (kind == PLAN_THREAD_ON) == wish)
				ret[steps++] = (struct plan_step){ kind, i };
		}
	}
	return steps;
}
