// SPDX-License-Identifier: Apache-2.0
/*
 * One CPU: EDF by processor demand (Baruah, Rosier & Howell 1990), found by QPA (Zhang & Burns,
 * "Schedulability analysis for real-time systems with EDF scheduling", IEEE Trans. Computers 58(9),
 * 2009), with the throttle granularity g in the demand:
 *
 *     h(t) = sum over D_i <= t of [ (floor((t - D_i) / P_i) + 1) Q_i + g ] - g  <=  t  for all t
 *
 * Sufficient. Let a server k first lack part of a budget at its deadline d, and let t0 < d be the
 * last instant before which no server with a deadline <= d was runnable. A server whose deadline is
 * later does not run in [t0, d]: it is preempted at once, also in an overrun. At t0 every other one
 * sleeps or is throttled, owing what it overran. So within [t0, d] server i runs what is replenished
 * there with a deadline <= d, less what it owed, and its last overrun: at most dbf_i(d - t0) + g,
 * and nothing where D_i > d - t0; an earlier overrun inside was paid by a later budget inside.
 * Server k still has budget at d, so it owes nothing: dbf_k less what is missing, without g. The
 * CPU was never idle: d - t0 < h(d - t0), against the condition. An overrun that goes on past the
 * server's own deadline keeps that deadline, and with it the server counts as runnable before t0.
 *
 * Necessary. The n_t - 1 others release together at 0, overrun their last budget before t by g, and
 * the one with the last deadline at t misses: at g = 0 this is the exact test.
 *
 * How far to look. h(t) <= U t + A, A = sum U_i (P_i - D_i) + (n - 1) g, for every t, since a term
 * with D_i > t is 0 and bounded by U_i (t + P_i - D_i) >= 0. So U < 1: nothing fails beyond
 * L_a = A / (1 - U). And with w the least solution of w = sum ceil(w / P_i) Q_i + (n - 1) g (the busy
 * period L_b): dbf_i(t) <= ceil(w / P_i) Q_i + dbf_i(t - w), so h(t) <= w + h(t - w), and a t > w
 * that fails means that t - w fails: the first that fails is <= w. At U = 1, g > 0 and n > 1 there
 * is no such w, and h = t + (n - 1) g at the hyperperiod: a no. Where D = P and g = 0, h(t) <= U t,
 * and U <= 1 is all.
 */
#include "core/admit/admit_private.h"

static nsec_t jobs_due(const struct admit_entry *e, nsec_t t)
{
	return t >= e->deadline_ns ? (t - e->deadline_ns) / e->period_ns + 1 : 0;
}

admit_wide edf_demand(const struct admit_load *l, nsec_t t)
{
	admit_wide demand = 0;
	uint64_t servers = 0;

	for (size_t i = 0; i < l->n; i++) {
		const struct admit_entry *e = &l->entries[i];
		nsec_t jobs = jobs_due(e, t);

		if (!jobs)
			continue;
		demand += (admit_wide)jobs * e->runtime_ns * e->cores;
		servers += e->cores;
	}
	return servers ? demand + (servers - 1) * l->granularity_ns : 0;
}

/* The last absolute deadline <= t of a synchronous release; 0: none. */
static nsec_t deadline_before(const struct admit_load *l, nsec_t t)
{
	nsec_t last = 0;

	for (size_t i = 0; i < l->n; i++) {
		const struct admit_entry *e = &l->entries[i];
		nsec_t jobs = jobs_due(e, t);
		nsec_t due = jobs ? (jobs - 1) * e->period_ns + e->deadline_ns : 0;

		if (due > last)
			last = due;
	}
	return last;
}

/* L_a, rounded up; 0 bits of slack in fixed point: unbounded. */
static admit_wide interval_linear(const struct admit_load *l)
{
	admit_wide up = share_sum_up(&l->sums.utilisation);
	admit_wide ahead = (admit_wide)l->sums.early_ns;

	ahead += (admit_wide)(l->sums.servers - 1) * l->granularity_ns;
	if (up >= SHARE_ONE)
		return ~(admit_wide)0;
	if (ahead >> 66)
		return ~(admit_wide)0;
	return (ahead << SHARE_SHIFT) / (SHARE_ONE - up) + 1;
}

/* L_b, or the given limit where that is reached first or the work runs out. */
static admit_wide interval_busy(struct admit_load *l, admit_wide limit)
{
	admit_wide base = (admit_wide)(l->sums.servers - 1) * l->granularity_ns;
	admit_wide w = base, next = base + 1;
	unsigned keep = l->work / 2;

	while (next != w) {
		w = next;
		if (w >= limit || w >> 62 || l->work <= keep)
			return limit;
		next = base;
		for (size_t i = 0; i < l->n; i++) {
			const struct admit_entry *e = &l->entries[i];
			nsec_t jobs = ((nsec_t)w + e->period_ns - 1) / e->period_ns;

			next += (admit_wide)jobs * e->runtime_ns * e->cores;
		}
		admit_spend(l, l->n);
	}
	return w;
}

static nsec_t deadline_shortest(const struct admit_load *l)
{
	nsec_t least = UINT64_MAX;

	for (size_t i = 0; i < l->n; i++)
		if (l->entries[i].deadline_ns < least)
			least = l->entries[i].deadline_ns;
	return least;
}

/* Whose deadline is at t; the candidate first, then hard ones. */
static const struct admit_entry *due_at(const struct admit_load *l, nsec_t t)
{
	const struct admit_entry *found = NULL;

	for (size_t i = l->n; i-- > 0;) {
		const struct admit_entry *e = &l->entries[i];

		if (t < e->deadline_ns || (t - e->deadline_ns) % e->period_ns)
			continue;
		if (e == l->candidate)
			return e;
		if (!found || e->hard)
			found = e;
	}
	return found;
}

/* Zhang & Burns, algorithm QPA, from the last deadline <= limit down. */
static struct admit_proof qpa(struct admit_load *l, nsec_t limit)
{
	struct admit_proof p = { .test = ADMIT_TEST_QPA };
	nsec_t first = deadline_shortest(l), t = deadline_before(l, limit);

	while (t >= first) {
		admit_wide demand = edf_demand(l, t);

		if (demand > t) {
			p.breaks = due_at(l, deadline_before(l, t));
			return p;
		}
		if (demand <= first)
			break;
		if (!admit_spend(l, 2 * l->n)) {
			p.gave_up = true;
			return p;
		}
		t = demand < t ? (nsec_t)demand : deadline_before(l, t - 1);
	}
	p.yes = p.all = true;
	return p;
}

struct admit_proof edf_proves(struct admit_load *l)
{
	bool plain = !l->granularity_ns && !l->sums.constrained;
	struct admit_proof p = { .test = plain ? ADMIT_TEST_UTILISATION : ADMIT_TEST_QPA };
	admit_wide limit;

	p.breaks = l->candidate;
	if (!share_utilisation_at_most(l, 1))
		return p;
	/* One server alone; U <= 1 at D = P; or each jobs * Q + g <= t (Q + g) / D (GFB at M = 1). */
	p.yes = p.all = plain || l->sums.servers <= 1 || gfb_proves(l);
	if (p.yes)
		return p;
	if (l->granularity_ns && share_sum_up(&l->sums.utilisation) >= SHARE_ONE)
		return p;
	limit = interval_busy(l, interval_linear(l));
	p.gave_up = limit >> 62;
	return p.gave_up ? p : qpa(l, (nsec_t)limit);
}
