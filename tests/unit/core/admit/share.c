// SPDX-License-Identifier: Apache-2.0
#include "core/admit/admit_private.h"

#include "test.h"

static struct admit_machine whole_cpus(unsigned n)
{
	return (struct admit_machine){ .n_cpus = n, .ceiling = { BW_ONE_CPU } };
}

static struct admit_task task(nsec_t q, nsec_t d, nsec_t p, unsigned cores)
{
	return (struct admit_task){
		.dl = { q, d, p }, .cores = cores, .guarantee = GUARANTEE_HARD
	};
}

static bool fits_exactly(const struct admit_task *tasks, unsigned n, unsigned cpus)
{
	cleanup_admit_set struct admit_set *s = NULL;
	struct admit_machine m = whole_cpus(cpus);
	struct admit_load l;
	uint32_t id;

	CHECK(admit_set_create(&s, &m, NULL) == 0);
	for (unsigned i = 0; i < n; i++)
		CHECK(admit_hold(s, &tasks[i], &id, NULL) == 0);
	l = admit_set_load(s, NULL, 0);
	return share_utilisation_at_most(&l, cpus);
}

TEST(three_thirds_are_one_cpu)
{
	const struct admit_task t[] = { task(1, 3, 3, 1), task(10, 30, 30, 2) };

	CHECK(fits_exactly(t, 2, 1));
}

TEST(a_hair_more_than_one_cpu_is_not_one)
{
	/* 1/3 + 2/3 + 1/(2^42) */
	const struct admit_task t[] = { task(1, 3, 3, 1), task(2, 3, 3, 1),
		task(1, ADMIT_TIME_MAX_NS, ADMIT_TIME_MAX_NS, 1) };

	CHECK(fits_exactly(t, 2, 1));
	CHECK(!fits_exactly(t, 3, 1));
}

TEST(exact_sums_of_unlike_periods_reach_their_limit)
{
	/* 1/7 + 1/11 + 59/77 = 1 */
	const struct admit_task t[] = { task(1, 7, 7, 1), task(1, 11, 11, 1), task(59, 77, 77, 1) };
	const struct admit_task more[] = { task(1, 7, 7, 1), task(1, 11, 11, 1),
		task(60, 77, 77, 1) };

	CHECK(fits_exactly(t, 3, 1));
	CHECK(!fits_exactly(more, 3, 1));
}

TEST(a_sum_too_fine_to_add_exactly_is_refused)
{
	/* Pairs (p - 1) / p + 1 / p are whole, but their denominators together exceed 128 bits. */
	static const nsec_t primes[] = { 4398046511093, 4398046511087, 4398046511071,
		4398046511051 };
	struct admit_task t[8];

	for (unsigned i = 0; i < 4; i++) {
		t[2 * i] = task(1, primes[i], primes[i], 1);
		t[2 * i + 1] = task(primes[i] - 1, primes[i], primes[i], 1);
	}
	CHECK(fits_exactly(t, 2, 1));
	CHECK(!fits_exactly(t, 8, 4));
}

TEST(a_share_is_rounded_up)
{
	CHECK(share_up(1, 2) == (uint64_t)SHARE_ONE / 2);
	CHECK(share_up(1, 3) == (uint64_t)SHARE_ONE / 3 + 1);
	CHECK(share_up(3, 3) == (uint64_t)SHARE_ONE);
}
