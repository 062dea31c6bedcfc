// SPDX-License-Identifier: Apache-2.0
#include "core/admit/admit_private.h"

#include <errno.h>

#include "test.h"

#define MS NSEC_PER_MSEC

static const struct admit_machine two_cpus = { 2, { 996147 }, 0 }; /* 0.95 each */

static struct admit_task task(nsec_t q, nsec_t d, nsec_t p, enum guarantee g)
{
	return (struct admit_task){ .dl = { q, d, p }, .cores = 1, .guarantee = g };
}

static uint64_t next(uint64_t *state, uint64_t below)
{
	*state = *state * 6364136223846793005 + 1442695040888963407;
	return (*state >> 33) % below;
}

/* Held one by one from nothing, in the same order. */
static void check_same_as_new(struct admit_set *s)
{
	cleanup_admit_set struct admit_set *fresh = NULL;

	CHECK(admit_set_create(&fresh, &s->machine, NULL) == 0);
	for (size_t i = 0; i < s->n; i++) {
		const struct admit_entry *e = &s->entries[i];
		struct admit_task t = {
			.dl = { e->runtime_ns, e->deadline_ns, e->period_ns },
			.cores = e->cores,
			.guarantee = e->hard ? GUARANTEE_HARD : GUARANTEE_SOFT,
			.reclaim = e->reclaim,
		};
		uint32_t id;

		CHECK(admit_hold(fresh, &t, &id, NULL) == 0);
	}
	CHECK_EQ(memcmp(&fresh->sums, &s->sums, sizeof(s->sums)), 0);
	for (size_t i = 0; i < s->n; i++) {
		CHECK_EQ(fresh->entries[i].interference_ns, s->entries[i].interference_ns);
	}
}

TEST(sums_after_any_steps_are_those_of_a_new_set)
{
	cleanup_admit_set struct admit_set *s = NULL;
	uint64_t random = 5;
	uint32_t id;

	CHECK(admit_set_create(&s, &two_cpus, NULL) == 0);
	for (unsigned step = 0; step < 3000; step++) {
		uint64_t what = next(&random, 100);

		if (what < 55) {
			nsec_t p = 1 + next(&random, 1000), d = 1 + next(&random, p);
			struct admit_task t = task(1 + next(&random, d), d, p,
				what < 30 ? GUARANTEE_HARD : GUARANTEE_SOFT);

			t.cores = 1 + (unsigned)next(&random, 4);
			t.reclaim = what == 50;
			CHECK(admit_hold(s, &t, &id, NULL) == 0);
		} else if (what < 98 && s->n) {
			admit_release(s, s->entries[next(&random, s->n)].id);
		} else {
			struct admit_machine m = s->machine;

			m.granularity_ns = next(&random, 30);
			m.n_cpus = 1 + (unsigned)next(&random, 4);
			admit_set_machine(s, &m);
		}
		if (step % 50 == 0)
			check_same_as_new(s);
	}
	check_same_as_new(s);
}

TEST(evaluating_changes_nothing)
{
	cleanup_admit_set struct admit_set *s = NULL;
	struct admit_task t = task(3 * MS, 10 * MS, 10 * MS, GUARANTEE_HARD);
	struct admit_verdict a, b;
	uint32_t id;

	CHECK(admit_set_create(&s, &two_cpus, NULL) == 0);
	for (unsigned i = 0; i < 40; i++) {
		struct admit_sums before = s->sums;

		a = admit_evaluate(s, &t);
		b = admit_evaluate(s, &t);
		CHECK_EQ(memcmp(&a, &b, sizeof(a)), 0);
		CHECK_EQ(memcmp(&before, &s->sums, sizeof(before)), 0);
		if (a.yes)
			CHECK(admit_hold(s, &t, &id, NULL) == 0);
	}
	check_same_as_new(s);
}

