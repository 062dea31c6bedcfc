// SPDX-License-Identifier: Apache-2.0
#include "sim/cbs.h"

#include <string.h>

struct state {
	int64_t left; /* runtime left; below 0: overrun */
	int64_t due; /* absolute deadline */
	int64_t since; /* when it got what is left */
	int64_t wakes; /* its thread, when it is asleep */
	int64_t refill; /* when it is throttled */
	int64_t overrun; /* how far it will go this time */
	int64_t stop_at, nap_until; /* it sleeps, if it stops this time, when this is left; until */
	bool asleep, throttled, stops, started, ran;
	uint64_t tie;
};

struct sim {
	const struct cbs_setup *setup;
	struct state states[CBS_SERVERS_MAX];
	struct cbs_result result;
	uint64_t random;
	int64_t now;
};

/* splitmix64, Steele, Lea & Flood, OOPSLA 2014 */
uint64_t cbs_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static int64_t draw(struct sim *sim, int64_t below)
{
	return (int64_t)(cbs_random(&sim->random) % (uint64_t)below);
}

static int64_t next_period(const struct cbs_server *c, const struct state *s)
{
	return s->due - c->deadline + c->period;
}

/* When server i gets its next budget, as far as can be told. */
static int64_t next_budget(const struct sim *sim, unsigned i)
{
	const struct state *s = &sim->states[i];

	if (s->throttled)
		return s->refill;
	return s->asleep ? s->wakes : next_period(&sim->setup->servers[i], s);
}

/* Now and then in the overrun, or anywhere; else where the rest is just kept at the nap's end. */
static void plan_nap(struct sim *sim, const struct cbs_server *c, struct state *s)
{
	int64_t kept, until = next_budget(sim, c->aims_at);

	if (draw(sim, 4) == 0 || until <= sim->now)
		until = sim->now + 1 + draw(sim, c->period);
	kept = s->due > until ? (s->due - until) * c->runtime / c->deadline : 0;
	kept += draw(sim, 4) == 0;
	s->nap_until = until;
	switch (draw(sim, 4)) {
	case 0:
		s->stop_at = s->left > 0 ? draw(sim, s->left) : 0;
		break;
	case 1:
		s->stop_at = -draw(sim, s->overrun + 1);
		break;
	default:
		s->stop_at = kept < s->left ? kept : s->left - 1;
	}
}

/* What happens at the end of the budget that has just begun. */
static void plan_budget(struct sim *sim, const struct cbs_server *c, struct state *s)
{
	int64_t g = sim->setup->granularity;

	s->since = sim->now;
	s->ran = false;
	s->overrun = c->overrun == CBS_OVERRUN_NEVER	? 0
		     : c->overrun == CBS_OVERRUN_ALWAYS ? g
							: draw(sim, g + 1);
	s->stops = draw(sim, 100) < c->sleep_percent;
	if (c->meets_at > sim->now) {
		s->stops = true;
		s->stop_at = c->brings;
		s->nap_until = c->meets_at;
	} else if (c->sleep == CBS_SLEEP_NAPS)
		plan_nap(sim, c, s);
	else
		s->stop_at = draw(sim, 2) || s->left <= 0 ? 0 : draw(sim, s->left);
	s->tie = cbs_random(&sim->random);
}

static void start_afresh(struct sim *sim, const struct cbs_server *c, struct state *s)
{
	s->due = sim->now + c->deadline;
	s->left = c->runtime;
	s->started = true;
}

static void replenish(struct sim *sim, const struct cbs_server *c, struct state *s)
{
	s->throttled = false;
	while (s->left <= 0) {
		s->due += c->period;
		s->left += c->runtime;
	}
	if (s->due < sim->now)
		start_afresh(sim, c, s);
	if (!s->asleep)
		plan_budget(sim, c, s);
}

static void throttle(struct sim *sim, const struct cbs_server *c, struct state *s)
{
	s->throttled = true;
	s->refill = next_period(c, s);
	if (s->refill <= sim->now)
		replenish(sim, c, s);
}

static void wake(struct sim *sim, const struct cbs_server *c, struct state *s)
{
	bool constrained = c->deadline < c->period, overflow;

	s->asleep = false;
	if (s->throttled)
		return;
	if (s->started && constrained && s->due < sim->now && sim->now < next_period(c, s)) {
		s->left = 0;
		throttle(sim, c, s);
		return;
	}
	overflow = s->left * c->deadline > (s->due - sim->now) * c->runtime;
	if (!s->started || s->due < sim->now || (overflow && !constrained))
		start_afresh(sim, c, s);
	else if (overflow)
		s->left = (s->due - sim->now) * c->runtime / c->deadline;
	plan_budget(sim, c, s);
	if (s->left <= 0 && s->overrun == 0)
		throttle(sim, c, s);
}

