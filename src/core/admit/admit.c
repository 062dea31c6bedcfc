// SPDX-License-Identifier: Apache-2.0
/*
 * The order of the tests, and what is said with a no. The kernel's sum comes first, for
 * everybody. On one CPU a hard promise needs the demand test over the whole set; on several CPUs
 * GFB over the whole set, or the lag of all, or BCL. Any yes is a yes.
 */
#include "core/admit/admit.h"
#include "core/admit/admit_private.h"

static const char *const test_names[_ADMIT_TEST_MAX] = {
	[ADMIT_TEST_NONE] = "none",
	[ADMIT_TEST_UTILISATION] = "utilisation",
	[ADMIT_TEST_QPA] = "qpa",
	[ADMIT_TEST_GFB] = "gfb",
	[ADMIT_TEST_LAG] = "lag",
	[ADMIT_TEST_BCL] = "bcl",
	[ADMIT_TEST_SUM] = "sum",
};

static const char *const refusal_names[_ADMIT_REFUSAL_MAX] = {
	[ADMIT_REFUSAL_NONE] = "none",
	[ADMIT_REFUSAL_PARAMS] = "params",
	[ADMIT_REFUSAL_BANDWIDTH] = "bandwidth",
	[ADMIT_REFUSAL_DEADLINE] = "deadline",
	[ADMIT_REFUSAL_VICTIM] = "victim",
	[ADMIT_REFUSAL_TARDINESS] = "tardiness",
	[ADMIT_REFUSAL_RECLAIM] = "reclaim",
	[ADMIT_REFUSAL_WORK] = "work",
};

const char *admit_test_name(enum admit_test test)
{
	return test < _ADMIT_TEST_MAX ? test_names[test] : test_names[0];
}

const char *admit_refusal_name(enum admit_refusal why)
{
	return why < _ADMIT_REFUSAL_MAX ? refusal_names[why] : refusal_names[0];
}

uint64_t admit_limit_q20(const struct admit_machine *m)
{
	return m->n_cpus * (m->ceiling.q20 < BW_ONE_CPU ? m->ceiling.q20 : BW_ONE_CPU);
}

/*
 * kernel/sched/deadline.c, __dl_overflow(): the sum, each rounded down, is at most the limit. Here
 * each is rounded up. Where the ceiling is a whole CPU the exact sum will do, so that three
 * thirds are one.
 */
bool admit_sum_fits(const struct admit_load *l, bw_t ceiling)
{
	struct admit_machine m = { .n_cpus = l->n_cpus, .ceiling = ceiling };

	if (l->sums.q20 <= admit_limit_q20(&m))
		return true;
	return ceiling.q20 >= BW_ONE_CPU && share_utilisation_at_most(l, l->n_cpus);
}

struct admit_proof admit_prove(struct admit_load *l)
{
	const nsec_t *known = NULL;
	struct admit_proof p;
	nsec_t late;

	if (l->n_cpus == 1)
		return edf_proves(l);
	if (gfb_proves(l))
		return (struct admit_proof){ .yes = true, .all = true, .test = ADMIT_TEST_GFB };
	if (tardiness_of_all(l, &late))
		known = &late;
	p = lag_proves(l, known);
	return p.yes ? p : bcl_proves(l, known);
}

/* Reclaimed time is not in any of the tests: a server that takes it runs more than k Q + g. */
static bool reclaim_conflicts(const struct admit_load *l)
{
	return l->sums.reclaiming && l->sums.hard;
}

static void refuse(struct admit_verdict *v, const struct admit_load *l, const struct admit_proof *p)
{
	const struct admit_entry *first = NULL;

	v->test = p->test;
	for (size_t i = 0; i < l->n && !first; i++)
		if (l->entries[i].hard)
			first = &l->entries[i];
	if (p->breaks && p->breaks->hard)
		first = p->breaks;
	if (p->gave_up)
		v->why = ADMIT_REFUSAL_WORK;
	else if (l->candidate->hard && (!p->breaks || !p->breaks->hard || first == l->candidate))
		v->why = ADMIT_REFUSAL_DEADLINE;
	else
		v->why = ADMIT_REFUSAL_VICTIM;
	v->victim = v->why == ADMIT_REFUSAL_VICTIM ? first->id : 0;
}

/* A soft one, where no hard one stands against it. */
static void judge_soft(struct admit_verdict *v, const struct admit_load *l)
{
	nsec_t late;

	v->test = ADMIT_TEST_SUM;
	v->has_bound = tardiness_of_all(l, &late);
	if (v->has_bound)
		v->bound_ns = tardiness_bound(l, l->candidate, late);
	v->yes = v->has_bound || l->sums.reclaiming;
	v->why = v->yes ? ADMIT_REFUSAL_NONE : ADMIT_REFUSAL_TARDINESS;
}

