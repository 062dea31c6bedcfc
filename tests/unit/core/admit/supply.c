// SPDX-License-Identifier: Apache-2.0
#include "core/admit/supply.h"

#include "test.h"

/* The definition: nothing for P + D - 2 Q after a budget had at once, then Q as late as may be. */
static nsec_t least_supply(const struct dl_params *dl, nsec_t window)
{
	nsec_t least = UINT64_MAX;

	for (nsec_t start = 0; start < 2 * dl->period_ns; start++) {
		nsec_t had = 0;

		for (nsec_t t = start; t < start + window; t++) {
			nsec_t in = t % dl->period_ns;

			if (t < dl->period_ns ? in < dl->runtime_ns
					      : in >= dl->deadline_ns - dl->runtime_ns &&
							in < dl->deadline_ns)
				had++;
		}
		if (had < least)
			least = had;
	}
	return least;
}

TEST(supply_is_that_of_the_worst_window)
{
	for (nsec_t p = 1; p <= 7; p++)
		for (nsec_t d = 1; d <= p; d++)
			for (nsec_t q = 1; q <= d; q++)
				for (nsec_t t = 0; t <= 5 * p; t++) {
					struct dl_params dl = { q, d, p };

					CHECK_EQ(supply_in_window(&dl, t), least_supply(&dl, t));
				}
}

TEST(the_window_for_a_demand_is_the_smallest)
{
	for (nsec_t p = 1; p <= 9; p++)
		for (nsec_t d = 1; d <= p; d++)
			for (nsec_t q = 1; q <= d; q++)
				for (nsec_t w = 1; w <= 3 * q + 1; w++) {
					struct dl_params dl = { q, d, p };
					nsec_t t = supply_window_for(&dl, w);

					CHECK(supply_in_window(&dl, t) >= w);
					CHECK(supply_in_window(&dl, t - 1) < w);
				}
}

TEST(a_full_budget_takes_two_periods_less_a_budget)
{
	struct dl_params dl = { 4 * NSEC_PER_MSEC, 20 * NSEC_PER_MSEC, 20 * NSEC_PER_MSEC };

	CHECK_EQ(supply_window_for(&dl, dl.runtime_ns), 36 * NSEC_PER_MSEC);
	CHECK_EQ(supply_window_for(&dl, 0), 0);
	CHECK(supply_window_for(&dl, UINT64_MAX) == UINT64_MAX);
}
