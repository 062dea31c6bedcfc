// SPDX-License-Identifier: Apache-2.0
#include "core/admit/admit_private.h"

#include "test.h"

#define MS NSEC_PER_MSEC

static struct admit_task hard(nsec_t q, nsec_t d, nsec_t p)
{
	return (struct admit_task){ .dl = { q, d, p }, .cores = 1, .guarantee = GUARANTEE_HARD };
}

static struct admit_set *one_cpu(nsec_t g)
{
	struct admit_machine m = { .n_cpus = 1, .ceiling = { BW_ONE_CPU }, .granularity_ns = g };
	struct admit_set *s = NULL;

	CHECK(admit_set_create(&s, &m, NULL) == 0);
	return s;
}

static uint32_t hold(struct admit_set *s, struct admit_task t)
{
	uint32_t id = 0;

	CHECK(admit_hold(s, &t, &id, NULL) == 0);
	return id;
}

static struct admit_verdict ask(struct admit_set *s, struct admit_task t)
{
	return admit_evaluate(s, &t);
}

TEST(implicit_deadlines_fill_one_cpu_by_utilisation)
{
	cleanup_admit_set struct admit_set *s = one_cpu(0);
	struct admit_verdict v;

	hold(s, hard(1, 3, 3));
	hold(s, hard(1, 3, 3));
	v = ask(s, hard(1, 3, 3));
	CHECK(v.yes && v.has_bound && v.bound_ns == 3);
	CHECK_EQ(v.test, ADMIT_TEST_UTILISATION);
	CHECK(!ask(s, hard(2, 3, 3)).yes);
}

TEST(demand_decides_where_a_deadline_is_short)
{
	cleanup_admit_set struct admit_set *s = one_cpu(0);
	struct admit_verdict v;

	hold(s, hard(2, 4, 4));
	v = ask(s, hard(3, 4, 8)); /* h(4) = 5 */
	CHECK(!v.yes && v.why == ADMIT_REFUSAL_DEADLINE);
	CHECK_EQ(v.test, ADMIT_TEST_QPA);
	CHECK_EQ(v.would_fit_runtime_ns, 2);
	v = ask(s, hard(3, 5, 8)); /* h(5) = 5, h(8) = 7, h(13) = 12 */
	CHECK(v.yes && v.test == ADMIT_TEST_QPA && v.bound_ns == 5);
}

TEST(the_trap_of_an_unfloored_bcl_is_refused)
{
	cleanup_admit_set struct admit_set *s = one_cpu(0);

	hold(s, hard(2, 4, 4));
	CHECK(!ask(s, hard(3, 5, 5)).yes);
}

TEST(a_held_promise_that_would_break_is_named)
{
	cleanup_admit_set struct admit_set *s = one_cpu(0);
	uint32_t id = hold(s, hard(5, 9, 20));
	struct admit_verdict v = ask(s, hard(5, 8, 20));

	/* h(9) = 10: the deadline that fails is that of the first. */
	CHECK(!v.yes && v.why == ADMIT_REFUSAL_VICTIM);
	CHECK_EQ(v.victim, id);
}

TEST(the_granularity_counts_once_for_every_other_server)
{
	cleanup_admit_set struct admit_set *s = one_cpu(1);
	struct admit_verdict v;

	hold(s, hard(2, 10, 10));
	hold(s, hard(3, 10, 10));
	CHECK(ask(s, hard(3, 10, 10)).yes); /* 8 + 2 <= 10; U = 0.8 */
	v = ask(s, hard(4, 10, 10)); /* 9 + 2 > 10 */
	CHECK(!v.yes && v.granularity);
	CHECK_EQ(v.would_fit_runtime_ns, 3);
}

TEST(a_whole_cpu_leaves_no_room_for_overruns)
{
	cleanup_admit_set struct admit_set *s = one_cpu(1);
	struct admit_verdict v;

	CHECK(ask(s, hard(10, 10, 10)).yes); /* alone: nobody overruns beside it */
	hold(s, hard(5, 10, 10));
	v = ask(s, hard(50, 100, 100));
	CHECK(!v.yes && v.why != ADMIT_REFUSAL_WORK && v.granularity);
}

