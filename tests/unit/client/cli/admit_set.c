// SPDX-License-Identifier: Apache-2.0
#include "client/cli/admit_set.h"

#include "test.h"

#define MS(n) ((n)*NSEC_PER_MSEC)

static struct admit_machine machine(unsigned cpus, nsec_t granularity_ns)
{
	return (struct admit_machine){ cpus, bw_from_ppm(950000), granularity_ns };
}

static struct resv_request request(nsec_t runtime_ns, nsec_t deadline_ns, nsec_t period_ns)
{
	return (struct resv_request){
		.dl = { runtime_ns, deadline_ns, period_ns },
		.cores = 1,
		.guarantee = GUARANTEE_HARD,
	};
}

static bool fits(const struct admit_machine *m, const struct resv_request *q, size_t n)
{
	struct set_answer a;

	CHECK_EQ(set_judge(m, q, n, &a, NULL), 0);
	free(a.verdicts);
	return a.fits;
}

/* Heap's algorithm: each permutation is one swap away from the one before. */
static void each_order(
	const struct admit_machine *m, struct resv_request *q, size_t n, size_t k, bool expected)
{
	if (k <= 1) {
		CHECK_EQ(fits(m, q, n), expected);
		return;
	}
	for (size_t i = 0; i < k; i++) {
		size_t other = k % 2 ? 0 : i;
		struct resv_request swap;

		each_order(m, q, n, k - 1, expected);
		swap = q[other];
		q[other] = q[k - 1];
		q[k - 1] = swap;
	}
}

TEST(the_order_of_a_set_decides_nothing)
{
	struct admit_machine one = machine(1, 0), two = machine(2, 0), coarse = machine(2, MS(1));
	struct resv_request mixed[] = { request(MS(2), MS(5), MS(10)),
		request(MS(4), MS(20), MS(20)), request(MS(1), MS(4), MS(8)),
		request(MS(10), MS(90), MS(100)) };
	bool alone, pair, rough;

	mixed[3].guarantee = GUARANTEE_SOFT;
	alone = fits(&one, mixed, 4);
	pair = fits(&two, mixed, 4);
	rough = fits(&coarse, mixed, 4);
	CHECK(alone && pair);
	each_order(&one, mixed, 4, 4, alone);
	each_order(&two, mixed, 4, 4, pair);
	each_order(&coarse, mixed, 4, 4, rough);
}

TEST(one_that_breaks_the_promise_of_another_is_found_from_either_side)
{
	struct admit_machine one = machine(1, 0);
	struct resv_request a[] = { request(MS(1), MS(2), MS(20)), request(MS(2), MS(2), MS(20)) };
	struct resv_request b[] = { a[1], a[0] };

	CHECK(fits(&one, a, 1) && fits(&one, b, 1));
	CHECK(!fits(&one, a, 2));
	CHECK(!fits(&one, b, 2));
}

TEST(those_behind_one_that_does_not_fit_are_still_judged)
{
	struct admit_machine one = machine(1, 0);
	struct resv_request q[] = { request(MS(5), MS(10), MS(10)), request(MS(5), MS(10), MS(10)),
		request(MS(4), MS(10), MS(10)) };
	struct set_answer a;

	CHECK_EQ(set_judge(&one, q, 3, &a, NULL), 0);
	CHECK(!a.fits);
	CHECK(a.verdicts[0].yes && !a.verdicts[1].yes && a.verdicts[2].yes);
	free(a.verdicts);
}

TEST(the_known_trap_is_refused)
{
	struct admit_machine one = machine(1, 0);
	struct resv_request q[] = { request(MS(2), MS(4), MS(4)), request(MS(3), MS(5), MS(5)) };

	CHECK(!fits(&one, q, 2));
}

TEST(a_machine_out_of_range_is_an_error)
{
	struct admit_machine none = machine(0, 0);
	struct resv_request q = request(MS(1), MS(10), MS(10));
	struct set_answer a = { .fits = true };
	struct err err = ERR_NULL;

	CHECK(set_judge(&none, &q, 1, &a, &err) < 0);
	CHECK(err.text[0] != '\0');
	CHECK(!a.verdicts);
}
