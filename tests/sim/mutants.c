// SPDX-License-Identifier: Apache-2.0
/*
 * Tests that accept too much, each wrong in one point that admit.h counts: the simulator must find
 * them out, or it would not find out ours.
 */
#include "core/admit/admit_private.h"
#include "sim/sets.h"

#include "test.h"

#define SETS 6000
#define NAPS 60 /* runs of each set that is accepted wrongly */

typedef bool (*mutant_fn)(const struct task_set *set);

static int64_t deadline_of(const struct task_set *set, unsigned i)
{
	return (int64_t)set->tasks[i].dl.deadline_ns;
}

static int64_t period_of(const struct task_set *set, unsigned i)
{
	return (int64_t)set->tasks[i].dl.period_ns;
}

static int64_t runtime_of(const struct task_set *set, unsigned i)
{
	return (int64_t)set->tasks[i].dl.runtime_ns;
}

/* Jobs with release and deadline in a window of this length, if they are P apart. */
static int64_t jobs_within(const struct task_set *set, unsigned i, int64_t t)
{
	return t < deadline_of(set, i) ? 0 : (t - deadline_of(set, i)) / period_of(set, i) + 1;
}

/* One CPU: the demand of threads that never sleep with a budget left. */
static bool demand_of_the_sleepless(const struct task_set *set)
{
	for (int64_t t = 1; t <= 4 * set->hyperperiod; t++) {
		int64_t demand = 0, due = 0;

		for (unsigned i = 0; i < set->n; i++) {
			demand += jobs_within(set, i, t) * runtime_of(set, i);
			due += t >= deadline_of(set, i);
		}
		if (due && demand + (due - 1) * set->granularity > t)
			return false;
	}
	return set->n_cpus == 1;
}

/* dbf of edf.c, but g only for those with a whole deadline in the window. */
static bool demand_with_late_overruns(const struct task_set *set)
{
	for (int64_t t = 1; t <= 4 * set->hyperperiod; t++) {
		double demand = 0;
		int64_t due = 0;

		for (unsigned i = 0; i < set->n; i++) {
			double d = (double)deadline_of(set, i);
			double part = (double)(t % period_of(set, i));
			double q = (double)runtime_of(set, i);

			demand += (double)(t / period_of(set, i)) * q;
			demand += q * (part < d ? part / d : 1);
			due += t >= deadline_of(set, i);
		}
		if (due && demand + (double)((due - 1) * set->granularity) > (double)t + 0.999)
			return false;
	}
	return set->n_cpus == 1;
}

/* W_i with whole jobs, the last ending with the window, and a carry-in had by its slack. */
static int64_t work_of_the_sleepless(
	const struct task_set *set, unsigned i, int64_t window, int64_t slack)
{
	int64_t jobs = jobs_within(set, i, window), q = runtime_of(set, i);
	int64_t carry = window - jobs * period_of(set, i) - slack;

	carry = carry < 0 ? 0 : carry < q ? carry : q;
	return jobs * q + carry + set->granularity;
}

static bool bcl_of_the_sleepless(const struct task_set *set)
{
	int64_t slack[SET_MAX] = { 0 };
	bool changed = true, ok = false;

	while (changed && !ok) {
		changed = false;
		ok = true;
		for (unsigned k = 0; k < set->n; k++) {
			int64_t window = deadline_of(set, k), sum = 0, spare;
			int64_t cap = window - runtime_of(set, k) + 1;

			for (unsigned i = 0; i < set->n; i++) {
				int64_t w = work_of_the_sleepless(set, i, window, slack[i]);

				sum += i == k ? 0 : w < cap ? w : cap;
			}
			spare = cap - 1 - sum / set->n_cpus;
			ok = ok && spare >= 0;
			changed = changed || spare > slack[k];
			slack[k] = spare > slack[k] ? spare : slack[k];
		}
	}
	return set->n_cpus > 1 && ok;
}

/* GFB with (Q + g) / D for the density. */
static bool gfb_inflated(const struct task_set *set)
{
	double sum = 0, max = 0;

	for (unsigned i = 0; i < set->n; i++) {
		double one = (double)(runtime_of(set, i) + set->granularity);

		one /= (double)deadline_of(set, i);
		sum += one;
		max = one > max ? one : max;
	}
	return set->granularity && max <= 1 && sum <= set->n_cpus - (set->n_cpus - 1) * max;
}

