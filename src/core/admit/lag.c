// SPDX-License-Identifier: Apache-2.0
/*
 * Global EDF (M > 1) by lag: the argument of Devi & Anderson (tardiness.c), stopped at a
 * deadline. With the x of tardiness.c, u = Q / D and U = sum u <= M, every budget of server k is
 * had within
 *
 *     R_k = Q_k + floor( (M x - g + U D_k - Q_k) / M )
 *
 * of the wake-up or replenishment that gave it: hard where R_k <= D_k. O(n) for all, and unlike
 * GFB it takes overruns; for no server is anything assumed of the others but the rules in
 * admit.h.
 *
 * Proof. Let k have a budget c <= Q_k from r on, due at d = r + y, y <= D_k, and stay runnable.
 * Look at jobs due by d only, and let b <= r end the last instant when no more than L CPUs worked
 * on them. As shown in tardiness.c the fluid schedule was ahead of all servers together by at
 * most sum over L of (Q + u x) + sum o(b) at b, and, as at least U CPUs worked since, by at most
 * sum over L of (Q + u x) + sum o(r) at r. Of k itself, c is left at r, and the fluid schedule
 * gives it at most u_k y - o_k(r) more up to d: it was ahead of k by at least c - u_k y + o_k(r).
 * To the others it gives at most (U - u_k) y + sum over i != k of (g - o_i(r)) up to d. So what
 * the others have left at r, with what they get up to d, is at most
 *
 *     sum over L of (Q + u x) + (n - 1) g + U y - c  <=  M x - g + U y - c,
 *
 * by the definition of x. Server k waits only while M of them run. Its wait grows with y, and c +
 * wait with c: y = D_k and c = Q_k is the worst. U and x are rounded up, U D_k then down, as what
 * is run is whole.
 */
#include "core/admit/admit_private.h"

/* M x >= n g >= g, and less than 2^80. */
nsec_t lag_response(const struct admit_load *l, const struct admit_entry *e, nsec_t late_ns)
{
	admit_wide fluid = share_sum_up(&l->sums.density) * e->deadline_ns;
	admit_wide others = (admit_wide)l->n_cpus * late_ns - l->granularity_ns;

	others += fluid >> SHARE_SHIFT;
	return e->runtime_ns + (nsec_t)((others - e->runtime_ns) / l->n_cpus);
}

struct admit_proof lag_proves(const struct admit_load *l, const nsec_t *late)
{
	struct admit_proof p = { .test = ADMIT_TEST_LAG };

	if (!late)
		return p;
	p.yes = p.all = true;
	for (size_t i = 0; i < l->n && p.yes; i++) {
		const struct admit_entry *e = &l->entries[i];

		if (lag_response(l, e, *late) <= e->deadline_ns)
			continue;
		p.all = false;
		p.yes = !e->hard;
	}
	return p;
}
