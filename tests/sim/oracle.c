// SPDX-License-Identifier: Apache-2.0
/*
 * Yes means yes: what the admission tests accept is run in the simulator, which knows nothing of
 * them. TAKT_SEED and TAKT_SETS in the environment choose the random sets.
 */
#include "core/admit/admit_private.h"
#include "sim/cbs.h"
#include "sim/sets.h"

#include "test.h"

#define SETS_DEFAULT 12000
#define BINS 6 /* of U per CPU: below 0.2, 0.4, ... and above 1 */

struct share {
	unsigned sets, edf, gfb, bcl, either;
};

static struct share shares[5][BINS]; /* by CPUs, by U */
static unsigned long runs;

static uint64_t env_number(const char *name, uint64_t or)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : or ;
}

static struct share *share_of_set(const struct task_set *set)
{
	uint64_t ppm = 0;
	unsigned bin;

	for (unsigned i = 0; i < set->n; i++)
		ppm += set->tasks[i].dl.runtime_ns * 1000000 / set->tasks[i].dl.period_ns;
	bin = (unsigned)(ppm / set->n_cpus / 200000);
	return &shares[set->n_cpus][bin < BINS ? bin : BINS - 1];
}

/* Late by more than allowed (nothing for a hard one) in this pattern: printed. */
static bool is_late(
	const struct task_set *set, enum pattern pattern, uint64_t seed, const int64_t *allowed)
{
	struct cbs_result r = set_run(set, pattern, seed);

	runs++;
	for (unsigned i = 0; i < set->n; i++) {
		if (r.lateness[i] <= (allowed ? allowed[i] : 0))
			continue;
		set_print(set);
		fprintf(stderr, "# pattern %d seed %#llx: server %u is late by %d of %d\n",
			(int)pattern, (unsigned long long)seed, i, (int)r.lateness[i],
			(int)(allowed ? allowed[i] : 0));
		return true;
	}
	return false;
}

static bool misses(const struct task_set *set, uint64_t seed, const int64_t *allowed)
{
	for (enum pattern p = PATTERN_PERIODIC; p <= PATTERN_SPORADIC; p++)
		if (is_late(set, p, seed + p, allowed))
			return true;
	return is_late(set, PATTERN_OFFSET, seed + 17, allowed) ||
	       is_late(set, PATTERN_SPORADIC, seed + 18, allowed);
}

static int64_t rounded_up(int64_t a, int64_t b)
{
	return (a + b - 1) / b;
}

/* Processor demand by its definition, at every t up to two hyperperiods; g as in edf.c. */
static bool full_demand_test(const struct task_set *set)
{
	int64_t top = 0;

	for (unsigned i = 0; i < set->n; i++)
		top += set->tasks[i].dl.runtime_ns *
		       (set->hyperperiod / set->tasks[i].dl.period_ns);
	if (top > set->hyperperiod)
		return false;
	for (int64_t t = 1; t <= 4 * set->hyperperiod; t++) {
		int64_t demand = 0, servers = 0;

		for (unsigned i = 0; i < set->n; i++) {
			const struct dl_params *dl = &set->tasks[i].dl;
			int64_t jobs = rounded_up(t - (int64_t)dl->deadline_ns + 1, dl->period_ns);

			if (t < (int64_t)dl->deadline_ns)
				continue;
			demand += jobs * (int64_t)dl->runtime_ns;
			servers++;
		}
		if (servers && demand + (servers - 1) * set->granularity > t)
			return false;
	}
	return true;
}

static void check_incremental(const struct task_set *set, struct admit_set *all, bool proven)
{
	cleanup_admit_set struct admit_set *s = set_hold(set, set->n - 1);
	struct admit_machine m = set_machine(set);
	struct admit_load l = admit_set_load(all, NULL, m.granularity_ns);
	struct admit_verdict v;

	CHECK(s);
	v = admit_evaluate(s, &set->tasks[set->n - 1]);
	if (v.yes != (proven && admit_sum_fits(&l, m.ceiling)))
		set_print(set);
	CHECK(v.yes == (proven && admit_sum_fits(&l, m.ceiling)));
	if (!v.yes && v.would_fit_runtime_ns) {
		struct admit_task less = set->tasks[set->n - 1];

		less.dl.runtime_ns = v.would_fit_runtime_ns;
		CHECK(admit_evaluate(s, &less).yes);
		less.dl.runtime_ns++;
		CHECK(!admit_evaluate(s, &less).yes);
	}
}

