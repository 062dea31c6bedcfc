// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <errno.h>

#include "base/cleanup.h"
#include "test.h"

static uint64_t parsed(const char *text)
{
	struct err err = ERR_NULL;
	uint64_t ns = 7;

	if (duration_parse(text, &ns, &err) < 0)
		fail_msg("%s: %s", text, err.text);
	return ns;
}

static const char *refused(const char *text)
{
	static struct err err;
	uint64_t ns = 7;

	err = ERR_NULL;
	CHECK_EQ(duration_parse(text, &ns, &err), -EINVAL);
	CHECK_EQ(ns, 7);
	CHECK_EQ(duration_parse(text, &ns, NULL), -EINVAL);
	return err.text;
}

static const char *formatted(uint64_t ns)
{
	static char buf[TEXT_NUMBER_MAX];

	return duration_format(buf, ns);
}

static const char *in_words(uint64_t ns)
{
	static char buf[TEXT_NUMBER_MAX];

	return duration_words(buf, ns);
}

static const char *quoted(const char *text)
{
	static char buf[TEXT_QUOTE_MAX];

	return text_quote(buf, text);
}

TEST(a_duration_is_one_number_and_one_unit)
{
	CHECK_EQ(parsed("4ms"), 4000000);
	CHECK_EQ(parsed("1.5ms"), 1500000);
	CHECK_EQ(parsed("500us"), 500000);
	CHECK_EQ(parsed("20s"), 20000000000);
	CHECK_EQ(parsed("100ns"), 100);
	CHECK_EQ(parsed("0ms"), 0);
	CHECK_EQ(parsed("0.000001ms"), 1);
	CHECK_EQ(parsed("010ms"), 10000000);
	CHECK_EQ(parsed("0.123456789s"), 123456789);
}

TEST(zeros_after_the_last_nanosecond_change_nothing)
{
	CHECK_EQ(parsed("1.0ns"), 1);
	CHECK_EQ(parsed("1.50000000000000000000ms"), 1500000);
}

TEST(the_longest_duration_is_2_to_the_63_minus_1_nanoseconds)
{
	CHECK_EQ(parsed("9223372036854775807ns"), INT64_MAX);
	CHECK_EQ(parsed("9223372036.854775807s"), INT64_MAX);
	CHECK_TEXT(refused("9223372036854775808ns"),
		"\"9223372036854775808ns\" is too long: a duration is at most 2^63-1 ns");
	CHECK_TEXT(refused("9223372036.854775808s"),
		"\"9223372036.854775808s\" is too long: a duration is at most 2^63-1 ns");
	CHECK_TEXT(refused("100000000000000000000000000000000000000000000000000000000000000000s"),
		"\"100000000000000000000000000000000000000000000000000000...\" is too long: a "
		"duration is at most 2^63-1 ns");
}

TEST(a_bare_number_is_refused_and_told_of_its_unit)
{
	CHECK_TEXT(refused("20"),
		"\"20\" has no unit: write ns, us, ms or s right after the number, as in 20ms");
	CHECK_TEXT(refused("1.5"),
		"\"1.5\" has no unit: write ns, us, ms or s right after the number, as in 20ms");
}

TEST(a_fraction_finer_than_a_nanosecond_is_refused)
{
	static const char *const wrong[] = { "1.5ns", "0.0001us", "1.0000000001s", "1.00000000001s",
		"1.000000000000000000000001ms" };

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		CHECK(strstr(refused(wrong[i]), " is finer than 1ns, the smallest step"));
}

TEST(any_other_form_is_refused_with_the_right_one)
{
	static const char *const wrong[] = { "", " ", "ms", "-4ms", "+4ms", " 4ms", "4 ms", "4ms ",
		".5ms", "5.ms", "1.5.5ms", "1e3ms", "0x10ms", "4MS", "4m", "4sec", "4ms5us",
		"1,5ms", "4\xc2\xb5s", "auto", "inf", "nan" };
	char want[256];

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		snprintf(want, sizeof(want),
			"%s is not a duration: write one number and one unit (ns, us, ms or s), as "
			"in 4ms, 1.5ms or 500us",
			quoted(wrong[i]));
		CHECK_TEXT(refused(wrong[i]), want);
	}
}

