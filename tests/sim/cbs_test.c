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
