// SPDX-License-Identifier: Apache-2.0
/*
 * The tests against their own formulas, written out plainly and without caches, fixed point or
 * short cuts: a change that the simulator is too kind to notice shows here.
 */
#include "core/admit/admit_private.h"
#include "sim/sets.h"

#include "test.h"

#define SETS 30000

typedef __int128 wide;

static wide gcd(wide a, wide b)
{
	return b ? gcd(b, a % b) : a;
}

/* A common multiple of all deadlines: shares times this are whole. */
static wide common(const struct task_set *set)
{
	wide all = 1;

	for (unsigned i = 0; i < set->n; i++) {
		wide d = set->tasks[i].dl.deadline_ns;

		all = all / gcd(all, d) * d;
	}
	return all;
}

/* Q / D in 1 / `unit`. */
static wide share(const struct task_set *set, unsigned i, wide unit)
{
	wide d = set->tasks[i].dl.deadline_ns;

	return unit / d * (wide)set->tasks[i].dl.runtime_ns;
}

/* M - (M - 1) max u - sum u, of u = Q / D. */
static wide gfb_margin(const struct task_set *set, wide unit)
{
	wide sum = 0, max = 0;

	for (unsigned i = 0; i < set->n; i++) {
		wide one = share(set, i, unit);

		sum += one;
		max = one > max ? one : max;
	}
	return set->n_cpus * unit - (set->n_cpus - 1) * max - sum;
}

