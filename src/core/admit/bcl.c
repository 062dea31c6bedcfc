// SPDX-License-Identifier: Apache-2.0
/*
 * Global EDF by interference: Bertogna, Cirinei & Lipari, "Improved schedulability analysis of EDF
 * on multiprocessor platforms", ECRTS 2005, and its iteration over slack, "Schedulability analysis
 * of global scheduling algorithms on multiprocessor platforms", IEEE TPDS 20(4), 2009, theorem 6
 * with eq. 9 and 10, with the throttle granularity g in the interference.
 *
 * In the window of D_k that ends at a deadline of k, server i runs under deadlines in the window
 *
 *     W_i = N_i Q_i + min(Q_i, max(0, D_k - N_i P_i - S_i)) + g,   N_i = floor((D_k - D_i) / P_i) + 1
 *     R_k = Q_k + floor( sum over i != k of min(W_i, D_k - Q_k + 1) / M ),   S_k = D_k - R_k
 *
 * (N_i = 0 where D_k < D_i; without the floor the test takes U = 1.1 on one CPU, {(2,4,4),(3,5,5)}).
 * All budgets are had by their deadline when R_k <= D_k for every k. S starts at 0 and only grows:
 * up to the first miss each S_k is a true lower bound, so the miss cannot happen. Servers of one
 * reservation are separate servers, and disturb each other.
 *
 * Why g counts once. Let q be the budget of i at the start of the window, between -g and Q_i.
 * It runs q, plus what is replenished in the window, less what is left at its end (not below -g).
 * If q > 0 its deadline is still to come, as none was missed, and q is had by S_i before it: the
 * carry-in. If q <= 0 the overrun in progress is paid by a budget counted in the window. Server k
 * still has budget when it misses, so its own overrun plays no part.
 *
 * Soft servers may be late by X_i (tardiness.c, whatever else happens). Then deadlines as old as
 * X_i before the window still count: at most floor((D_k + X_i) / P_i) + 1 of them, Q_i each, and g.
 * Where R_i <= D_i comes out for a soft one, it is not late at all, and goes on like a hard one.
 *
 * Rounding: floor() above is exact in integers, W_i is exact, X_i is rounded up.
 */
#include "core/admit/admit_private.h"

static nsec_t least(nsec_t a, nsec_t b)
{
	return a < b ? a : b;
}

/* W_i in a window, capped by what can matter to k; < 2^44, times at most 2^20 servers. */
static nsec_t interference(
	const struct admit_entry *by, const struct admit_entry *on, nsec_t slack, nsec_t g)
{
	nsec_t window = on->deadline_ns, cap = window - on->runtime_ns + 1;
	nsec_t jobs =
		window >= by->deadline_ns ? (window - by->deadline_ns) / by->period_ns + 1 : 0;
	nsec_t before = jobs * by->period_ns + slack;
	nsec_t carry = before < window ? least(by->runtime_ns, window - before) : 0;

	return least(jobs * by->runtime_ns + carry + g, cap);
}

static nsec_t interference_late(
	const struct admit_entry *by, const struct admit_entry *on, nsec_t late, nsec_t g)
{
	nsec_t window = on->deadline_ns, cap = window - on->runtime_ns + 1;
	nsec_t jobs = (window + late) / by->period_ns + 1;

	return least(jobs * by->runtime_ns + g, cap);
}

nsec_t bcl_interference(const struct admit_entry *by, const struct admit_entry *on, nsec_t g)
{
	return interference(by, on, 0, g) * (by == on ? by->cores - 1 : by->cores);
}

static nsec_t response(const struct admit_load *l, const struct admit_entry *e, nsec_t sum)
{
	return e->runtime_ns + sum / l->n_cpus;
}

/* The sum over all others at no slack; from the cache but for what the candidate adds. */
static nsec_t sum_without_slack(const struct admit_load *l, const struct admit_entry *on)
{
	nsec_t sum = on->interference_ns, g = l->granularity_ns;

	if (l->cached && on != l->candidate)
		return l->candidate ? sum + bcl_interference(l->candidate, on, g) : sum;
	sum = 0;
	for (size_t i = 0; i < l->n; i++)
		sum += bcl_interference(&l->entries[i], on, g);
	return sum;
}

