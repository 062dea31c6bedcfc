// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include "cluster/nri/delay.h"

TEST(without_answers_there_is_nothing_to_tell)
{
	struct delay d = { 0 };
	char text[DELAY_TEXT_MAX];

	CHECK_EQ(delay_percentile_us(&d, 99), 0);
	CHECK(strstr(delay_text(text, &d), "0 answers"));
}

TEST(a_percentile_is_never_below_what_was_seen)
{
	struct delay d = { 0 };
	char text[DELAY_TEXT_MAX];

	for (int i = 0; i < 98; i++)
		delay_add(&d, 60000);
	delay_add(&d, 1000000);
	delay_add(&d, 3000000);
	CHECK_EQ(delay_percentile_us(&d, 50), 64);
	CHECK_EQ(delay_percentile_us(&d, 98), 64);
	CHECK_EQ(delay_percentile_us(&d, 99), 1024);
	CHECK_EQ(delay_percentile_us(&d, 100), 4096);
	CHECK_TEXT(delay_text(text, &d), "100 answers: p50 <= 64 us, p99 <= 1024 us, worst 3 ms");
}

TEST(the_longest_are_counted_too)
{
	struct delay d = { 0 };

	delay_add(&d, UINT64_MAX);
	delay_add(&d, 0);
	CHECK_EQ(d.counts[DELAY_SIZES - 1], 1);
	CHECK_EQ(d.counts[0], 1);
}