static void fall_asleep(struct sim *sim, const struct cbs_server *c, struct state *s)
{
	s->asleep = true;
	s->wakes = c->sleep == CBS_SLEEP_NAPS
			   ? s->nap_until
			   : next_period(c, s) + draw(sim, 2) * draw(sim, 2 * c->period);
	if (s->wakes < sim->now)
		s->wakes = sim->now;
	if (s->left <= 0)
		throttle(sim, c, s);
}

static bool runnable(const struct state *s)
{
	return !s->asleep && !s->throttled;
}

static void wake_all(struct sim *sim)
{
	for (unsigned i = 0; i < sim->setup->n; i++) {
		struct state *s = &sim->states[i];

		if (s->throttled && s->refill <= sim->now)
			replenish(sim, &sim->setup->servers[i], s);
		if (s->asleep && s->wakes <= sim->now)
			wake(sim, &sim->setup->servers[i], s);
	}
}

static bool before(const struct state *a, const struct state *b)
{
	return a->due != b->due ? a->due < b->due : a->tie < b->tie;
}

/* Marks who runs in this unit. */
static unsigned choose(struct sim *sim, bool *runs)
{
	unsigned n = 0;

	memset(runs, 0, CBS_SERVERS_MAX * sizeof(*runs));
	for (unsigned cpu = 0; cpu < sim->setup->n_cpus; cpu++, n++) {
		int best = -1;

		for (unsigned i = 0; i < sim->setup->n; i++)
			if (runnable(&sim->states[i]) && !runs[i] &&
				(best < 0 || before(&sim->states[i], &sim->states[best])))
				best = (int)i;
		if (best < 0)
			break;
		runs[best] = true;
	}
	return n;
}

/* Whoever is taken off its CPU in an overrun is found out then (put_prev_task_dl). */
static bool throttle_preempted(struct sim *sim, const bool *runs)
{
	bool any = false;

	for (unsigned i = 0; i < sim->setup->n; i++) {
		struct state *s = &sim->states[i];

		if (!runnable(s) || runs[i] || s->left > 0 || !s->ran)
			continue;
		throttle(sim, &sim->setup->servers[i], s);
		any = true;
	}
	return any;
}

static void note(struct sim *sim, unsigned i)
{
	const struct state *s = &sim->states[i];
	int64_t late = sim->now - s->due;
	int64_t overdue = late;

	if (s->since + sim->setup->servers[i].deadline > s->due)
		overdue = sim->now - s->since - sim->setup->servers[i].deadline;

	if (late > sim->result.lateness[i])
		sim->result.lateness[i] = late;
	if (overdue > sim->result.overdue[i])
		sim->result.overdue[i] = overdue;
}

static void run_unit(struct sim *sim, unsigned i)
{
	const struct cbs_server *c = &sim->setup->servers[i];
	struct state *s = &sim->states[i];

	s->left--;
	s->ran = true;
	sim->result.ran[i]++;
	if (s->left == 0 || (s->left > 0 && s->stops && s->left == s->stop_at))
		note(sim, i);
	if (s->stops && s->left == s->stop_at)
		fall_asleep(sim, c, s);
	else if (s->left <= -s->overrun)
		throttle(sim, c, s);
}

static void sim_init(struct sim *sim, const struct cbs_setup *setup)
{
	*sim = (struct sim){ .setup = setup, .random = setup->seed };
	for (unsigned i = 0; i < setup->n; i++) {
		sim->states[i].asleep = true;
		sim->states[i].wakes = setup->servers[i].offset;
		sim->result.lateness[i] = sim->result.overdue[i] = INT64_MIN;
	}
}

struct cbs_result cbs_run(const struct cbs_setup *setup)
{
	bool runs[CBS_SERVERS_MAX];
	struct sim sim;

	sim_init(&sim, setup);
	while (sim.now < setup->until) {
		wake_all(&sim);
		do
			choose(&sim, runs);
		while (throttle_preempted(&sim, runs));
		sim.now++;
		for (unsigned i = 0; i < setup->n; i++)
			if (runs[i])
				run_unit(&sim, i);
	}
	for (unsigned i = 0; i < setup->n; i++)
		if (runnable(&sim.states[i]) && sim.states[i].left > 0)
			note(&sim, i);
	return sim.result;
}