TEST(the_kernels_sum_is_never_exceeded)
{
	cleanup_admit_set struct admit_set *s = NULL;
	struct admit_task t = task(9 * MS, 10 * MS, 10 * MS, GUARANTEE_SOFT);
	struct admit_verdict v;
	uint32_t id;

	CHECK(admit_set_create(&s, &two_cpus, NULL) == 0);
	CHECK(admit_hold(s, &t, &id, NULL) == 0);
	v = admit_evaluate(s, &t);
	CHECK(v.yes);
	CHECK_EQ(v.asked.q20, 943719);
	CHECK_EQ(v.free.q20, 2 * 996147 - 943719);
	CHECK(admit_hold(s, &t, &id, NULL) == 0);
	CHECK_EQ(admit_promised(s).q20, 2 * 943719);
	v = admit_evaluate(s, &t);
	CHECK(!v.yes && v.why == ADMIT_REFUSAL_BANDWIDTH && v.test == ADMIT_TEST_SUM);
	t.dl.runtime_ns = v.would_fit_runtime_ns;
	CHECK(admit_evaluate(s, &t).yes);
	t.dl.runtime_ns++;
	CHECK(!admit_evaluate(s, &t).yes);
}

TEST(a_hard_bound_goes_when_somebody_was_held_unjudged_and_comes_back)
{
	cleanup_admit_set struct admit_set *s = NULL;
	struct admit_task t = task(9 * MS, 10 * MS, 10 * MS, GUARANTEE_HARD);
	uint32_t mine, foreign[2];
	nsec_t bound = 0;

	CHECK(admit_set_create(&s, &two_cpus, NULL) == 0);
	CHECK(admit_hold(s, &t, &mine, NULL) == 0);
	CHECK(admit_bound(s, mine, &bound) && bound == 10 * MS);
	t.guarantee = GUARANTEE_SOFT;
	CHECK(admit_hold(s, &t, &foreign[0], NULL) == 0);
	CHECK(admit_hold(s, &t, &foreign[1], NULL) == 0);
	CHECK(!admit_bound(s, mine, &bound));
	admit_release(s, foreign[0]);
	CHECK(admit_bound(s, mine, &bound) && bound == 10 * MS);
}

TEST(what_is_not_a_server_is_refused)
{
	const struct admit_task bad[] = {
		task(0, 10, 10, GUARANTEE_HARD),
		task(11, 10, 10, GUARANTEE_HARD),
		task(5, 11, 10, GUARANTEE_HARD),
		task(5, 10, ADMIT_TIME_MAX_NS + 1, GUARANTEE_HARD),
		task(5, 10, 10, GUARANTEE_NONE),
		{ .dl = { 5, 10, 10 }, .cores = 0, .guarantee = GUARANTEE_HARD },
		{ .dl = { 5, 10, 10 }, .cores = UINT32_MAX, .guarantee = GUARANTEE_HARD },
	};
	cleanup_admit_set struct admit_set *s = NULL;
	uint32_t id = 7;

	CHECK(admit_set_create(&s, &two_cpus, NULL) == 0);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err err = ERR_NULL;

		CHECK_EQ(admit_evaluate(s, &bad[i]).why, ADMIT_REFUSAL_PARAMS);
		CHECK_EQ(admit_hold(s, &bad[i], &id, &err), -EINVAL);
		CHECK(err.text[0] && id == 7);
	}
}

TEST(a_machine_out_of_range_is_refused)
{
	struct admit_machine none = { 0, { BW_ONE_CPU }, 0 };
	struct admit_machine slow = { 1, { BW_ONE_CPU }, ADMIT_TIME_MAX_NS + 1 };
	struct admit_set *s = NULL;

	CHECK_EQ(admit_set_create(&s, &none, NULL), -EINVAL);
	CHECK_EQ(admit_set_create(&s, &slow, NULL), -EINVAL);
	CHECK(!s);
}

TEST(an_unknown_id_is_nothing)
{
	cleanup_admit_set struct admit_set *s = NULL;
	nsec_t bound;

	CHECK(admit_set_create(&s, &two_cpus, NULL) == 0);
	admit_release(s, 3);
	CHECK(!admit_bound(s, 3, &bound));
	admit_set_destroy(NULL);
}

TEST(a_set_has_a_limit)
{
	cleanup_admit_set struct admit_set *s = NULL;
	struct admit_task t = task(1, 1000, 1000, GUARANTEE_SOFT);
	uint32_t id;

	t.cores = ADMIT_SERVERS_MAX;
	CHECK(admit_set_create(&s, &two_cpus, NULL) == 0);
	CHECK(admit_hold(s, &t, &id, NULL) == 0);
	CHECK_EQ(admit_hold(s, &t, &id, NULL), -ENOSPC);
	CHECK(!admit_evaluate(s, &t).yes);
}