static nsec_t sum_with_slack(const struct admit_load *l, const struct admit_entry *on)
{
	nsec_t sum = 0, g = l->granularity_ns;

	for (size_t i = 0; i < l->n; i++) {
		const struct admit_entry *by = &l->entries[i];
		nsec_t late = l->scratch.late[i];
		nsec_t one = late ? interference_late(by, on, late, g)
				  : interference(by, on, l->scratch.slack[i], g);

		sum += one * (by == on ? by->cores - 1 : by->cores);
	}
	return sum;
}

/*
 * Judges entry k with the slack known so far, and keeps what is learned of it. True: something
 * was.
 */
static bool judge_one(struct admit_load *l, size_t k, nsec_t sum)
{
	const struct admit_entry *e = &l->entries[k];
	struct admit_scratch *s = &l->scratch;
	nsec_t r = response(l, e, sum);
	bool learned;

	if (r > e->deadline_ns)
		return false;
	learned = s->fails[k] || s->late[k] || s->slack[k] < e->deadline_ns - r;
	s->fails[k] = false;
	s->late[k] = 0;
	if (s->slack[k] < e->deadline_ns - r)
		s->slack[k] = e->deadline_ns - r;
	return learned;
}

/* The first that is not proven, the candidate before all others; NULL: none. */
static const struct admit_entry *first_failing(const struct admit_load *l, bool soft_too)
{
	const struct admit_entry *found = NULL;

	for (size_t i = l->n; i-- > 0;) {
		const struct admit_entry *e = &l->entries[i];

		if (!l->scratch.fails[i] || (!e->hard && !soft_too))
			continue;
		if (e == l->candidate)
			return e;
		found = e;
	}
	return found;
}

/* One round over all, or over those that fail. False: the work is used up. */
static bool judge_round(struct admit_load *l, bool all, bool *ret_learned)
{
	*ret_learned = false;
	for (size_t k = 0; k < l->n; k++) {
		if (!all && !l->scratch.fails[k])
			continue;
		if (!admit_spend(l, l->n))
			return false;
		if (judge_one(l, k, sum_with_slack(l, &l->entries[k])))
			*ret_learned = true;
	}
	return true;
}

/* Until all that must be are proven, nothing is learned any more, or the work is used up. */
static struct admit_proof iterate(struct admit_load *l, bool soft_too)
{
	struct admit_proof p = { .test = ADMIT_TEST_BCL };
	bool learned = true, all = false;

	while ((p.breaks = first_failing(l, soft_too)) && (learned || !all)) {
		all = all || !learned;
		if (!judge_round(l, all, &learned)) {
			p.breaks = first_failing(l, soft_too);
			p.gave_up = p.breaks;
			break;
		}
	}
	p.yes = !p.breaks;
	p.all = p.yes && !first_failing(l, true);
	return p;
}

/* As if all were hard: nobody's tardiness plays a part. */
static struct admit_proof prove_all(struct admit_load *l)
{
	size_t steps = l->cached ? 2 : l->n;

	for (size_t k = 0; k < l->n; k++) {
		l->scratch.slack[k] = l->scratch.late[k] = 0;
		l->scratch.fails[k] = true;
		if (!l->cached && !admit_spend(l, steps))
			return (struct admit_proof){ .test = ADMIT_TEST_BCL, .gave_up = true };
		judge_one(l, k, sum_without_slack(l, &l->entries[k]));
	}
	return iterate(l, true);
}

static struct admit_proof prove_hard(struct admit_load *l)
{
	struct admit_proof p = { .test = ADMIT_TEST_BCL };
	nsec_t late;

	if (!tardiness_of_all(l, &late))
		return p;
	for (size_t k = 0; k < l->n; k++) {
		const struct admit_entry *e = &l->entries[k];

		l->scratch.slack[k] = 0;
		l->scratch.fails[k] = true;
		l->scratch.late[k] = e->hard ? 0 : tardiness_bound(l, e, late) - e->deadline_ns;
	}
	return iterate(l, false);
}

struct admit_proof bcl_proves(struct admit_load *l)
{
	struct admit_proof p = prove_all(l), hard;
	bool gave_up = p.gave_up;
	unsigned n_hard = l->sums.hard;

	if (p.yes || !n_hard || n_hard == l->n)
		return p;
	hard = prove_hard(l);
	hard.gave_up = hard.gave_up || gave_up;
	return hard;
}
