// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/retry.h"

#include <errno.h>

#include "test.h"

TEST(the_wait_grows_by_two_from_a_fifth_of_a_second_to_half_a_minute)
{
	CHECK_EQ(kube_backoff_ms(0, 0), 200);
	CHECK_EQ(kube_backoff_ms(1, 0), 400);
	CHECK_EQ(kube_backoff_ms(7, 0), 25600);
	CHECK_EQ(kube_backoff_ms(8, 0), 30000);
	CHECK_EQ(kube_backoff_ms(63, 0), 30000);
	CHECK_EQ(kube_backoff_ms(~0U, 0), 30000);
}

TEST(half_of_the_wait_is_by_chance)
{
	uint64_t least = ~0ULL, most = 0;

	for (uint64_t i = 0; i < 1000; i++) {
		uint64_t ms = kube_backoff_ms(3, i * 0x9e3779b97f4a7c15ULL);

		least = ms < least ? ms : least;
		most = ms > most ? ms : most;
		CHECK(ms >= 800 && ms <= 1600);
	}
	CHECK(least < 850 && most > 1550);
}

TEST(a_call_waits_as_long_as_the_server_says_if_that_is_longer)
{
	CHECK_EQ(kube_wait_ms(0, 0, 0), 200);
	CHECK_EQ(kube_wait_ms(0, 7, 0), 7100);
	CHECK_EQ(kube_wait_ms(5, 1, 0), 6400);
	CHECK_EQ(kube_wait_ms(0, ~0U, 0), 60100);
}

TEST(an_orderly_end_after_some_seconds_is_followed_at_once)
{
	unsigned failures = 5;
	struct kube_end end = { .lived_ms = KUBE_LIVED_MS, .brought = true };
	struct kube_next next = kube_retry(&end, &failures, 0);

	CHECK(!next.list && next.delay_ms == 0 && failures == 0);
	end.brought = false; /* not even a bookmark: our version may be none of this server's */
	next = kube_retry(&end, &failures, 0);
	CHECK(next.list && next.delay_ms == 0 && failures == 0);
}

TEST(a_server_that_ends_streams_at_once_is_not_asked_in_a_hurry)
{
	unsigned failures = 0;
	struct kube_end end = { .lived_ms = 10 };
	uint64_t before = 0;

	for (int i = 0; i < 7; i++) {
		struct kube_next next = kube_retry(&end, &failures, 0);

		CHECK(!next.list && next.delay_ms > before);
		before = next.delay_ms;
	}
	end.brought = true;
	CHECK_EQ(kube_retry(&end, &failures, 0).delay_ms, 200);
}

TEST(gone_and_what_makes_no_sense_lead_to_a_list)
{
	static const struct {
		int code;
		bool list;
	} rows[] = { { -ESTALE, true }, { -EINVAL, true }, { -EPROTO, true }, { -EMSGSIZE, true },
		{ -EIO, false }, { -ETIMEDOUT, false }, { -ECONNREFUSED, false }, { -EBUSY, false },
		{ -EACCES, false }, { -EREMOTEIO, false } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned failures = 0;
		struct kube_end end = { .code = rows[i].code, .brought = true };

		CHECK_EQ(kube_retry(&end, &failures, 0).list, rows[i].list);
		CHECK_EQ(failures, 1);
		end.listing = true;
		CHECK(kube_retry(&end, &failures, 0).list);
	}
}

TEST(the_server_may_ask_for_a_longer_wait_but_not_for_ever)
{
	unsigned failures = 0;
	struct kube_end end = { .code = -EBUSY, .retry_after_s = 7 };

	CHECK_EQ(kube_retry(&end, &failures, 0).delay_ms, 7100);
	end.retry_after_s = 4000000000;
	CHECK(kube_retry(&end, &failures, 0).delay_ms <= 61000);
	failures = 20;
	end.retry_after_s = 1;
	CHECK_EQ(kube_retry(&end, &failures, 0).delay_ms, 30000);
}
