/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server gives to those inside it, at worst: the periodic resource. For response times of
 * work longer than one budget, and for groups; no verdict uses it, as a group of this kernel
 * (RT_GROUP_SCHED, v1) only throttles and proves nothing.
 *
 * Shin & Lee, "Periodic resource model for compositional real-time guarantees", RTSS 2003, eq. 2
 * (D = P), and its explicit-deadline form, Easwaran, Anand & Lee, RTSS 2007, eq. 4 (D <= P). Both
 * functions are exact in integers. A server that overruns its budget by g pays it back later:
 * with granularity g ask for demand + g.
 */
#pragma once

#include "core/model/units.h"

/* Least CPU time that the server (0 < Q <= D <= P) gives in any window of this length. */
nsec_t supply_in_window(const struct dl_params *dl, nsec_t window_ns);

/*
 * Smallest window in which the server surely gives this much: P + D - Q for one full budget, which
 * is 2 P - Q where D = P. UINT64_MAX when it is beyond 64 bits.
 */
nsec_t supply_window_for(const struct dl_params *dl, nsec_t demand_ns);
