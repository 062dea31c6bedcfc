// SPDX-License-Identifier: Apache-2.0
#include "core/admit/admit_private.h"

#include "test.h"

#define MS NSEC_PER_MSEC

static struct admit_task hard(nsec_t q, nsec_t d, nsec_t p)
{
	return (struct admit_task){ .dl = { q, d, p }, .cores = 1, .guarantee = GUARANTEE_HARD };
}

static struct admit_task soft(nsec_t q, nsec_t d, nsec_t p)
{
	return (struct admit_task){ .dl = { q, d, p }, .cores = 1, .guarantee = GUARANTEE_SOFT };
}

static struct admit_set *cpus(unsigned n, nsec_t g)
{
	struct admit_machine m = { .n_cpus = n, .ceiling = { BW_ONE_CPU }, .granularity_ns = g };
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

static bool bcl_alone(struct admit_set *s)
{
	struct admit_load l = admit_set_load(s, NULL, s->machine.granularity_ns);
	nsec_t late;

	return bcl_proves(&l, tardiness_of_all(&l, &late) ? &late : NULL).yes;
}

static bool gfb_alone(struct admit_set *s)
{
	struct admit_load l = admit_set_load(s, NULL, s->machine.granularity_ns);

	return gfb_proves(&l);
}

TEST(gfb_takes_what_bcl_does_not)
{
	cleanup_admit_set struct admit_set *s = cpus(2, 0);

	hold(s, hard(6, 15, 15)); /* 0.4 + 0.583 + 0.292 <= 2 - 0.583 */
	hold(s, hard(7, 12, 12));
	hold(s, hard(7, 24, 24));
	CHECK(gfb_alone(s));
	CHECK(!bcl_alone(s));
}

static bool lag_alone(struct admit_set *s)
{
	struct admit_load l = admit_set_load(s, NULL, s->machine.granularity_ns);
	nsec_t late;

	return tardiness_of_all(&l, &late) && lag_proves(&l, &late).yes;
}

TEST(bcl_takes_what_gfb_and_lag_do_not)
{
	cleanup_admit_set struct admit_set *s = cpus(2, 0);

	hold(s, hard(9, 10, 10)); /* 1.71 > 2 - 0.9; x = 9 */
	hold(s, hard(8, 10, 10));
	hold(s, hard(1, 100, 100));
	CHECK(!gfb_alone(s));
	CHECK(!lag_alone(s));
	CHECK(bcl_alone(s)); /* 9 + (2 + 1) / 2 and 8 + (3 + 1) / 2 <= 10 */
}

TEST(lag_takes_overruns_where_bcl_does_not)
{
	cleanup_admit_set struct admit_set *s = cpus(2, 4);

	hold(s, hard(2, 20, 20)); /* U = 0.4: x = 4 * 4 / 2 = 8 */
	hold(s, hard(2, 20, 20));
	hold(s, hard(2, 20, 20));
	hold(s, hard(2, 20, 20));
	CHECK(!gfb_alone(s)); /* only without overruns */
	CHECK(lag_alone(s)); /* 2 + (2 * 8 - 4 + 8 - 2) / 2 = 11 <= 20 */
}

TEST(two_of_a_quarter_fit_beside_a_soft_one_at_a_tick_of_4_ms)
{
	cleanup_admit_set struct admit_set *s = cpus(2, 4 * MS);
	struct admit_task t = hard(2500000, 10 * MS, 10 * MS);
	struct admit_verdict v;

	hold(s, soft(MS, 20 * MS, 20 * MS));
	v = admit_evaluate(s, &t);
	CHECK(v.yes && v.test == ADMIT_TEST_LAG && v.bound_ns == 10 * MS);
	hold(s, t);
	CHECK(admit_evaluate(s, &t).yes);
	hold(s, t);
	v = admit_evaluate(s, &t);
	CHECK(!v.yes && v.granularity);
}

TEST(as_many_servers_as_cpus_always_fit)
{
	cleanup_admit_set struct admit_set *s = cpus(2, 5);

	hold(s, hard(10, 10, 10));
	CHECK(admit_evaluate(s, &(struct admit_task){ hard(10, 10, 10).dl, 1, GUARANTEE_HARD })
			.yes);
}

TEST(the_trap_of_an_unfloored_bcl_is_refused_by_bcl_too)
{
	const struct admit_entry a = {
		.cores = 1, .runtime_ns = 2, .deadline_ns = 4, .period_ns = 4
	};
	const struct admit_entry b = {
		.cores = 1, .runtime_ns = 3, .deadline_ns = 5, .period_ns = 5
	};

	/* Two jobs and a half, at most 5 - 3 + 1: 3 + 3 > 5 */
	CHECK_EQ(bcl_interference(&a, &b, 0), 3);
}

TEST(servers_of_one_reservation_disturb_each_other)
{
	cleanup_admit_set struct admit_set *one = cpus(2, 0), *three = cpus(2, 0);
	struct admit_task t = hard(7, 10, 10);

	t.cores = 2;
	CHECK(admit_evaluate(one, &t).yes);
	t.cores = 3; /* 2.1 CPUs */
	CHECK_EQ(admit_evaluate(three, &t).why, ADMIT_REFUSAL_BANDWIDTH);
	t.dl.runtime_ns = 6;
	CHECK_EQ(admit_evaluate(three, &t).why, ADMIT_REFUSAL_DEADLINE);
	t.dl.runtime_ns = 5;
	CHECK(admit_evaluate(three, &t).yes); /* 1.5 <= 2 - 0.5 */
}

TEST(cores_are_as_many_servers)
{
	cleanup_admit_set struct admit_set *many = cpus(3, 1), *single = cpus(3, 1);
	struct admit_task t = hard(20, 90, 100);
	struct admit_load a, b;

	t.cores = 4;
	hold(many, t);
	for (unsigned i = 0; i < 4; i++)
		hold(single, hard(20, 90, 100));
	a = admit_set_load(many, NULL, 1);
	b = admit_set_load(single, NULL, 1);
	CHECK(a.sums.q20 == b.sums.q20 && a.sums.servers == b.sums.servers);
	CHECK(many->entries[0].interference_ns == single->entries[0].interference_ns);
	CHECK(bcl_alone(many) == bcl_alone(single));
}

TEST(a_refusal_by_the_granularity_says_so)
{
	cleanup_admit_set struct admit_set *s = cpus(2, 4 * MS);
	struct admit_task t = hard(MS, 10 * MS, 10 * MS);
	struct admit_verdict v;

	for (unsigned i = 0; i < 4; i++)
		hold(s, t);
	v = admit_evaluate(s, &t);
	CHECK(!v.yes && v.granularity);
	admit_set_machine(s, &(struct admit_machine){ 2, { BW_ONE_CPU }, 0 });
	CHECK(admit_evaluate(s, &t).yes);
}

TEST(a_newcomer_must_not_break_a_held_promise)
{
	cleanup_admit_set struct admit_set *s = cpus(2, 0);
	uint32_t tight = hold(s, hard(9, 10, 100));
	struct admit_verdict v;

	hold(s, hard(5, 10, 100));
	v = admit_evaluate(s, &(struct admit_task){ { 5, 10, 100 }, 1, GUARANTEE_HARD });
	CHECK(!v.yes && v.why == ADMIT_REFUSAL_VICTIM);
	CHECK_EQ(v.victim, tight);
}

TEST(a_soft_one_must_not_break_a_held_promise)
{
	cleanup_admit_set struct admit_set *s = cpus(2, 0);
	uint32_t tight = hold(s, hard(9, 10, 100));
	struct admit_task t = soft(5, 10, 100);
	struct admit_verdict v;

	CHECK(admit_evaluate(s, &t).yes);
	hold(s, t);
	v = admit_evaluate(s, &t);
	CHECK(!v.yes && v.victim == tight);
}

TEST(soft_is_the_kernels_sum_with_a_tardiness_bound)
{
	cleanup_admit_set struct admit_set *s = cpus(2, 0);
	struct admit_task t = soft(2, 3, 3);
	struct admit_verdict v;
	nsec_t bound;

	hold(s, t);
	hold(s, t);
	v = admit_evaluate(s, &t); /* U = 2: L = 1, x = 2 / (2 - 2/3), up: 2 */
	CHECK(v.yes && v.test == ADMIT_TEST_SUM && v.has_bound);
	CHECK_EQ(v.bound_ns, 3 + 2 + 2);
	hold(s, t);
	CHECK(admit_bound(s, 1, &bound) && bound == 7);
	CHECK_EQ(admit_evaluate(s, &t).why, ADMIT_REFUSAL_BANDWIDTH);
}

TEST(soft_without_a_bound_is_refused)
{
	cleanup_admit_set struct admit_set *s = cpus(2, 0);
	struct admit_task t = soft(5, 5, 20);

	hold(s, t);
	hold(s, t);
	CHECK_EQ(admit_evaluate(s, &t).why, ADMIT_REFUSAL_TARDINESS); /* density 3 on 2 CPUs */
}

TEST(the_granularity_is_in_the_tardiness)
{
	cleanup_admit_set struct admit_set *s = cpus(2, 1);
	struct admit_task t = soft(2, 3, 3);

	hold(s, t);
	hold(s, t);
	/* x = (2 + 3 * 1) / (2 - 2/3) = 3.75, up */
	CHECK_EQ(admit_evaluate(s, &t).bound_ns, 3 + 4 + 2);
}

TEST(reclaiming_is_refused_beside_hard_ones)
{
	cleanup_admit_set struct admit_set *s = cpus(2, 0);
	struct admit_task greedy = soft(1, 10, 10), plain = hard(1, 10, 10);
	struct admit_verdict v;
	nsec_t bound;

	greedy.reclaim = true;
	v = admit_evaluate(s, &greedy);
	CHECK(v.yes && !v.has_bound);
	hold(s, greedy);
	CHECK(!admit_bound(s, 1, &bound));
	CHECK_EQ(admit_evaluate(s, &plain).why, ADMIT_REFUSAL_RECLAIM);
	admit_release(s, 1);
	CHECK(admit_evaluate(s, &plain).yes);
	hold(s, plain);
	CHECK_EQ(admit_evaluate(s, &greedy).why, ADMIT_REFUSAL_RECLAIM);
	plain.reclaim = true;
	CHECK_EQ(admit_evaluate(s, &plain).why, ADMIT_REFUSAL_RECLAIM);
}
