// SPDX-License-Identifier: Apache-2.0
#include "sim/sets.h"

#include <stdio.h>

static const int64_t periods_of_120[] = { 4, 5, 6, 8, 10, 12, 15, 20, 24, 30, 40, 60 };
static const int64_t periods_of_84[] = { 3, 4, 6, 7, 12, 14, 21, 28, 42 };
static const int64_t granularities[] = { 0, 0, 0, 1, 1, 2, 5 };

static int64_t draw(uint64_t *random, int64_t low, int64_t high)
{
	return low + (int64_t)(cbs_random(random) % (uint64_t)(high - low + 1));
}

static int64_t draw_period(uint64_t *random, int64_t hyperperiod)
{
	if (hyperperiod == 120)
		return periods_of_120[draw(random, 0, ARRAY_SIZE(periods_of_120) - 1)];
	return periods_of_84[draw(random, 0, ARRAY_SIZE(periods_of_84) - 1)];
}

/* Shares of the whole: as much as the next of `left` equals takes, give or take. */
struct task_set set_random(uint64_t *random)
{
	struct task_set set = { .n_cpus = (unsigned)draw(random, 1, 4) };
	int64_t permille = draw(random, 100, 1150) * set.n_cpus;

	set.n = (unsigned)draw(random, set.n_cpus == 1 ? 2 : set.n_cpus, set.n_cpus + 5);
	set.granularity = granularities[draw(random, 0, ARRAY_SIZE(granularities) - 1)];
	set.hyperperiod = draw(random, 0, 1) ? 120 : 84;
	for (unsigned i = 0; i < set.n; i++) {
		int64_t period = draw_period(random, set.hyperperiod);
		int64_t share = draw(random, 0, 2 * permille / (set.n - i));
		int64_t runtime = (share * period + 500) / 1000;
		int64_t deadline;

		runtime = runtime < 1 ? 1 : runtime > period ? period : runtime;
		deadline = draw(random, 0, 1) ? period : draw(random, runtime, period);
		permille -= runtime * 1000 / period;
		permille = permille < 0 ? 0 : permille;
		set.tasks[i] = (struct admit_task){
			.dl = { (nsec_t)runtime, (nsec_t)deadline, (nsec_t)period },
			.cores = 1,
			.guarantee = GUARANTEE_HARD,
		};
	}
	return set;
}

void set_print(const struct task_set *set)
{
	fprintf(stderr, "# %u CPUs, g %d:", set->n_cpus, (int)set->granularity);
	for (unsigned i = 0; i < set->n; i++) {
		const struct admit_task *t = &set->tasks[i];

		fprintf(stderr, " (%d,%d,%d%s)", (int)t->dl.runtime_ns, (int)t->dl.deadline_ns,
			(int)t->dl.period_ns, t->guarantee == GUARANTEE_HARD ? "" : ",soft");
	}
	fprintf(stderr, "\n");
}

/*
 * Server i first wakes so that its deadline is x after the meeting, and comes with what its density
 * allows for x. The victim is released then, or a little later.
 */
static void apply_meeting(struct cbs_setup *setup, unsigned victim, uint64_t *random)
{
	struct cbs_server *v = &setup->servers[victim];
	int64_t at = 0;

	for (unsigned i = 0; i < setup->n; i++)
		at = setup->servers[i].deadline > at ? setup->servers[i].deadline : at;
	v->offset = at + (draw(random, 0, 1) ? 0 : draw(random, 0, v->deadline));
	for (unsigned i = 0; i < setup->n; i++) {
		struct cbs_server *c = &setup->servers[i];
		int64_t window = v->offset + v->deadline - at;
		int64_t most = c->deadline < window ? c->deadline : window;
		int64_t x = draw(random, 0, 1) ? most : draw(random, 1, most);

		if (i == victim)
			continue;
		c->offset = at + x - c->deadline;
		c->brings = x * c->runtime / c->deadline;
		c->meets_at = at;
	}
	setup->until += at;
}

static void apply_pattern(struct cbs_setup *setup, enum pattern pattern, uint64_t *random)
{
	unsigned victim = (unsigned)draw(random, 0, setup->n - 1);

	for (unsigned i = 0; i < setup->n; i++) {
		struct cbs_server *c = &setup->servers[i];
		bool naps = pattern >= PATTERN_AIMED;

		c->overrun = pattern == PATTERN_PERIODIC	   ? CBS_OVERRUN_NEVER
			     : pattern <= PATTERN_VICTIM	   ? CBS_OVERRUN_ALWAYS
			     : naps && cbs_random(random) % 2 == 0 ? CBS_OVERRUN_ALWAYS
								   : CBS_OVERRUN_RANDOM;
		if (pattern >= PATTERN_OFFSET)
			c->offset = draw(random, 0, c->period);
		if (pattern >= PATTERN_SPORADIC)
			c->sleep_percent = (unsigned)draw(random, 0, naps ? 100 : 90);
		c->sleep = naps ? CBS_SLEEP_NAPS : CBS_SLEEP_LONG;
		c->aims_at =
			pattern == PATTERN_AIMED ? victim : (unsigned)draw(random, 0, setup->n - 1);
		if (i == victim && (pattern == PATTERN_VICTIM || pattern == PATTERN_AIMED ||
					   pattern == PATTERN_MEETING)) {
			c->overrun = CBS_OVERRUN_NEVER;
			c->sleep_percent = 0;
		}
	}
	if (pattern == PATTERN_MEETING)
		apply_meeting(setup, victim, random);
}

struct cbs_result set_run(const struct task_set *set, enum pattern pattern, uint64_t seed)
{
	struct cbs_setup setup = {
		.n_cpus = set->n_cpus,
		.n = set->n,
		.granularity = set->granularity,
		.until = 2 * set->hyperperiod + 60,
		.seed = seed,
	};

	for (unsigned i = 0; i < set->n; i++)
		setup.servers[i] = (struct cbs_server){
			.runtime = (int64_t)set->tasks[i].dl.runtime_ns,
			.deadline = (int64_t)set->tasks[i].dl.deadline_ns,
			.period = (int64_t)set->tasks[i].dl.period_ns,
		};
	apply_pattern(&setup, pattern, &seed);
	return cbs_run(&setup);
}

bool set_missed_in_naps(const struct task_set *set, unsigned runs, uint64_t seed)
{
	for (unsigned run = 0; run < runs; run++) {
		enum pattern pattern = PATTERN_AIMED + run % 3;
		struct cbs_result r = set_run(set, pattern, seed + run);

		for (unsigned i = 0; i < set->n; i++)
			if (r.overdue[i] > 0)
				return true;
	}
	return false;
}

struct admit_machine set_machine(const struct task_set *set)
{
	return (struct admit_machine){
		.n_cpus = set->n_cpus,
		.ceiling = { BW_ONE_CPU },
		.granularity_ns = (nsec_t)set->granularity,
	};
}

struct admit_set *set_hold(const struct task_set *set, unsigned n)
{
	cleanup_admit_set struct admit_set *s = NULL;
	struct admit_machine m = set_machine(set);
	uint32_t id;

	if (admit_set_create(&s, &m, NULL) < 0)
		return NULL;
	for (unsigned i = 0; i < n; i++)
		if (admit_hold(s, &set->tasks[i], &id, NULL) < 0)
			return NULL;
	return TAKE(s);
}