TEST(a_duration_is_written_in_its_shortest_exact_form)
{
	CHECK_TEXT(formatted(0), "0ns");
	CHECK_TEXT(formatted(1), "1ns");
	CHECK_TEXT(formatted(999), "999ns");
	CHECK_TEXT(formatted(1000), "1us");
	CHECK_TEXT(formatted(1024), "1.024us");
	CHECK_TEXT(formatted(950000), "950us");
	CHECK_TEXT(formatted(2500000), "2.5ms");
	CHECK_TEXT(formatted(20000000), "20ms");
	CHECK_TEXT(formatted(1000001), "1.000001ms");
	CHECK_TEXT(formatted(4194304000), "4.194304s");
	CHECK_TEXT(formatted(1000000100), "1000.0001ms");
	CHECK_TEXT(formatted(60000000000), "60s");
	CHECK_TEXT(formatted(INT64_MAX), "9223372036854.775807ms");
	CHECK_TEXT(formatted(UINT64_MAX), "18446744073709.551615ms");
}

TEST(what_is_written_is_read_back_exactly)
{
	uint64_t ns = 1;

	for (int i = 0; i < 200000; i++) {
		/* Numerical Recipes' 64-bit generator (Knuth's MMIX constants). */
		ns = ns * 6364136223846793005u + 1442695040888963407u;
		uint64_t value = (ns >> 1) >> (i % 63);

		CHECK_EQ(parsed(formatted(value)), value);
		value -= value % 1000;
		CHECK_EQ(parsed(formatted(value)), value);
	}
}

TEST(words_have_three_significant_digits_rounded_to_nearest)
{
	CHECK_TEXT(in_words(0), "0 ns");
	CHECK_TEXT(in_words(7), "7 ns");
	CHECK_TEXT(in_words(999), "999 ns");
	CHECK_TEXT(in_words(2500000), "2.5 ms");
	CHECK_TEXT(in_words(950000), "950 us");
	CHECK_TEXT(in_words(1234567), "1.23 ms");
	CHECK_TEXT(in_words(1235000), "1.24 ms");
	CHECK_TEXT(in_words(12345678), "12.3 ms");
	CHECK_TEXT(in_words(123456789), "123 ms");
	CHECK_TEXT(in_words(1500000000), "1.5 s");
}

TEST(words_that_round_up_to_a_thousand_take_the_next_unit)
{
	CHECK_TEXT(in_words(999499), "999 us");
	CHECK_TEXT(in_words(999500), "1 ms");
	CHECK_TEXT(in_words(9995000), "10 ms");
	CHECK_TEXT(in_words(99950000), "100 ms");
	CHECK_TEXT(in_words(999999999), "1 s");
	CHECK_TEXT(in_words(999600000000), "1000 s");
}

TEST(words_of_very_long_times_stay_in_seconds)
{
	CHECK_TEXT(in_words(1234000000000), "1230 s");
	CHECK_TEXT(in_words(1235000000000), "1240 s");
	CHECK_TEXT(in_words(UINT64_MAX), "18400000000 s");
}

TEST(foreign_text_is_quoted_and_made_printable)
{
	CHECK_TEXT(quoted(""), "\"\"");
	CHECK_TEXT(quoted("camera"), "\"camera\"");
	CHECK_TEXT(quoted("a\x1b[2Jb"), "\"a\\x1b[2Jb\"");
	CHECK_TEXT(quoted("\xc3\xa4"), "\"\\xc3\\xa4\"");
}

TEST(quoted_text_is_cut_where_its_buffer_ends)
{
	char text[128] = "", buf[TEXT_QUOTE_MAX];

	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		size_t len = strlen(text_quote(buf, text));

		CHECK(len < TEXT_QUOTE_MAX && buf[len - 1] == '"');
		CHECK(n > 54 || len == n + 2);
		text[n] = n < 54 ? 'x' : "\n?"[n % 2];
	}
	CHECK(strstr(buf, "...\""));
}