/* Each test on its own, against the simulator. */
static void check_hard(const struct task_set *set, uint64_t seed)
{
	cleanup_admit_set struct admit_set *s = set_hold(set, set->n);
	struct share *share = share_of_set(set);
	struct admit_load l;
	bool edf = false, gfb = false, bcl = false;

	CHECK(s);
	l = admit_set_load(s, NULL, (nsec_t)set->granularity);
	if (set->n_cpus == 1) {
		edf = edf_proves(&l).yes;
		if (edf != full_demand_test(set))
			set_print(set);
		CHECK(edf == full_demand_test(set));
		CHECK(edf || !gfb_proves(&l));
	} else {
		gfb = gfb_proves(&l);
		bcl = bcl_proves(&l).yes;
		l.cached = false;
		l.work = ADMIT_WORK_MAX;
		CHECK(bcl == bcl_proves(&l).yes);
	}
	check_incremental(set, s, edf || gfb || bcl);
	share->sets++;
	share->edf += edf;
	share->gfb += gfb;
	share->bcl += bcl;
	share->either += gfb || bcl;
	if (edf || gfb || bcl) {
		CHECK(share_utilisation_at_most(&l, set->n_cpus));
		CHECK(!misses(set, seed, NULL));
	} else if (set->granularity == 0 && set->n_cpus == 1) {
		/* Exact: the synchronous case must miss. */
		struct cbs_result r = set_run(set, PATTERN_PERIODIC, seed);
		bool late = false;

		for (unsigned i = 0; i < set->n; i++)
			late = late || r.lateness[i] > 0;
		CHECK(late);
	}
}

static void print_shares(void)
{
	static const char *const bins[BINS] = { "<0.2", "<0.4", "<0.6", "<0.8", "<1.0", ">=1" };

	print_message("# CPUs   U/CPU   sets   EDF %%   GFB %%   BCL %%   either %%\n");
	for (unsigned m = 1; m <= 4; m++)
		for (unsigned b = 0; b < BINS; b++) {
			const struct share *s = &shares[m][b];
			unsigned n = s->sets ? s->sets : 1;

			print_message("# %4u   %5s  %5u  %6u  %6u  %6u  %9u\n", m, bins[b], s->sets,
				100 * s->edf / n, 100 * s->gfb / n, 100 * s->bcl / n,
				100 * s->either / n);
		}
	print_message("# %lu runs of the simulator\n", runs);
}

TEST(a_hard_yes_never_misses_in_random_sets)
{
	uint64_t seed = env_number("TAKT_SEED", 20240229),
		 sets = env_number("TAKT_SETS", SETS_DEFAULT);

	print_message("# TAKT_SEED=%llu TAKT_SETS=%llu\n", (unsigned long long)seed,
		(unsigned long long)sets);
	for (uint64_t i = 0; i < sets; i++) {
		struct task_set set = set_random(&seed);

		check_hard(&set, seed);
	}
	print_shares();
}

/* Every (Q, D, P) with P up to the limit. */
static unsigned all_tasks(struct admit_task *ret, unsigned limit)
{
	unsigned n = 0;

	for (unsigned p = 1; p <= limit; p++)
		for (unsigned d = 1; d <= p; d++)
			for (unsigned q = 1; q <= d; q++)
				ret[n++] = (struct admit_task){
					.dl = { q, d, p },
					.cores = 1,
					.guarantee = GUARANTEE_HARD,
				};
	return n;
}

/* Every multiset of `size` such tasks. */
static unsigned check_all_sets(unsigned n_cpus, unsigned size, unsigned limit, int64_t hyperperiod)
{
	struct admit_task tasks[64];
	unsigned n = all_tasks(tasks, limit), at[SET_MAX] = { 0 }, sets = 0;

	for (;;) {
		struct task_set set = { .n_cpus = n_cpus, .n = size, .hyperperiod = hyperperiod };
		unsigned i = size;

		for (unsigned k = 0; k < size; k++)
			set.tasks[k] = tasks[at[k]];
		for (set.granularity = 0; set.granularity <= 2; set.granularity++)
			check_hard(&set, sets);
		sets++;
		while (i > 0 && at[i - 1] == n - 1)
			i--;
		if (!i)
			return sets;
		at[i - 1]++;
		for (unsigned k = i; k < size; k++)
			at[k] = at[i - 1];
	}
}

