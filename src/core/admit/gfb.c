// SPDX-License-Identifier: Apache-2.0
/*
 * Global EDF by density: Goossens, Funk & Baruah, "Priority-driven scheduling of periodic task
 * systems on multiprocessors", Real-Time Systems 25 (2003), theorem 5; with D for T as in
 * Bertogna, Cirinei & Lipari, ECRTS 2005. With u_i = Q_i / D_i, and no overruns, all deadlines
 * are kept when
 *
 *     max u <= 1   and   sum u <= M - (M - 1) max u.
 *
 * Why it holds whatever the threads do. Global EDF on M unit CPUs keeps every deadline of any
 * collection of jobs that a uniform machine of total speed s and fastest processor f <= 1 can
 * keep, if M >= s + (M - 1) f (their theorem 4). Give each server a processor of speed u_i. What
 * it runs from a wake-up or replenishment on is a job: its budget c is at most u_i times the time
 * to its deadline (that is the wake-up rule, admit.h), and the windows of the jobs of one server
 * do not overlap. A job given up half done for a fresh budget had run e < u_i (t' - t) when it
 * was given up at t', so that it is done on that processor by then.
 *
 * Not with overruns. Inflating, (Q + g) / D, is wrong: a leftover woken shortly before its
 * deadline may be overrun by all of g there, and no processor does that in time. lag.c and bcl.c
 * take it.
 */
#include "core/admit/admit_private.h"

bool gfb_proves(const struct admit_load *l)
{
	admit_wide sum = share_sum_up(&l->sums.density), max = l->sums.density_max_q60;

	if (l->granularity_ns)
		return false;
	return sum + (l->n_cpus - 1) * max <= l->n_cpus * SHARE_ONE;
}
