// SPDX-License-Identifier: Apache-2.0
#include "client/cli/report_axis.h"

#include <math.h>

#include "test.h"

static bool near(double a, double b)
{
	return fabs(a - b) <= 1e-9 * fmax(1, fabs(b));
}

static void check_ticks(struct report_axis a, size_t most, const double *want, size_t n)
{
	double ticks[REPORT_TICKS_MAX];

	CHECK_EQ(report_axis_ticks(&a, most, ticks), n);
	for (size_t i = 0; i < n; i++)
		CHECK(near(ticks[i], want[i]));
}

TEST(a_value_is_placed_between_the_ends)
{
	struct report_axis linear = { .low = 0, .high = 40 };
	struct report_axis log = { .low = 1, .high = 100, .log = true };

	CHECK(near(report_axis_place(&linear, 10), 0.25));
	CHECK(near(report_axis_place(&linear, -1), 0));
	CHECK(near(report_axis_place(&linear, 41), 1));
	CHECK(near(report_axis_place(&log, 10), 0.5));
	CHECK(near(report_axis_place(&log, 0), 0));
	CHECK(near(report_axis_place(&log, 1000), 1));
}

TEST(linear_ticks_are_round_and_fit)
{
	check_ticks((struct report_axis){ .low = 0, .high = 40 }, 8,
		(const double[]){ 0, 10, 20, 30, 40 }, 5);
	check_ticks((struct report_axis){ .low = 0, .high = 9.99 }, 8,
		(const double[]){ 0, 2, 4, 6, 8 }, 5);
	check_ticks((struct report_axis){ .low = 0, .high = 3e9 }, 8,
		(const double[]){ 0, 5e8, 1e9, 1.5e9, 2e9, 2.5e9, 3e9 }, 7);
}

TEST(log_ticks_are_1_2_5_or_powers_of_ten_when_there_is_no_room)
{
	check_ticks((struct report_axis){ .low = 1, .high = 50, .log = true }, 8,
		(const double[]){ 1, 2, 5, 10, 20, 50 }, 6);
	check_ticks((struct report_axis){ .low = 1e-4, .high = 1, .log = true }, 8,
		(const double[]){ 1e-4, 1e-3, 1e-2, 1e-1, 1 }, 5);
	check_ticks((struct report_axis){ .low = 1, .high = 1e12, .log = true }, 8,
		(const double[]){ 1, 1e2, 1e4, 1e6, 1e8, 1e10, 1e12 }, 7);
}

TEST(no_axis_has_more_ticks_than_asked)
{
	double ticks[REPORT_TICKS_MAX];

	for (double high = 1.01; high < 1e15; high *= 1.37) {
		struct report_axis linear = { .low = 0, .high = high };
		struct report_axis log = { .low = 1, .high = high, .log = true };

		for (size_t most = 2; most <= REPORT_TICKS_MAX; most++) {
			CHECK(report_axis_ticks(&linear, most, ticks) <= most);
			CHECK(report_axis_ticks(&log, most, ticks) <= most);
		}
	}
}

TEST(an_axis_around_two_values_holds_both)
{
	for (double least = 1; least < 1e9; least *= 1.7) {
		for (double most = least; most < 1e12; most *= 2.3) {
			struct report_axis a = report_axis_around(least, most);

			CHECK(a.log && a.low > 0 && a.low < least && a.high > most);
			CHECK(a.low > least / 3 && a.high < most * 3);
		}
	}
}