TEST(a_hard_yes_never_misses_in_any_small_set)
{
	print_message("# 1 CPU, pairs up to 6: %u sets\n", check_all_sets(1, 2, 6, 60));
	print_message("# 1 CPU, triples up to 4: %u sets\n", check_all_sets(1, 3, 4, 12));
	print_message("# 2 CPUs, triples up to 4: %u sets\n", check_all_sets(2, 3, 4, 12));
	print_message("# 2 CPUs, fours up to 3: %u sets\n", check_all_sets(2, 4, 3, 6));
	print_message("# 3 CPUs, fours up to 3: %u sets\n", check_all_sets(3, 4, 3, 6));
}

/* Admits one after the other, as an agent does; what is refused is left out. */
static struct admit_set *admit_in_turn(struct task_set *set, uint32_t *ids)
{
	cleanup_admit_set struct admit_set *s = set_hold(set, 0);
	unsigned n = 0;

	CHECK(s);
	for (unsigned i = 0; i < set->n; i++) {
		struct admit_verdict v = admit_evaluate(s, &set->tasks[i]);
		nsec_t bound;

		if (!v.yes)
			continue;
		set->tasks[n] = set->tasks[i];
		CHECK(admit_hold(s, &set->tasks[n], &ids[n], NULL) == 0);
		CHECK(admit_bound(s, ids[n], &bound) == v.has_bound);
		CHECK(!v.has_bound || bound <= v.bound_ns);
		n++;
	}
	set->n = n;
	return TAKE(s);
}

static void check_bounds(
	struct task_set *set, const struct admit_set *s, const uint32_t *ids, uint64_t seed)
{
	int64_t allowed[SET_MAX];

	for (unsigned i = 0; i < set->n; i++) {
		nsec_t bound = 0;

		CHECK(admit_bound(s, ids[i], &bound));
		CHECK(bound >= set->tasks[i].dl.deadline_ns);
		allowed[i] = (int64_t)(bound - set->tasks[i].dl.deadline_ns);
		CHECK(set->tasks[i].guarantee == GUARANTEE_SOFT || allowed[i] == 0);
	}
	CHECK(!set->n || !misses(set, seed, allowed));
}

/* percent_soft of the tasks are soft; then one is released, and the bounds hold again. */
static unsigned check_mixed(struct task_set *set, unsigned percent_soft, uint64_t *random)
{
	cleanup_admit_set struct admit_set *s = NULL;
	uint32_t ids[SET_MAX];
	unsigned gone;

	for (unsigned i = 0; i < set->n; i++)
		if (cbs_random(random) % 100 < percent_soft)
			set->tasks[i].guarantee = GUARANTEE_SOFT;
	s = admit_in_turn(set, ids);
	check_bounds(set, s, ids, *random);
	if (!set->n)
		return 0;
	gone = (unsigned)(cbs_random(random) % set->n);
	admit_release(s, ids[gone]);
	for (unsigned i = gone; i + 1 < set->n; i++) {
		set->tasks[i] = set->tasks[i + 1];
		ids[i] = ids[i + 1];
	}
	set->n--;
	check_bounds(set, s, ids, *random);
	return set->n;
}

TEST(a_soft_yes_is_never_later_than_its_bound)
{
	uint64_t seed = env_number("TAKT_SEED", 20240229) + 1;
	uint64_t sets = env_number("TAKT_SETS", SETS_DEFAULT);
	unsigned long held = 0;

	for (uint64_t i = 0; i < sets; i++) {
		struct task_set set = set_random(&seed);

		held += check_mixed(&set, 100, &seed);
	}
	print_message(
		"# %lu soft reservations held in %llu sets\n", held, (unsigned long long)sets);
}

TEST(hard_and_soft_ones_together_keep_their_bounds)
{
	uint64_t seed = env_number("TAKT_SEED", 20240229) + 2;
	uint64_t sets = env_number("TAKT_SETS", SETS_DEFAULT);

	for (uint64_t i = 0; i < sets; i++) {
		struct task_set set = set_random(&seed);

		check_mixed(&set, 50, &seed);
	}
}