static int compare_down(const void *a, const void *b)
{
	wide x = *(const wide *)a, y = *(const wide *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

/* x of Devi & Anderson with overruns, rounded up; -1: the density is more than M. */
static int64_t tardiness_x(const struct task_set *set, wide unit)
{
	wide runtimes[SET_MAX], shares[SET_MAX], all = 0, work, speed = set->n_cpus * unit;
	int64_t largest;

	for (unsigned i = 0; i < set->n; i++) {
		runtimes[i] = set->tasks[i].dl.runtime_ns;
		shares[i] = share(set, i, unit);
		all += shares[i];
	}
	if (all > set->n_cpus * unit)
		return -1;
	qsort(runtimes, set->n, sizeof(*runtimes), compare_down);
	qsort(shares, set->n, sizeof(*shares), compare_down);
	work = set->n * set->granularity;
	largest = (int64_t)((all + unit - 1) / unit) - 1;
	for (int64_t i = 0; i < largest; i++) {
		work += runtimes[i];
		speed -= shares[i];
	}
	return (int64_t)((work * unit + speed - 1) / speed);
}

/* R_k of lag.c. */
static int64_t lag_written_out(const struct task_set *set, unsigned k, int64_t x, wide unit)
{
	int64_t q = (int64_t)set->tasks[k].dl.runtime_ns, d = (int64_t)set->tasks[k].dl.deadline_ns;
	wide all = 0;

	for (unsigned i = 0; i < set->n; i++)
		all += share(set, i, unit);
	all = all * d / unit;
	return q + (int64_t)(set->n_cpus * (wide)x - set->granularity + all - q) / set->n_cpus;
}

/* What server i can run in the window: e of a budget late by at most `late`, and what follows. */
static int64_t bcl_workload(const struct task_set *set, unsigned i, int64_t window, int64_t late)
{
	int64_t q = (int64_t)set->tasks[i].dl.runtime_ns, p = (int64_t)set->tasks[i].dl.period_ns;
	bool implicit = set->tasks[i].dl.deadline_ns == set->tasks[i].dl.period_ns;
	int64_t most = 0;

	for (int64_t e = 0; e <= q; e++) {
		int64_t rest = window + late - e, w = e + rest / p * q;

		if (implicit && rest >= p)
			w = e + rest * q / p;
		most = w > most ? w : most;
	}
	return most + set->granularity;
}

/* Rounds over all until nothing changes. all: as if hard; else soft ones late by x + Q. */
static bool bcl_written_out(const struct task_set *set, int64_t x, bool all, wide unit)
{
	bool changed = true, ok = false, fails[SET_MAX];
	int64_t late[SET_MAX];

	for (unsigned i = 0; i < set->n; i++) {
		int64_t d = (int64_t)set->tasks[i].dl.deadline_ns;

		late[i] = x + (int64_t)set->tasks[i].dl.runtime_ns;
		if (all && (x < 0 || late[i] > d))
			late[i] = d;
		fails[i] = all || lag_written_out(set, i, x, unit) > d;
	}
	while (changed && !ok) {
		changed = false;
		for (unsigned k = 0; k < set->n; k++) {
			int64_t c = (int64_t)set->tasks[k].dl.runtime_ns, sum = 0, r;
			int64_t d = (int64_t)set->tasks[k].dl.deadline_ns;

			for (unsigned i = 0; i < set->n; i++) {
				int64_t w = bcl_workload(set, i, d, late[i]);

				sum += i == k ? 0 : w < d - c + 1 ? w : d - c + 1;
			}
			r = c + sum / set->n_cpus;
			if (r > d)
				continue;
			changed = changed || fails[k] || r < late[k];
			fails[k] = false;
			late[k] = r < late[k] ? r : late[k];
		}
		ok = true;
		for (unsigned k = 0; k < set->n; k++)
			if (fails[k] && (all || set->tasks[k].guarantee == GUARANTEE_HARD))
				ok = false;
	}
	return ok;
}

TEST(gfb_is_its_formula)
{
	uint64_t seed = 11;
	unsigned yes = 0;

	for (unsigned i = 0; i < SETS; i++) {
		struct task_set set = set_random(&seed);
		cleanup_admit_set struct admit_set *s = set_hold(&set, set.n);
		wide margin = gfb_margin(&set, common(&set));
		struct admit_load l;

		CHECK(s);
		l = admit_set_load(s, NULL, (nsec_t)set.granularity);
		CHECK((margin >= 0 && !set.granularity) || !gfb_proves(&l));
		/* at 0 the rounding may refuse */
		CHECK(margin <= 0 || set.granularity || gfb_proves(&l));
		yes += margin > 0;
	}
	CHECK(yes > 1000);
}

TEST(tardiness_is_its_formula_and_less_than_one_unit_more)
{
	uint64_t seed = 12;
	unsigned known = 0;

	for (unsigned i = 0; i < SETS; i++) {
		struct task_set set = set_random(&seed);
		cleanup_admit_set struct admit_set *s = set_hold(&set, set.n);
		int64_t x = tardiness_x(&set, common(&set));
		struct admit_load l;
		nsec_t late = 0;

		CHECK(s);
		if (set.n_cpus == 1)
			continue;
		l = admit_set_load(s, NULL, (nsec_t)set.granularity);
		CHECK(tardiness_of_all(&l, &late) == (x >= 0));
		CHECK(x < 0 || late == (nsec_t)x || late == (nsec_t)x + 1);
		known += x >= 0;
	}
	CHECK(known > 1000);
}

TEST(lag_is_its_formula)
{
	uint64_t seed = 14;
	unsigned yes = 0;

	for (unsigned i = 0; i < SETS; i++) {
		struct task_set set = set_random(&seed);
		cleanup_admit_set struct admit_set *s = set_hold(&set, set.n);
		wide unit = common(&set);
		struct admit_load l;
		bool fits = true;
		nsec_t late;

		CHECK(s);
		l = admit_set_load(s, NULL, (nsec_t)set.granularity);
		if (set.n_cpus == 1 || !tardiness_of_all(&l, &late))
			continue;
		for (unsigned k = 0; k < set.n; k++)
			fits = fits && lag_written_out(&set, k, (int64_t)late, unit) <=
					       (int64_t)set.tasks[k].dl.deadline_ns;
		CHECK(lag_proves(&l, &late).yes == fits);
		yes += fits;
	}
	CHECK(yes > 1000);
}

TEST(bcl_is_its_formula_with_soft_ones_too)
{
	uint64_t seed = 13;
	unsigned yes = 0, by_tardiness = 0;

	for (unsigned i = 0; i < SETS; i++) {
		struct task_set set = set_random(&seed);
		cleanup_admit_set struct admit_set *s = NULL;
		wide unit = common(&set);
		bool all, hard, known;
		struct admit_load l;
		nsec_t late = 0;

		if (set.n_cpus == 1)
			continue;
		for (unsigned k = 0; k < set.n; k++)
			if (cbs_random(&seed) % 3)
				set.tasks[k].guarantee = GUARANTEE_SOFT;
		s = set_hold(&set, set.n);
		CHECK(s);
		l = admit_set_load(s, NULL, (nsec_t)set.granularity);
		known = tardiness_of_all(&l, &late);
		all = bcl_written_out(&set, known ? (int64_t)late : INT32_MIN, true, unit);
		hard = all ||
		       (l.sums.hard && known && bcl_written_out(&set, (int64_t)late, false, unit));
		if (bcl_proves(&l, known ? &late : NULL).yes != hard)
			set_print(&set);
		l.work = ADMIT_WORK_MAX;
		CHECK(bcl_proves(&l, known ? &late : NULL).yes == hard);
		yes += hard;
		by_tardiness += hard && !all;
	}
	NOTE("%u proven, %u of them only by the tardiness of the soft ones", yes, by_tardiness);
	CHECK(by_tardiness > 10);
}
