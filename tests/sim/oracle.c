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
#define NAPS 24 /* runs in which threads sleep and wake as they like, of each set accepted */
#define BINS 6 /* of U per CPU: below 0.2, 0.4, ... and above 1 */

struct share {
	unsigned sets, edf, gfb, lag, bcl, either;
};

static struct share shares[5][BINS]; /* by CPUs, by U */
static unsigned long runs, refused, refuted; /* the last two: on one CPU */

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

/*
 * Late in this pattern: printed. Where threads sleep, a budget counts from what gave it, D and what is
 * allowed; else, and where a tardiness is allowed, from its deadline.
 */
static bool is_late(
	const struct task_set *set, enum pattern pattern, uint64_t seed, const int64_t *allowed)
{
	struct cbs_result r = set_run(set, pattern, seed);

	runs++;
	for (unsigned i = 0; i < set->n; i++) {
		int64_t most = allowed ? allowed[i] : 0;
		bool by_deadline = pattern < PATTERN_SPORADIC || most > 0;
		int64_t late = by_deadline ? r.lateness[i] : r.overdue[i];

		if (late <= most && r.overdue[i] <= most)
			continue;
		set_print(set);
		fprintf(stderr, "# pattern %d seed %#llx: server %u is late by %d of %d\n",
			(int)pattern, (unsigned long long)seed, i, (int)late, (int)most);
		return true;
	}
	return false;
}

static bool misses(const struct task_set *set, uint64_t seed, const int64_t *allowed)
{
	for (enum pattern p = PATTERN_PERIODIC; p <= PATTERN_SPORADIC; p++)
		if (is_late(set, p, seed + p, allowed))
			return true;
	for (unsigned i = 0; i < NAPS; i++)
		if (is_late(set, PATTERN_AIMED + i % 3, seed + 32 + i, allowed))
			return true;
	return is_late(set, PATTERN_OFFSET, seed + 17, allowed) ||
	       is_late(set, PATTERN_SPORADIC, seed + 18, allowed);
}

/* dbf of edf.c, in 1 / (the product of two hyperperiods): a multiple of every D would be longer. */
static bool demand_fits(const struct task_set *set, int64_t t)
{
	__int128 unit = 1, demand = 0;

	for (unsigned i = 0; i < set->n; i++)
		unit *= (int64_t)set->tasks[i].dl.deadline_ns;
	for (unsigned i = 0; i < set->n; i++) {
		int64_t q = (int64_t)set->tasks[i].dl.runtime_ns;
		int64_t d = (int64_t)set->tasks[i].dl.deadline_ns;
		int64_t p = (int64_t)set->tasks[i].dl.period_ns;

		demand += unit * (t / p * q) + unit / d * q * (t % p < d ? t % p : d);
	}
	demand += unit * (int64_t)(set->n - 1) * set->granularity;
	return demand / unit <= t;
}

/* The demand test of the hard ones by its definition, at every t up to four hyperperiods. */
static bool full_demand_test(const struct task_set *set)
{
	int64_t top = 0, first = INT64_MAX;

	for (unsigned i = 0; i < set->n; i++) {
		const struct dl_params *dl = &set->tasks[i].dl;

		top += (int64_t)dl->runtime_ns * (set->hyperperiod / (int64_t)dl->period_ns);
		if (set->tasks[i].guarantee == GUARANTEE_HARD && (int64_t)dl->deadline_ns < first)
			first = (int64_t)dl->deadline_ns;
	}
	if (top > set->hyperperiod)
		return false;
	for (int64_t t = first; set->n > 1 && t <= 4 * set->hyperperiod; t++)
		if (!demand_fits(set, t))
			return false;
	return true;
}

/* Exact at D = P and g = 0: there the synchronous case must miss. */
static void check_refusal(const struct task_set *set, bool plain, uint64_t seed)
{
	struct cbs_result r = set_run(set, PATTERN_PERIODIC, seed);
	bool late = false;

	for (unsigned i = 0; i < set->n; i++)
		late = late || r.overdue[i] > 0;
	CHECK(late || !plain);
	refused++;
	refuted += late || set_missed_in_naps(set, NAPS, seed);
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
	bool edf = false, gfb = false, lag = false, bcl = false;
	nsec_t late;

	CHECK(s);
	l = admit_set_load(s, NULL, (nsec_t)set->granularity);
	if (set->n_cpus == 1) {
		edf = edf_proves(&l).yes;
		if (edf != full_demand_test(set))
			set_print(set);
		CHECK(edf == full_demand_test(set));
		CHECK(edf || !gfb_proves(&l));
	} else {
		const nsec_t *known = tardiness_of_all(&l, &late) ? &late : NULL;

		gfb = gfb_proves(&l);
		lag = lag_proves(&l, known).yes;
		bcl = bcl_proves(&l, known).yes;
		l.cached = false;
		l.work = ADMIT_WORK_MAX;
		CHECK(bcl == bcl_proves(&l, known).yes);
	}
	check_incremental(set, s, edf || gfb || lag || bcl);
	share->sets++;
	share->edf += edf;
	share->gfb += gfb;
	share->lag += lag;
	share->bcl += bcl;
	share->either += gfb || lag || bcl;
	if (edf || gfb || lag || bcl) {
		CHECK(share_utilisation_at_most(&l, set->n_cpus));
		CHECK(!misses(set, seed, NULL));
	} else if (set->n_cpus == 1) {
		check_refusal(set, !set->granularity && !l.sums.constrained, seed);
	}
}

static void print_shares(void)
{
	static const char *const bins[BINS] = { "<0.2", "<0.4", "<0.6", "<0.8", "<1.0", ">=1" };

	NOTE("CPUs   U/CPU   sets   EDF %%   GFB %%   lag %%   BCL %%   either %%");
	for (unsigned m = 1; m <= 4; m++)
		for (unsigned b = 0; b < BINS; b++) {
			const struct share *s = &shares[m][b];
			unsigned n = s->sets ? s->sets : 1;

			NOTE("%4u   %5s  %5u  %6u  %6u  %6u  %6u  %9u", m, bins[b], s->sets,
				100 * s->edf / n, 100 * s->gfb / n, 100 * s->lag / n,
				100 * s->bcl / n, 100 * s->either / n);
		}
	NOTE("%lu runs of the simulator; of %lu sets refused on one CPU %lu miss in it", runs,
		refused, refuted);
}

TEST(a_hard_yes_never_misses_in_random_sets)
{
	uint64_t seed = env_number("TAKT_SEED", 20240229),
		 sets = env_number("TAKT_SETS", SETS_DEFAULT);

	NOTE("TAKT_SEED=%llu TAKT_SETS=%llu", (unsigned long long)seed, (unsigned long long)sets);
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
	NOTE("1 CPU, pairs up to 6: %u sets", check_all_sets(1, 2, 6, 60));
	NOTE("1 CPU, triples up to 4: %u sets", check_all_sets(1, 3, 4, 12));
	NOTE("2 CPUs, triples up to 4: %u sets", check_all_sets(2, 3, 4, 12));
	NOTE("2 CPUs, fours up to 3: %u sets", check_all_sets(2, 4, 3, 6));
	NOTE("3 CPUs, fours up to 3: %u sets", check_all_sets(3, 4, 3, 6));
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
	CHECK(set->n_cpus > 1 || full_demand_test(set));
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
	NOTE("%lu soft reservations held in %llu sets", held, (unsigned long long)sets);
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