TEST(a_soft_one_beside_a_hard_one_must_pass_the_demand_test)
{
	cleanup_admit_set struct admit_set *s = one_cpu(0);
	struct admit_task soft = hard(3, 4, 8);
	struct admit_verdict v;

	soft.guarantee = GUARANTEE_SOFT;
	hold(s, hard(2, 4, 4));
	v = ask(s, soft);
	CHECK(!v.yes && v.why == ADMIT_REFUSAL_VICTIM && v.victim == 1);
	soft.dl.runtime_ns = 2;
	v = ask(s, soft);
	CHECK(v.yes && v.bound_ns == 4);
}

TEST(a_leftover_may_share_its_deadline_with_a_whole_budget)
{
	cleanup_admit_set struct admit_set *s = one_cpu(0);

	hold(s, hard(5, 10, 20));
	CHECK(!ask(s, hard(5, 5, 20)).yes); /* h(5) = 5 + 2.5 */
	CHECK(ask(s, hard(3, 6, 20)).yes); /* h(6) = 3 + 3, h(10) = 3 + 5 */
}

TEST(a_leftover_may_overrun_at_any_deadline)
{
	cleanup_admit_set struct admit_set *s = one_cpu(4);

	hold(s, hard(1, 100, 100));
	CHECK(ask(s, hard(5, 10, 10)).yes); /* h(10) = 5 + 0.1 + 4 */
	hold(s, hard(1, 100, 100));
	CHECK(!ask(s, hard(5, 10, 10)).yes); /* h(10) = 5 + 0.2 + 8 */
}

TEST(a_soft_one_with_a_short_deadline_need_not_keep_it)
{
	cleanup_admit_set struct admit_set *s = one_cpu(2);
	struct admit_task soft = hard(1, 2, 10);
	struct admit_verdict v;
	nsec_t bound;

	soft.guarantee = GUARANTEE_SOFT;
	hold(s, hard(2, 10, 10));
	v = ask(s, soft); /* h(2) = 1 + 0.4 + 2, h(10) = 1 + 2 + 2 */
	CHECK(v.yes && v.test == ADMIT_TEST_SUM);
	CHECK_EQ(v.bound_ns, 2 + 1 + 2);
	hold(s, soft);
	CHECK(admit_bound(s, 1, &bound) && bound == 10);
	CHECK(admit_bound(s, 2, &bound) && bound == 5);
}

/* w = 28, and h(41) = 8.2 + 18 + 10.9 + 7: beyond w + 1, where only soft ones' deadlines are. */
TEST(a_hard_one_looks_a_busy_period_beyond_its_own_deadline)
{
	cleanup_admit_set struct admit_set *s = one_cpu(0);
	struct admit_task soft[] = { hard(3, 15, 15), hard(9, 11, 30), hard(1, 1, 6) };

	for (unsigned i = 0; i < ARRAY_SIZE(soft); i++) {
		soft[i].guarantee = GUARANTEE_SOFT;
		hold(s, soft[i]);
	}
	CHECK(!ask(s, hard(8, 30, 30)).yes);
	CHECK(ask(s, hard(4, 30, 30)).yes); /* h(41) = 38.7 */
}

TEST(soft_ones_alone_on_one_cpu_are_late_by_their_early_deadlines)
{
	cleanup_admit_set struct admit_set *s = one_cpu(2);
	struct admit_task soft = hard(3, 6, 8);
	struct admit_verdict v;
	nsec_t bound;

	soft.guarantee = GUARANTEE_SOFT;
	CHECK_EQ(ask(s, soft).test, ADMIT_TEST_SUM);
	hold(s, soft);
	v = ask(s, soft);
	CHECK(v.yes);
	/* ceil(3 * 2 / 8) = 1 each, and the other's overrun. */
	CHECK_EQ(v.bound_ns, 6 + 1 + 1 + 2);
	CHECK(admit_bound(s, 1, &bound) && bound <= v.bound_ns);
}

TEST(real_durations_do_not_overflow)
{
	cleanup_admit_set struct admit_set *s = one_cpu(4 * MS);
	nsec_t longest = ADMIT_TIME_MAX_NS;

	CHECK(ask(s, hard(longest / 2, longest, longest)).yes);
	hold(s, hard(longest / 2, longest, longest));
	CHECK(ask(s, hard(longest / 8, longest / 2, longest)).yes);
	CHECK(!ask(s, hard(longest / 4, longest / 2, longest)).yes); /* and 4 ms */
	CHECK(!ask(s, hard(longest / 2, longest / 2, longest)).yes);
	CHECK(ask(s, hard(MS, 10 * MS, 10 * MS)).yes);
}
