// SPDX-License-Identifier: Apache-2.0
/*
 * One CPU: EDF by processor demand (Baruah, Rosier & Howell 1990), found by the descent of QPA
 * (Zhang & Burns, "Schedulability analysis for real-time systems with EDF scheduling", IEEE
 * Trans. Computers 58(9), 2009), for CBS servers whose threads sleep and wake as they like:
 *
 *     h(t) = sum of dbf_i(t) + (n - 1) g  <=  t   for all t >= min D_k, k hard
 *     dbf_i(t) = floor(t / P_i) Q_i + Q_i min(1, (t mod P_i) / D_i)
 *
 * The demand. In a window [t0, t0 + t], at whose start server i is not runnable under a deadline
 * inside, it runs at most dbf_i(t) + g under deadlines inside. It starts there at some wake-up or
 * replenishment with a budget c and a deadline d0, and c <= Q (d0 - now) / D (admit.h). Budgets
 * after that are due at d0 + P, d0 + 2 P, .. or later: with d0 - t0 <= t mod P this is dbf_i, and
 * with a later d0 one whole Q is gone for at most Q. Where D = P a wake-up before d0 may bring a
 * fresh budget, due P later: then c - e > U (d0 - t') was left at t', so that what was run before
 * it, e, is less than U (t' - now), and what is from it on at most U times the rest (the
 * bandwidth lemma of Abeni & Buttazzo, RTSS 1998; dbf_i(t) = U t). An overrun is taken off the
 * next budget, so only the last one adds: at most g, also to a leftover of next to nothing due at
 * the window's end. It is forgiven only to a server that slept beyond its replenishment for the
 * time that it is worth (D = P: until the rest does not fit the bandwidth; D < P: cut to fit; or
 * a whole period).
 *
 * Sufficient. Let k have a budget from r on and stay runnable, and let it lack part of it at r +
 * D_k. Its deadline is d <= r + D_k. Let t0 <= r be the last instant before which no server was
 * runnable under a deadline <= d; one with a later deadline does not run in [t0, d], for it is
 * preempted at once, also in an overrun. From t0 on the CPU does work due by d until k has its
 * budget. There is at most h(d - t0) of it, none of it an overrun of k, and so all is done by t0
 * + h(r + D_k - t0) <= r + D_k. Nobody else need keep a deadline for this: t >= D_k is enough.
 *
 * Where D = P and g = 0, h(t) = U t, and U <= 1 is all there is to ask: exact.
 *
 * How far to look. h(t) <= U t + A, A = sum U_i (P_i - D_i) + (n - 1) g: for U < 1 nothing fails
 * beyond L_a = A / (1 - U). And with w the least solution of w = sum ceil(w / P_i) Q_i + (n - 1)
 * g, dbf_i(t) <= ceil(w / P_i) Q_i + dbf_i(t - w), so that h(t) <= w + h(t - w): where a t > w +
 * min D_k fails, t - w fails too. At U = 1, g > 0 and n > 1, h(t) > t at the hyperperiod: a no.
 *
 * Where to look. h never falls: from a t with h(t) < t go down to h(t). Between the bends at a
 * P_i + D_i of servers with D < P, h(t) - t is convex, so that its largest values are at such
 * bends and at the ends: from any t that holds go down to the next bend. Parts of Q / D are added
 * with 60 bits, each rounded up, and the sum is rounded down: work and time are whole, so that
 * h(t) < t + 1 will do, and this too is kept between the bends.
 */
#include "core/admit/admit_private.h"

admit_wide edf_demand(const struct admit_load *l, nsec_t t)
{
	admit_wide whole = (admit_wide)(l->sums.servers - 1) * l->granularity_ns, part = 0;

	for (size_t i = 0; i < l->n; i++) {
		const struct admit_entry *e = &l->entries[i];
		nsec_t periods = t / e->period_ns, rest = t % e->period_ns;

		if (rest >= e->deadline_ns) {
			periods++;
			rest = 0;
		}
		whole += (admit_wide)periods * (e->runtime_ns * e->cores);
		part += (admit_wide)rest * e->density_q60 * e->cores;
	}
	return whole + (part >> SHARE_SHIFT);
}

/* The last a P + D <= t of servers with D < P, or of all; 0: none. */
static nsec_t deadline_before(const struct admit_load *l, nsec_t t, bool all)
{
	nsec_t last = 0;

	for (size_t i = 0; i < l->n; i++) {
		const struct admit_entry *e = &l->entries[i];
		nsec_t due;

		if (t < e->deadline_ns || (!all && e->deadline_ns == e->period_ns))
			continue;
		due = t - (t - e->deadline_ns) % e->period_ns;
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

/* w, or the given limit where that is reached first or the work runs out. */
static admit_wide interval_busy(struct admit_load *l, admit_wide limit)
{
	admit_wide base = (admit_wide)(l->sums.servers - 1) * l->granularity_ns;
	admit_wide w = base, next = base + 1;
	unsigned keep = l->work / 2;

	while (next != w) {
		w = next;
		if (w >= limit || w >> 61 || l->work <= keep)
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

static nsec_t deadline_shortest(const struct admit_load *l, bool soft_too)
{
	nsec_t least = UINT64_MAX;

	for (size_t i = 0; i < l->n; i++) {
		const struct admit_entry *e = &l->entries[i];

		if ((e->hard || soft_too) && e->deadline_ns < least)
			least = e->deadline_ns;
	}
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

/* From t down to the shortest deadline; what fails below the shortest hard one breaks soft ones. */
static struct admit_proof qpa(struct admit_load *l, nsec_t t)
{
	struct admit_proof p = { .test = ADMIT_TEST_QPA };
	nsec_t first = deadline_shortest(l, true), first_hard = deadline_shortest(l, false);

	for (t = t > first ? t : first;;) {
		admit_wide demand = edf_demand(l, t);
		nsec_t next, stop = t > first_hard ? first_hard : first;

		if (demand > t) {
			p.breaks = due_at(l, deadline_before(l, t, true));
			p.yes = t < first_hard;
			return p;
		}
		if (t == first)
			break;
		if (!admit_spend(l, 2 * l->n)) {
			p.yes = t <= first_hard;
			p.gave_up = !p.yes;
			return p;
		}
		next = deadline_before(l, t - 1, false);
		next = demand < next ? (nsec_t)demand : next;
		t = next > stop ? next : stop;
	}
	p.yes = p.all = true;
	return p;
}

struct admit_proof edf_proves(struct admit_load *l)
{
	bool plain = !l->granularity_ns && !l->sums.constrained;
	struct admit_proof p = { .test = plain ? ADMIT_TEST_UTILISATION : ADMIT_TEST_QPA };
	admit_wide limit, busy;

	p.breaks = l->candidate;
	if (!share_utilisation_at_most(l, 1))
		return p;
	/* U <= 1 at D = P; one server alone; or a density of 1 at most (GFB at M = 1). */
	p.yes = p.all = plain || l->sums.servers <= 1 || gfb_proves(l);
	if (p.yes)
		return p;
	if (l->granularity_ns && share_sum_up(&l->sums.utilisation) >= SHARE_ONE)
		return p;
	limit = interval_linear(l);
	busy = interval_busy(l, limit);
	if (busy < limit)
		limit = busy + deadline_shortest(l, !l->sums.hard);
	p.gave_up = limit >> 62;
	return p.gave_up ? p : qpa(l, (nsec_t)limit);
}
