// SPDX-License-Identifier: Apache-2.0
#include "core/model/cbs.h"

#include "test.h"

/* 2 ms in 40 ms; times in ms below. */
static const struct dl_params params = { 2 * NSEC_PER_MSEC, 40 * NSEC_PER_MSEC,
	40 * NSEC_PER_MSEC };

#define MS(n) ((nsec_t)((n)*NSEC_PER_MSEC))

static struct cbs begun(void)
{
	struct cbs s;

	cbs_begin(&s, &params, MS(100));
	CHECK_EQ(s.left_ns, MS(2));
	CHECK_EQ(s.deadline_ns, MS(140));
	return s;
}

TEST(what_ran_is_gone_until_the_period_ends)
{
	struct cbs s = begun();

	cbs_charge(&s, MS(101), MS(1));
	CHECK_EQ(s.left_ns, MS(1));
	cbs_charge(&s, MS(103), MS(2));
	CHECK_EQ(s.left_ns, 0);
	cbs_charge(&s, MS(139), 0);
	CHECK_EQ(s.left_ns, 0);
	cbs_charge(&s, MS(141), MS(0.5));
	CHECK_EQ(s.left_ns, MS(1.5));
	CHECK_EQ(s.deadline_ns, MS(180));
}

TEST(who_wakes_after_the_deadline_begins_anew)
{
	struct cbs s = begun();

	cbs_charge(&s, MS(102), MS(1.9));
	cbs_wake(&s, MS(150));
	CHECK_EQ(s.left_ns, MS(2));
	CHECK_EQ(s.deadline_ns, MS(190));
}

TEST(who_wakes_with_no_more_than_its_share_goes_on)
{
	struct cbs s = begun();

	cbs_charge(&s, MS(101), MS(1));
	cbs_wake(&s, MS(120)); /* 1 ms left of the 20 to come: just the share */
	CHECK_EQ(s.left_ns, MS(1));
	CHECK_EQ(s.deadline_ns, MS(140));
}

TEST(who_wakes_with_more_than_its_share_begins_anew)
{
	struct cbs s = begun();

	cbs_charge(&s, MS(101), MS(1));
	cbs_wake(&s, MS(121));
	CHECK_EQ(s.left_ns, MS(2));
	CHECK_EQ(s.deadline_ns, MS(161));
}

TEST(who_runs_on_past_the_deadline_pays_from_the_next_budget)
{
	struct cbs s = begun();

	cbs_charge(&s, MS(135), MS(1));
	cbs_charge(&s, MS(141), MS(4));
	CHECK_EQ(s.left_ns, 0);
	CHECK_EQ(s.deadline_ns, MS(180));
	cbs_charge(&s, MS(200), MS(3));
	CHECK_EQ(s.left_ns, 0);
	CHECK_EQ(s.deadline_ns, MS(220));
}
