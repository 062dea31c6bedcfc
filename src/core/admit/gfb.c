// SPDX-License-Identifier: Apache-2.0
/*
 * Global EDF by density: Goossens, Funk & Baruah, "Priority-driven scheduling of periodic task
 * systems on multiprocessors", Real-Time Systems 25 (2003), theorem 5; with D for T as in Bertogna,
 * Cirinei & Lipari, ECRTS 2005. With d_i = (Q_i + g) / D_i, all deadlines are kept when
 *
 *     max d <= 1   and   sum d <= M - (M - 1) max d.
 *
 * Why inflating by g is enough. Take as one job what a server runs under one deadline d_j: budget
 * left by the last overrun, at most Q, and its own overrun, at most g. The job may run from r_j, no
 * later than d_j - D, and the next server deadline is at least P >= D after d_j, so that the
 * windows [d_j - D, d_j] of one server do not overlap. A uniform machine with one processor of
 * speed d_i per server therefore finishes every such job within that window, whatever the
 * arrivals. Global EDF on M unit CPUs keeps every deadline of any set of jobs that a uniform
 * machine of total speed s and fastest processor f <= 1 can keep, if M >= s + (M - 1) f (their
 * theorem 4): this is the condition. The overrun is then done by d_j too, which is more than is
 * promised. Every d_i is rounded up.
 */
#include "core/admit/admit_private.h"

bool gfb_proves(const struct admit_load *l)
{
	bool inflate = l->granularity_ns > 0;
	admit_wide sum = inflate ? l->sums.inflated_q60 : share_sum_up(&l->sums.density);
	admit_wide max = inflate ? l->sums.inflated_max_q60 : l->sums.density_max_q60;

	return max <= SHARE_ONE && sum + (l->n_cpus - 1) * max <= l->n_cpus * SHARE_ONE;
}