static struct admit_verdict judge(struct admit_load *l, const struct admit_machine *m)
{
	uint64_t limit = admit_limit_q20(m), held = l->sums.q20;
	struct admit_verdict v = { .test = ADMIT_TEST_SUM };
	struct admit_proof p = { .yes = true };
	struct admit_sums one = { 0 };

	admit_sums_add(&one, l->candidate);
	held -= one.q20;
	v.asked = (bw_t){ one.q20 };
	v.free = (bw_t){ held < limit ? limit - held : 0 };
	if (reclaim_conflicts(l))
		v.why = ADMIT_REFUSAL_RECLAIM;
	else if (!admit_sum_fits(l, m->ceiling))
		v.why = ADMIT_REFUSAL_BANDWIDTH;
	if (v.why)
		return v;

	if (l->sums.hard)
		p = admit_prove(l);
	if (!p.yes) {
		refuse(&v, l, &p);
	} else if (!l->candidate->hard && (l->n_cpus > 1 || !l->sums.hard || !p.all)) {
		judge_soft(&v, l);
	} else {
		v.yes = v.has_bound = true;
		v.test = p.test;
		v.bound_ns = l->candidate->deadline_ns;
	}
	return v;
}

/* What a judgement does for each entry whatever the tests find, counted so that a search ends soon. */
#define WORK_AT_LEAST 4u

static bool fits(struct admit_set *s, const struct admit_task *t, nsec_t runtime_ns, unsigned *work)
{
	struct admit_task smaller = *t;
	struct admit_load l;
	bool yes;

	smaller.dl.runtime_ns = runtime_ns;
	l = admit_set_load(s, &smaller, s->machine.granularity_ns);
	l.work = *work;
	yes = admit_spend(&l, WORK_AT_LEAST * l.n) && judge(&l, &s->machine).yes;
	*work = l.work;
	return yes;
}

/* By GFB or lag alone: less time than BCL takes to say no. */
static bool sums_prove(const struct admit_load *l)
{
	nsec_t late;

	return gfb_proves(l) ||
	       (l->n_cpus > 1 && tardiness_of_all(l, &late) && lag_proves(l, &late).yes);
}

static bool fits_by_sums(struct admit_set *s, const struct admit_task *t, nsec_t runtime_ns)
{
	struct admit_task smaller = *t;
	struct admit_load l;

	smaller.dl.runtime_ns = runtime_ns;
	l = admit_set_load(s, &smaller, s->machine.granularity_ns);
	return admit_sum_fits(&l, s->machine.ceiling) && sums_prove(&l);
}

/* The largest runtime that fits, as far as the work goes; each that is kept was found a yes. */
static nsec_t search_runtime(struct admit_set *s, const struct admit_task *t, bw_t free)
{
	admit_wide each = (admit_wide)(free.q20 / t->cores) * t->dl.period_ns >> 20;
	nsec_t high = t->dl.runtime_ns - 1, low = 0, above;
	unsigned work = ADMIT_WORK_ASIDE, by_sums = ADMIT_WORK_ASIDE;

	if (high > each && s->machine.ceiling.q20 < BW_ONE_CPU)
		high = (nsec_t)each;
	if (!high || fits(s, t, high, &work))
		return high;
	for (above = high; low + 1 < above && by_sums > s->n; by_sums -= (unsigned)s->n) {
		nsec_t mid = low + (above - low) / 2;

		if (fits_by_sums(s, t, mid))
			low = mid;
		else
			above = mid;
	}
	while (low + 1 < high && work) {
		nsec_t mid = low + (high - low) / 2;

		if (fits(s, t, mid, &work))
			low = mid;
		else
			high = mid;
	}
	return low;
}

static bool fits_without_granularity(struct admit_set *s, const struct admit_task *t)
{
	struct admit_load l = admit_set_load(s, t, 0);

	l.work = ADMIT_WORK_ASIDE;
	return admit_spend(&l, WORK_AT_LEAST * l.n) ? judge(&l, &s->machine).yes : sums_prove(&l);
}

struct admit_verdict admit_evaluate(struct admit_set *s, const struct admit_task *t)
{
	struct admit_verdict v = { .why = ADMIT_REFUSAL_PARAMS };
	struct admit_load l;

	if (!admit_task_valid(t) || s->sums.servers + t->cores > ADMIT_SERVERS_MAX)
		return v;
	l = admit_set_load(s, t, s->machine.granularity_ns);
	v = judge(&l, &s->machine);
	if (v.yes || v.why == ADMIT_REFUSAL_RECLAIM)
		return v;
	if (s->machine.granularity_ns && v.why != ADMIT_REFUSAL_BANDWIDTH)
		v.granularity = fits_without_granularity(s, t);
	v.would_fit_runtime_ns = search_runtime(s, t, v.free);
	return v;
}