/* What is said of sleepers in admit.h: these two tests hold against them, and only these. */
TEST(utilisation_and_gfb_hold_against_threads_that_sleep_as_they_like)
{
	uint64_t seed = env_number("TAKT_SEED", 20240229) + 3;
	uint64_t sets = env_number("TAKT_SETS", SETS_DEFAULT);
	unsigned others = 0;

	for (uint64_t i = 0; i < sets; i++) {
		struct task_set set = set_random(&seed);
		cleanup_admit_set struct admit_set *s = NULL;
		struct admit_load l;

		set.granularity = 0;
		s = set_hold(&set, set.n);
		CHECK(s);
		l = admit_set_load(s, NULL, 0);
		if (gfb_proves(&l) || (set.n_cpus == 1 && !l.sums.constrained &&
					      share_utilisation_at_most(&l, 1)))
			CHECK(!is_late(&set, PATTERN_NAPS, seed, NULL));
		else
			others++;
	}
	CHECK(others < sets);
}

/* In how many of the runs does one miss beside server 0, whose thread naps? */
static unsigned misses_beside_a_nap(const struct task_set *set)
{
	unsigned missed = 0;

	for (uint64_t seed = 0; seed < 20000; seed++) {
		struct cbs_setup setup = { .n_cpus = 1, .n = 2, .until = 400, .seed = seed };
		struct cbs_result r;

		setup.granularity = set->granularity;
		for (unsigned i = 0; i < 2; i++)
			setup.servers[i] = (struct cbs_server){
				.runtime = (int64_t)set->tasks[i].dl.runtime_ns,
				.deadline = (int64_t)set->tasks[i].dl.deadline_ns,
				.period = (int64_t)set->tasks[i].dl.period_ns,
			};
		setup.servers[0].overrun = CBS_OVERRUN_ALWAYS;
		setup.servers[0].sleep_percent = 60;
		setup.servers[0].naps = true;
		setup.servers[1].offset = (int64_t)(seed % 20);
		r = cbs_run(&setup);
		missed += r.lateness[1] > 0;
	}
	return missed;
}

/* The limit that admit.h names, seen: the demand test says yes, and the hard one can miss. */
TEST(a_thread_that_naps_can_break_what_qpa_proves)
{
	struct task_set early = { .n_cpus = 1, .n = 2 };
	struct task_set owing = { .n_cpus = 1, .n = 2, .granularity = 2 };
	cleanup_admit_set struct admit_set *s = NULL, *o = NULL;
	struct admit_load l;

	early.tasks[0] = (struct admit_task){ { 5, 10, 20 }, 1, GUARANTEE_HARD };
	early.tasks[1] = (struct admit_task){ { 5, 5, 20 }, 1, GUARANTEE_HARD };
	owing.tasks[0] = (struct admit_task){ { 10, 20, 20 }, 1, GUARANTEE_HARD };
	owing.tasks[1] = (struct admit_task){ { 7, 16, 16 }, 1, GUARANTEE_HARD };
	s = set_hold(&early, 2);
	o = set_hold(&owing, 2);
	CHECK(s && o);
	l = admit_set_load(s, NULL, 0);
	CHECK(edf_proves(&l).yes);
	l = admit_set_load(o, NULL, 2);
	CHECK(edf_proves(&l).yes);
	CHECK(misses_beside_a_nap(&early) > 0);
	CHECK(misses_beside_a_nap(&owing) > 0);
}

/* The trap: without floor(D / T) in it, BCL takes more than a CPU on one CPU. */
static bool bcl_without_floor(const struct task_set *set)
{
	for (unsigned k = 0; k < set->n; k++) {
		const struct dl_params *on = &set->tasks[k].dl;
		double sum = 0;

		for (unsigned i = 0; i < set->n; i++) {
			const struct dl_params *by = &set->tasks[i].dl;
			double jobs = (double)on->deadline_ns / (double)by->period_ns;
			double w = jobs * (double)by->runtime_ns;
			double cap = (double)(on->deadline_ns - on->runtime_ns);

			if (i != k)
				sum += w < cap ? w : cap;
		}
		if (sum > (double)((on->deadline_ns - on->runtime_ns) * set->n_cpus))
			return false;
	}
	return true;
}

TEST(the_simulator_refutes_a_test_that_accepts_too_much)
{
	uint64_t seed = 7;
	unsigned refuted = 0, accepted = 0;

	for (unsigned i = 0; i < 2000; i++) {
		struct task_set set = set_random(&seed);
		struct cbs_result r;

		set.granularity = 0;
		if (!bcl_without_floor(&set))
			continue;
		accepted++;
		r = set_run(&set, PATTERN_PERIODIC, seed);
		for (unsigned k = 0; k < set.n; k++)
			if (r.lateness[k] > 0) {
				refuted++;
				break;
			}
	}
	print_message("# BCL without its floor: %u accepted, %u refuted\n", accepted, refuted);
	CHECK(refuted > 0);
}