/* Without floor(D / T) in it, BCL takes more than a CPU on one CPU. */
static bool bcl_without_floor(const struct task_set *set)
{
	for (unsigned k = 0; k < set->n; k++) {
		double cap = (double)(deadline_of(set, k) - runtime_of(set, k)), sum = 0;

		for (unsigned i = 0; i < set->n; i++) {
			double w = (double)deadline_of(set, k) / (double)period_of(set, i);

			w *= (double)runtime_of(set, i);
			if (i != k)
				sum += w < cap ? w : cap;
		}
		if (sum > cap * set->n_cpus)
			return false;
	}
	return set->granularity == 0;
}

static bool proven(const struct task_set *set)
{
	cleanup_admit_set struct admit_set *s = set_hold(set, set->n);
	struct admit_load l;

	CHECK(s);
	l = admit_set_load(s, NULL, (nsec_t)set->granularity);
	return admit_prove(&l).yes;
}

static bool is_found_out(const struct task_set *set, mutant_fn mutant, uint64_t seed)
{
	CHECK(mutant(set) && !proven(set));
	return set_missed_in_naps(set, NAPS, seed);
}

static void find_out(const char *name, mutant_fn mutant)
{
	uint64_t seed = 7;
	unsigned accepted = 0, refuted = 0;

	for (unsigned i = 0; i < SETS; i++) {
		struct task_set set = set_random(&seed);

		if (!mutant(&set) || proven(&set))
			continue;
		accepted++;
		refuted += is_found_out(&set, mutant, seed);
	}
	NOTE("%s: of %u sets that it accepts and we do not, %u miss", name, accepted, refuted);
	CHECK(refuted > 0);
}

/* Made for the mutant: it accepts, and a miss is seen. */
static void find_out_by(mutant_fn mutant, const struct task_set *set)
{
	bool found = false;

	for (uint64_t seed = 0; seed < 400 && !found; seed++)
		found = is_found_out(set, mutant, seed * NAPS);
	CHECK(found);
}

static struct admit_task hard(nsec_t q, nsec_t d, nsec_t p)
{
	return (struct admit_task){ { q, d, p }, 1, GUARANTEE_HARD };
}

TEST(the_demand_of_threads_that_never_sleep_is_found_out)
{
	const struct task_set leftover = {
		.n_cpus = 1, .n = 2, .hyperperiod = 20, .tasks = { hard(5, 10, 20), hard(5, 5, 20) }
	};
	const struct task_set owing = { .n_cpus = 1,
		.n = 2,
		.hyperperiod = 80,
		.granularity = 2,
		.tasks = { hard(10, 20, 20), hard(7, 16, 16) } };

	find_out("plain demand", demand_of_the_sleepless);
	find_out_by(demand_of_the_sleepless, &leftover);
	find_out_by(demand_of_the_sleepless, &owing);
}

TEST(a_demand_without_overruns_of_leftovers_is_found_out)
{
	find_out("overruns at whole deadlines", demand_with_late_overruns);
}

TEST(bcl_for_threads_that_never_sleep_is_found_out)
{
	const struct task_set leftover = { .n_cpus = 2,
		.n = 3,
		.hyperperiod = 84,
		.tasks = { hard(1, 1, 3), hard(10, 41, 42), hard(6, 6, 6) } };
	const struct task_set overrun = { .n_cpus = 2,
		.n = 3,
		.hyperperiod = 60,
		.granularity = 5,
		.tasks = { hard(1, 6, 6), hard(2, 12, 15), hard(5, 20, 20) } };

	find_out("plain BCL", bcl_of_the_sleepless);
	find_out_by(bcl_of_the_sleepless, &leftover);
	find_out_by(bcl_of_the_sleepless, &overrun);
}

TEST(gfb_with_inflated_budgets_is_found_out)
{
	struct task_set one_cpu = { .n_cpus = 1, .n = 3, .hyperperiod = 60, .granularity = 4 };
	struct task_set two_cpus = { .n_cpus = 2, .n = 8, .hyperperiod = 120, .granularity = 4 };

	one_cpu.tasks[0] = two_cpus.tasks[0] = hard(1, 10, 10);
	for (unsigned i = 1; i < SET_MAX; i++) {
		one_cpu.tasks[i] = hard(6, 60, 60);
		two_cpus.tasks[i] = hard(12, 120, 120);
	}
	find_out_by(gfb_inflated, &one_cpu);
	find_out_by(gfb_inflated, &two_cpus);
}

TEST(bcl_without_its_floor_is_found_out)
{
	find_out("BCL without its floor", bcl_without_floor);
}
