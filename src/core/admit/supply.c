// SPDX-License-Identifier: Apache-2.0
#include "core/admit/supply.h"

/*
 * The worst window starts when a budget has just been had at once, and the next comes as late as
 * its deadline allows: nothing for P + D - 2 Q, then Q at the start of every P.
 */
static nsec_t supply_gap(const struct dl_params *dl)
{
	return dl->period_ns - dl->runtime_ns + dl->deadline_ns - dl->runtime_ns;
}

nsec_t supply_in_window(const struct dl_params *dl, nsec_t window_ns)
{
	nsec_t gap = supply_gap(dl), after, part;

	if (window_ns <= gap)
		return 0;
	after = window_ns - gap;
	part = after % dl->period_ns;
	return after / dl->period_ns * dl->runtime_ns +
	       (part < dl->runtime_ns ? part : dl->runtime_ns);
}

nsec_t supply_window_for(const struct dl_params *dl, nsec_t demand_ns)
{
	unsigned __int128 window = supply_gap(dl);
	nsec_t whole;

	if (!demand_ns)
		return 0;
	whole = (demand_ns - 1) / dl->runtime_ns;
	window += (unsigned __int128)whole * dl->period_ns + (demand_ns - whole * dl->runtime_ns);
	return window < UINT64_MAX ? (nsec_t)window : UINT64_MAX;
}
