// SPDX-License-Identifier: Apache-2.0
/*
 * What is wrong with a promise right now: the first of all that can be, in one sentence. A promise
 * that is not kept must not look like one that is.
 */
#include "node/agent/agent.h"

#include <stdio.h>
#include <string.h>

#include "core/model/cpus.h"
#include "node/agent/commit.h"

#define UNHELD_NS (2 * NSEC_PER_SEC) /* what comes back by itself is no trouble */

static const char *of_bindings(const struct promise *p)
{
	for (const struct binding *b = p->bindings; b; b = b->next)
		if (b->trouble[0])
			return b->trouble;
	return "";
}

/* What admission counted with, and is not there. */
static struct cpus missing_cpus(const struct agent *a, const struct promise *p)
{
	struct cpus counted =
		p->placement == PLACEMENT_PINNED ? room_cpus(p) : a->probe.root_domain;

	return cpus_without(&counted, &a->usable);
}

static bool has_idle_servers(const struct promise *p)
{
	unsigned on = 0;

	for (unsigned i = 0; i < p->n_threads; i++)
		on += p->threads[i].on;
	return p->placement != PLACEMENT_PINNED && on < p->request.cores;
}

static bool is_unheld(const struct agent *a)
{
	return a->unheld_since_ns && uv_hrtime() - a->unheld_since_ns > UNHELD_NS &&
	       !ceiling_ending_ms(a);
}

static void find(
	const struct agent *a, const struct promise *p, char ret[static PROMISE_REASON_MAX])
{
	struct cpus missing = missing_cpus(a, p);
	char cpus[CPUS_TEXT_MAX];
	nsec_t bound;

	ret[0] = '\0';
	if (p->unkept[0])
		snprintf(ret, PROMISE_REASON_MAX, "%s", p->unkept);
	else if (of_bindings(p)[0])
		snprintf(ret, PROMISE_REASON_MAX, "%s", of_bindings(p));
	else if (p->refused[0])
		snprintf(ret, PROMISE_REASON_MAX, "%s", p->refused);
	else if (p->owing)
		snprintf(ret, PROMISE_REASON_MAX,
			"a thread of it has used more than its last budget, and the kernel takes it "
			"again only when that is paid back: in a moment");
	else if (p->confined)
		snprintf(ret, PROMISE_REASON_MAX,
			"its container's CPUs were narrowed, and it was promised on all of CPUs "
			"%.100s: widen its cpuset again",
			cpus_format(cpus, &a->probe.root_domain));
	else if (cpus_count(&missing))
		snprintf(ret, PROMISE_REASON_MAX,
			"CPUs %.100s, which it was promised on, are offline or out of taktd's cpuset",
			cpus_format(cpus, &missing));
	else if (p->request.guarantee == GUARANTEE_HARD && !room_bound(a, p, &bound))
		snprintf(ret, PROMISE_REASON_MAX,
			"what was proven when it was promised does not hold on this machine as it is "
			"now (see granularity and other-deadline in `takt doctor`): reserve it anew");
	else if (is_unheld(a) && has_idle_servers(p))
		snprintf(ret, PROMISE_REASON_MAX,
			"other programs have taken what is promised and not running (see held in "
			"`takt doctor`)");
}

void trouble_look(struct agent *a, struct promise *p)
{
	struct change c = { agent_now_ms(), p->request.name, change_name(CHANGE_TROUBLE),
		p->trouble };
	char now[PROMISE_REASON_MAX];

	find(a, p, now);
	if (strcmp(p->trouble, now) == 0)
		return;
	memcpy(p->trouble, now, sizeof(now));
	if (*now)
		agent_announce(a, &c);
}

/* Once in a look: what comes and goes faster is in the log alone. */
static void store_trouble(struct agent *a, struct promise *p)
{
	struct commit *c;

	if (strcmp(p->trouble, p->trouble_stored) == 0)
		return;
	c = commit_create(a, COMMIT_CHANGE, p->request.name);
	if (!c)
		return;
	memcpy(p->trouble_stored, p->trouble, sizeof(p->trouble));
	c->change = CHANGE_TROUBLE;
	snprintf(c->why, sizeof(c->why), "%s", p->trouble[0] ? p->trouble : "over");
	commit_start(c);
}

void trouble_look_all(struct agent *a)
{
	room_see_cpus(a);
	for (struct promise *p = a->promises.first; p; p = p->next) {
		if (p->state == RESV_DRAINING)
			continue;
		trouble_look(a, p);
		store_trouble(a, p);
	}
}
