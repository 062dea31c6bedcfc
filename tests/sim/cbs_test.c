// SPDX-License-Identifier: Apache-2.0
/* The simulator itself, on schedules worked out by hand. */
#include "sim/cbs.h"

#include "test.h"

TEST(one_greedy_server_has_its_share_and_no_more)
{
	struct cbs_setup s = { .n_cpus = 1, .n = 1, .until = 100, .seed = 1 };
	struct cbs_result r;

	s.servers[0] = (struct cbs_server){ .runtime = 3, .deadline = 10, .period = 10 };
	r = cbs_run(&s);
	CHECK_EQ(r.ran[0], 30);
	CHECK_EQ(r.lateness[0], -7);
}

TEST(an_overrun_is_paid_back_in_the_next_period)
{
	struct cbs_setup s = { .n_cpus = 1, .n = 1, .until = 100, .granularity = 2, .seed = 1 };
	struct cbs_result r;

	s.servers[0] = (struct cbs_server){
		.runtime = 3, .deadline = 10, .period = 10, .overrun = CBS_OVERRUN_ALWAYS
	};
	r = cbs_run(&s);
	CHECK_EQ(r.ran[0], 32); /* 5 at first, then 1 + 2 each */
}

TEST(an_overrun_of_more_than_a_budget_skips_periods)
{
	struct cbs_setup s = { .n_cpus = 1, .n = 1, .until = 60, .granularity = 5, .seed = 1 };
	struct cbs_result r;

	s.servers[0] = (struct cbs_server){
		.runtime = 2, .deadline = 10, .period = 10, .overrun = CBS_OVERRUN_ALWAYS
	};
	r = cbs_run(&s);
	/* At 10 it owes 5: deadline 40, 1 left, runs 1 + 5 and waits until 40. */
	CHECK_EQ(r.ran[0], 7 + 6 + 6);
}

TEST(edf_on_one_cpu_meets_a_full_load_and_misses_more)
{
	struct cbs_setup s = { .n_cpus = 1, .n = 2, .until = 60, .seed = 1 };
	struct cbs_result r;

	s.servers[0] = (struct cbs_server){ .runtime = 2, .deadline = 4, .period = 4 };
	s.servers[1] = (struct cbs_server){ .runtime = 3, .deadline = 6, .period = 6 };
	r = cbs_run(&s);
	CHECK(r.lateness[0] <= 0 && r.lateness[1] <= 0);

	s.servers[1] = (struct cbs_server){ .runtime = 3, .deadline = 5, .period = 5 };
	r = cbs_run(&s);
	CHECK(r.lateness[0] > 0 || r.lateness[1] > 0);
}

/* Dhall & Liu 1978: two CPUs, hardly more than one of them used, and still a miss. */
TEST(global_edf_shows_the_effect_of_dhall)
{
	struct cbs_setup s = { .n_cpus = 2, .n = 3, .until = 200, .seed = 1 };
	struct cbs_result r;

	s.servers[0] = (struct cbs_server){ .runtime = 2, .deadline = 20, .period = 20 };
	s.servers[1] = (struct cbs_server){ .runtime = 2, .deadline = 20, .period = 20 };
	s.servers[2] = (struct cbs_server){ .runtime = 20, .deadline = 21, .period = 21 };
	r = cbs_run(&s);
	CHECK_EQ(r.lateness[2], 1);
}

/* One server alone, which sleeps when `brings` is left and wakes at `meets_at`. */
static int64_t ran(struct cbs_server c, int64_t g, int64_t until)
{
	struct cbs_setup s = { .n_cpus = 1, .n = 1, .until = until, .granularity = g, .seed = 1 };

	c.overrun = CBS_OVERRUN_ALWAYS;
	c.sleep = CBS_SLEEP_NAPS;
	s.servers[0] = c;
	return cbs_run(&s).ran[0];
}

TEST(a_leftover_that_fits_its_deadline_is_kept)
{
	struct cbs_server c = {
		.runtime = 4, .deadline = 10, .period = 10, .meets_at = 5, .brings = 2
	};

	CHECK_EQ(ran(c, 0, 6), 3);
	CHECK_EQ(ran(c, 0, 10), 4); /* 0 to 2, 5 to 7, and the next at 10 */
	CHECK_EQ(ran(c, 0, 11), 5);
}

TEST(a_leftover_that_does_not_fit_is_refreshed)
{
	struct cbs_server c = {
		.runtime = 4, .deadline = 10, .period = 10, .meets_at = 5, .brings = 3
	};

	CHECK_EQ(ran(c, 0, 15), 5); /* 0 to 1, 5 to 9, and the next at 15 */
	CHECK_EQ(ran(c, 0, 16), 6);
}

TEST(a_leftover_that_does_not_fit_a_short_deadline_is_cut)
{
	struct cbs_server c = {
		.runtime = 4, .deadline = 8, .period = 20, .meets_at = 6, .brings = 3
	};

	CHECK_EQ(ran(c, 0, 20), 2); /* 0 to 1, 6 to 7: (8 - 6) * 4 / 8 */
	CHECK_EQ(ran(c, 0, 21), 3);
	CHECK_EQ(ran(c, 2, 20), 4); /* overrun by 2 */
	CHECK_EQ(ran(c, 2, 40), 8); /* paid: 2, and 2 too much */
}

TEST(a_wake_up_after_a_short_deadline_waits_for_the_next_period)
{
	struct cbs_server c = {
		.runtime = 4, .deadline = 8, .period = 20, .meets_at = 10, .brings = 3
	};

	CHECK_EQ(ran(c, 0, 20), 1);
	CHECK_EQ(ran(c, 0, 40), 5);
	c.meets_at = 25; /* beyond it: afresh, due at 33 */
	CHECK_EQ(ran(c, 0, 45), 5);
	CHECK_EQ(ran(c, 0, 46), 6);
}

TEST(an_overrun_slept_off_is_forgiven_and_else_paid)
{
	struct cbs_server c = {
		.runtime = 4, .deadline = 10, .period = 10, .meets_at = 13, .brings = -2
	};

	CHECK_EQ(ran(c, 2, 13), 6); /* replenished to 2 at 10, due at 20 */
	CHECK_EQ(ran(c, 2, 20), 10); /* 2 <= (20 - 13) * 4 / 10, and 2 too much */
	c.meets_at = 16; /* 2 > (20 - 16) * 4 / 10 */
	CHECK_EQ(ran(c, 2, 26), 12);
	CHECK_EQ(ran(c, 2, 27), 13);
}

TEST(a_neighbour_that_overruns_takes_up_to_g_from_the_others)
{
	struct cbs_setup s = { .n_cpus = 1, .n = 2, .until = 50, .granularity = 3, .seed = 1 };
	struct cbs_result r;

	s.servers[0] = (struct cbs_server){
		.runtime = 2, .deadline = 9, .period = 10, .overrun = CBS_OVERRUN_ALWAYS
	};
	s.servers[1] = (struct cbs_server){ .runtime = 6, .deadline = 10, .period = 10 };
	r = cbs_run(&s);
	CHECK_EQ(r.lateness[1], 1);
}
