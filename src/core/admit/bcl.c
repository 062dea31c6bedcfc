// SPDX-License-Identifier: Apache-2.0
/*
 * Global EDF by interference: Bertogna, Cirinei & Lipari, "Improved schedulability analysis of
 * EDF on multiprocessor platforms", ECRTS 2005, and its iteration, "Schedulability analysis of
 * global scheduling algorithms on multiprocessor platforms", IEEE TPDS 20(4), 2009, theorem 6;
 * with the throttle granularity g, and with a W_i for CBS servers whose threads sleep and wake as
 * they like.
 *
 * Let k have a budget from r on and stay runnable; its deadline is r + D_k at the latest. With
 * X_i, how late any budget of server i can be had at most, counted from its deadline, and v = D_k
 * + X_i, server i runs in [r, r + D_k] under deadlines <= r + D_k at most
 *
 *     W_i = floor(v / P_i) Q_i + min(Q_i, v mod P_i) + g       where D_i < P_i or v < P_i + Q_i
 *     W_i = Q_i + floor(Q_i (v - Q_i) / P_i) + g               otherwise
 *     R_k = Q_k + floor( sum over i != k of min(W_i, D_k - Q_k + 1) / M )
 *
 * and k has its budget by r + R_k if R_k <= D_k: if it had not, M others would run for at least
 * D_k - Q_k + 1 of the window (TPDS, lemma 3). Servers of one reservation disturb each other.
 *
 * W_i. At r, server i has e <= Q_i of a budget left, due at r + z. As that is had by r + z + X_i,
 * z >= e - X_i: deadlines may be past, for a leftover woken late is promised nothing by its
 * deadline. Every later deadline is at least P_i after the one before it, and each is worth Q_i:
 * together e + Q_i floor((D_k - z) / P_i), largest at z = e - X_i and e = min(Q_i, v mod P_i).
 * Where D_i = P_i a wake-up may bring a fresh budget before that, but only in exchange for a part
 * of the old one that is worth the time (edf.c): e + U_i (D_k - z), largest at e = Q_i. With
 * nothing left at r it is dbf_i(D_k) of edf.c, which is less, as X_i >= Q_i. Overruns: edf.c; one
 * in progress at r is taken off the next budget, and makes the deadline older by less than that.
 *
 * X_i. What tardiness.c proves of all budgets, whatever else happens: x + Q_i. And R_i, once R_i
 * <= D_i is known: for let a wake-up at b give a budget due at b + y, 0 < y <= D_i, and the
 * deadlines b + y + P, b + y + 2 P, .. follow without sleep. The first is had by b + R_i, the
 * next begins at b + P, or then if that is later, and is had by b + P + R_i (R_i <= P; if the
 * first was overrun by o, the next is Q - o), and so on: each by R_i - y after its deadline. All
 * as if hard: X_i = D_i holds up to the first budget of anybody that is not had within D_i, and
 * if every R_i <= D_i comes out then there is no first. Hard ones beside soft ones: X_i = x + Q_i
 * for all. Both ways each R_i found makes X_i smaller.
 *
 * Rounding: what is run is whole, so that W_i may be rounded down.
 */
#include "core/admit/admit_private.h"

static nsec_t least(nsec_t a, nsec_t b)
{
	return a < b ? a : b;
}

/* W_i in the window of `on`, capped by what can matter to it; < 2^44, of 2^20 servers at most. */
static nsec_t interference(
	const struct admit_entry *by, const struct admit_entry *on, nsec_t late, nsec_t g)
{
	nsec_t cap = on->deadline_ns - on->runtime_ns + 1, v = on->deadline_ns + late;
	nsec_t q = by->runtime_ns, p = by->period_ns, work = q;

	if (cap <= q + g)
		return cap;
	if (v >= p && v < p + q)
		work += v - p;
	else if (v >= p && by->deadline_ns == p)
		work += (v - q) / p * q +
			(nsec_t)((admit_wide)((v - q) % p) * by->density_q60 >> SHARE_SHIFT);
	else if (v >= p)
		work = v / p * q + least(q, v % p);
	return least(work + g, cap);
}

nsec_t bcl_interference(const struct admit_entry *by, const struct admit_entry *on, nsec_t g)
{
	return interference(by, on, by->deadline_ns, g) * (by == on ? by->cores - 1 : by->cores);
}

static nsec_t response(const struct admit_load *l, const struct admit_entry *e, nsec_t sum)
{
	return e->runtime_ns + sum / l->n_cpus;
}

/* The sum over all others at X = D; from the cache but for what the candidate adds. */
static nsec_t sum_at_first(const struct admit_load *l, const struct admit_entry *on)
{
	nsec_t sum = on->interference_ns, g = l->granularity_ns;

	if (l->cached && on != l->candidate)
		return l->candidate ? sum + bcl_interference(l->candidate, on, g) : sum;
	sum = 0;
	for (size_t i = 0; i < l->n; i++)
		sum += bcl_interference(&l->entries[i], on, g);
	return sum;
}

static nsec_t sum_of_all(const struct admit_load *l, const struct admit_entry *on)
{
	nsec_t sum = 0, g = l->granularity_ns;

	for (size_t i = 0; i < l->n; i++) {
		const struct admit_entry *by = &l->entries[i];

		sum += interference(by, on, l->scratch.late[i], g) *
		       (by == on ? by->cores - 1 : by->cores);
	}
	return sum;
}

/* Judges entry k with what is known so far, and keeps what is learned. True: something was. */
static bool judge_one(struct admit_load *l, size_t k, nsec_t sum)
{
	const struct admit_entry *e = &l->entries[k];
	struct admit_scratch *s = &l->scratch;
	nsec_t r = response(l, e, sum);
	bool learned;

	if (r > e->deadline_ns)
		return false;
	learned = s->fails[k] || r < s->late[k];
	s->fails[k] = false;
	s->late[k] = least(s->late[k], r);
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
		if (judge_one(l, k, sum_of_all(l, &l->entries[k])))
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

/* As if all were hard. */
static struct admit_proof prove_all(struct admit_load *l, const nsec_t *x)
{
	for (size_t k = 0; k < l->n; k++) {
		const struct admit_entry *e = &l->entries[k];

		l->scratch.late[k] = e->deadline_ns;
		if (x)
			l->scratch.late[k] = least(e->deadline_ns, *x + e->runtime_ns);
		l->scratch.fails[k] = true;
	}
	for (size_t k = 0; k < l->n; k++) {
		if (!l->cached && !admit_spend(l, l->n))
			return (struct admit_proof){ .test = ADMIT_TEST_BCL, .gave_up = true };
		judge_one(l, k, sum_at_first(l, &l->entries[k]));
	}
	return iterate(l, true);
}

/* Beside soft ones, late by as much as they can be. */
static struct admit_proof prove_hard(struct admit_load *l, nsec_t x)
{
	for (size_t k = 0; k < l->n; k++) {
		const struct admit_entry *e = &l->entries[k];

		l->scratch.late[k] = x + e->runtime_ns;
		l->scratch.fails[k] = lag_response(l, e, x) > e->deadline_ns;
	}
	return iterate(l, false);
}

struct admit_proof bcl_proves(struct admit_load *l, const nsec_t *late)
{
	struct admit_proof p = prove_all(l, late), hard;
	bool gave_up = p.gave_up;

	if (p.yes || !l->sums.hard || !late)
		return p;
	hard = prove_hard(l, *late);
	hard.gave_up = hard.gave_up || gave_up;
	return hard;
}
