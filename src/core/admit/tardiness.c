// SPDX-License-Identifier: Apache-2.0
/*
 * How late a soft server can be.
 *
 * Several CPUs: Devi & Anderson, "Tardiness bounds under global EDF scheduling on a
 * multiprocessor", Real-Time Systems 38 (2008), the theorem on preemptive EDF. A budget is late
 * by at most x + Q,
 *
 *     x = (sum of the L largest Q  +  n g) / (M - sum of the L largest u),   L = ceil(U) - 1,
 *
 * with u = Q / D and U = sum u <= M: a constrained deadline is taken as an implicit one with the
 * period D, which is more load and the same deadlines. (The paper has the L - 1 largest u, and
 * takes the least Q off: both make x smaller. What is proven here, with overruns, is the form
 * above.)
 *
 * Proof. Call a job what a server runs from a wake-up or replenishment at a on under one deadline
 * d_j: its budget and its overrun o_j in [0, g]. The fluid schedule runs a whole budget evenly
 * over [d_j - D, d_j]: e_j = Q - o_(j-1) + o_j. As the o telescope, it gives a server at most u
 * (b - a) + o(b) - o(a) in any [a, b], o(.) interpolated. Threads that sleep keep within this:
 *  - A leftover c <= u (d_j - a) is run evenly over [a, d_j], and so is its overrun; what was run
 *    of the budget before a sleep, as early as rate u allows before a. Asleep, no server is
 *    behind.
 *  - A budget given up at a' for a fresh one (D = P), e of it run, was given up as the rest was
 *    more than u (d_j - a'): e < u (a' - a) - o(a), run evenly over [a, a'].
 *  - An overrun slept off: o(.) falls at rate u from d_j on while the server sleeps. It is
 *    forgiven by a fresh start when Q - o > u (d - a'), that is when o(a') is 0; if not, what is
 *    kept is u (d - a') - o(a') at most. A fresh start after more than a period (also of a server
 *    so late, replenish_dl_entity()) skips periods worth more than o.
 *
 * Let t be the first deadline whose job ends later than t + x + Q + o_j, look at jobs due by t
 * only, and let b <= t end the last instant when no more than L CPUs worked on them. All that had
 * work then were running: at most L servers. Each lags the fluid schedule by at most Q + u x +
 * o(b): if e of its job is left and d_j < b, then b - d_j <= x + Q + o_j - e, so the lag is at
 * most e + u (b - d_j) + o(b) - o_j, which is largest at e = e_j. From b to t at least U CPUs
 * work, so the lag of all grows by at most the growth of every o(.), and ends at most at sum over
 * L of (Q + u x) + n g <= M x. That is all the work left at t. Either M CPUs finish it by t + x,
 * or one is free before, and the last job runs from then on: it ends by t + x + Q + o_j (behind
 * jobs of its own server too, since Q <= D). So there is no such t.
 *
 * One CPU: of the work due by d, released since t0 when there was none, there is at most U (d -
 * t0) + sum U_i (P_i - D_i), and g for every other server (edf.c). With U <= 1 nothing is later
 * than sum U_i (P_i - D_i) + (n - 1) g.
 *
 * Beside a reclaiming server (GRUB) nothing is proven. Every division, u and U are rounded up.
 */
#include "core/admit/admit_private.h"

typedef uint64_t (*tardiness_pick_fn)(const struct admit_entry *e);

static uint64_t pick_runtime(const struct admit_entry *e)
{
	return e->runtime_ns;
}

static uint64_t pick_density(const struct admit_entry *e)
{
	return e->density_q60;
}

static void heap_sift_up(struct admit_top *heap, size_t at)
{
	while (at > 0 && heap[at].value < heap[(at - 1) / 2].value) {
		struct admit_top swap = heap[at];

		heap[at] = heap[(at - 1) / 2];
		heap[(at - 1) / 2] = swap;
		at = (at - 1) / 2;
	}
}

static void heap_sift_down(struct admit_top *heap, size_t n)
{
	size_t at = 0;

	for (;;) {
		size_t small = 2 * at + 1;
		struct admit_top swap = heap[at];

		if (small >= n)
			return;
		if (small + 1 < n && heap[small + 1].value < heap[small].value)
			small++;
		if (heap[at].value <= heap[small].value)
			return;
		heap[at] = heap[small];
		heap[small] = swap;
		at = small;
	}
}

/* Sum of the largest `wanted` values, each server counted; a heap whose least is on top. */
static admit_wide sum_of_largest(
	const struct admit_load *l, uint64_t wanted, tardiness_pick_fn pick)
{
	struct admit_top *heap = l->scratch.top;
	uint64_t total = 0;
	admit_wide sum = 0;
	size_t size = 0;

	if (!wanted)
		return 0;
	for (size_t i = 0; i < l->n; i++) {
		const struct admit_entry *e = &l->entries[i];

		if (total >= wanted && pick(e) <= heap[0].value)
			continue;
		heap[size++] = (struct admit_top){ pick(e), e->cores };
		heap_sift_up(heap, size - 1);
		total += e->cores;
		sum += (admit_wide)pick(e) * e->cores;
		while (total - heap[0].count >= wanted) {
			total -= heap[0].count;
			sum -= (admit_wide)heap[0].value * heap[0].count;
			heap[0] = heap[--size];
			heap_sift_down(heap, size);
		}
	}
	return total > wanted ? sum - (admit_wide)heap[0].value * (total - wanted) : sum;
}

static bool late_one_cpu(const struct admit_load *l, nsec_t *ret_late_ns)
{
	uint64_t servers = l->sums.servers;

	if (!share_utilisation_at_most(l, 1))
		return false;
	*ret_late_ns = l->sums.early_ns + (servers ? servers - 1 : 0) * l->granularity_ns;
	return true;
}

/* L = ceil(U) - 1 for U <= M: the largest whole number below U. */
static unsigned whole_below(const struct admit_load *l)
{
	unsigned whole = (unsigned)(share_sum_up(&l->sums.density) >> SHARE_SHIFT);

	if (whole && share_density_at_most(l, whole))
		whole--;
	return whole < l->n_cpus ? whole : l->n_cpus - 1;
}

bool tardiness_of_all(const struct admit_load *l, nsec_t *ret_late_ns)
{
	admit_wide work, speed, late;
	unsigned active;

	if (l->sums.reclaiming)
		return false;
	if (l->n_cpus == 1)
		return late_one_cpu(l, ret_late_ns);
	if (!share_density_at_most(l, l->n_cpus))
		return false;
	active = whole_below(l);
	work = sum_of_largest(l, active, pick_runtime);
	work += (admit_wide)l->sums.servers * l->granularity_ns;
	speed = l->n_cpus * SHARE_ONE - sum_of_largest(l, active, pick_density);
	late = work >> 67 ? 0 : ((work << SHARE_SHIFT) + speed - 1) / speed;
	if (work >> 67 || late >> 62)
		return false;
	*ret_late_ns = (nsec_t)late;
	return true;
}

nsec_t tardiness_bound(const struct admit_load *l, const struct admit_entry *e, nsec_t late_ns)
{
	nsec_t own = l->n_cpus == 1 ? 0 : e->runtime_ns;

	return e->deadline_ns + late_ns + own;
}
