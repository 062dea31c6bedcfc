// SPDX-License-Identifier: Apache-2.0
#include "core/model/cpus.h"

#include <errno.h>

#include "base/cleanup.h"
#include "test.h"

static struct cpus cpus(const char *text)
{
	struct err err = ERR_NULL;
	struct cpus ret = CPUS_NONE;

	if (cpus_parse(text, &ret, &err) < 0)
		fail_msg("%s", err.text);
	return ret;
}

static const char *rewritten(const char *text)
{
	static char buf[CPUS_TEXT_MAX];
	struct cpus c = cpus(text);

	return cpus_format(buf, &c);
}

static const char *refused(const char *text)
{
	static struct err err;
	struct cpus c = cpus("5"), before = c;

	err = ERR_NULL;
	CHECK_EQ(cpus_parse(text, &c, &err), -EINVAL);
	CHECK(cpus_equal(&c, &before));
	CHECK_EQ(cpus_parse(text, &c, NULL), -EINVAL);
	return err.text;
}

TEST(a_list_holds_numbers_and_ranges)
{
	struct cpus c = cpus("0-3,8,10-11");

	CHECK_EQ(cpus_count(&c), 7);
	for (unsigned i = 0; i < 12; i++)
		CHECK_EQ(cpus_contains(&c, i), i <= 3 || i == 8 || i >= 10);
}

TEST(an_empty_list_is_the_empty_set)
{
	struct cpus a = cpus(""), b = cpus("\n");

	CHECK_EQ(cpus_count(&a), 0);
	CHECK(cpus_equal(&a, &b));
	CHECK_TEXT(rewritten(""), "");
}

TEST(a_list_is_written_ascending_with_ranges_joined)
{
	CHECK_TEXT(rewritten("0"), "0");
	CHECK_TEXT(rewritten("0-1\n"), "0-1");
	CHECK_TEXT(rewritten("3,2,1,0"), "0-3");
	CHECK_TEXT(rewritten("8,10-11,0-2,1-3,8"), "0-3,8,10-11");
	CHECK_TEXT(rewritten("62-65,1023"), "62-65,1023");
	CHECK_TEXT(rewritten("0-1023"), "0-1023");
	CHECK_TEXT(rewritten("007"), "7");
}

TEST(the_longest_list_fits_its_buffer_and_is_read_back)
{
	char buf[CPUS_TEXT_MAX], again[CPUS_TEXT_MAX];
	struct cpus pairs = CPUS_NONE, singles = CPUS_NONE, back;

	for (unsigned i = 0; i < CPUS_MAX; i++) {
		if (i % 3 != 2)
			cpus_add(&pairs, i);
		if (i % 2 == 0)
			cpus_add(&singles, i);
	}
	CHECK(strlen(cpus_format(buf, &pairs)) > strlen(cpus_format(again, &singles)));
	CHECK(strlen(buf) < CPUS_TEXT_MAX - 1);
	back = cpus(buf);
	CHECK(cpus_equal(&back, &pairs));
	back = cpus(again);
	CHECK(cpus_equal(&back, &singles));
}

TEST(a_refused_list_is_shown_with_the_reason)
{
	CHECK_TEXT(refused("0-"),
		"\"0-\" is not a list of CPUs as in 0-3,8: the end of a range is missing");
	CHECK_TEXT(refused("3-1"),
		"\"3-1\" is not a list of CPUs as in 0-3,8: the range 3-1 runs backwards");
	CHECK_TEXT(refused("1,"), "\"1,\" is not a list of CPUs as in 0-3,8: it ends in a comma");
	CHECK_TEXT(
		refused(","), "\",\" is not a list of CPUs as in 0-3,8: a CPU number is missing");
	CHECK_TEXT(refused("1024"),
		"\"1024\" is not a list of CPUs as in 0-3,8: CPUs are numbered 0 to 1023 here");
	CHECK_TEXT(refused("0 1"),
		"\"0 1\" is not a list of CPUs as in 0-3,8: only digits, '-' and ',' belong in it");
}

TEST(what_the_kernel_never_writes_is_refused)
{
	static const char *const wrong[] = { " 0", "0 ", "0\n\n", "\n0", "1,\n", "1,,2", "-1",
		"0--1", "0-1-2", "0-1024", "99999999999999999999", "0-99999999999999999999", "0x3",
		"ff", "all", "0-7:2/4", "+1", "1.5", "0\t" };

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		CHECK(strstr(refused(wrong[i]), "is not a list of CPUs as in 0-3,8: "));
}

TEST(a_set_is_a_subset_of_itself_and_of_larger_ones_only)
{
	struct cpus none = CPUS_NONE, a = cpus("1,700"), b = cpus("0-3,700"), c = cpus("2-900");

	CHECK(cpus_subset(&none, &none) && cpus_subset(&none, &a));
	CHECK(cpus_subset(&a, &a) && cpus_subset(&a, &b));
	CHECK(!cpus_subset(&b, &a) && !cpus_subset(&a, &c) && !cpus_subset(&a, &none));
}

TEST(what_one_set_has_and_another_has_not)
{
	struct cpus none = CPUS_NONE, a = cpus("0-3,700"), b = cpus("1-2,900"),
		    rest = cpus("0,3,700");
	struct cpus found = cpus_without(&a, &b);

	CHECK(cpus_equal(&found, &rest));
	found = cpus_without(&a, &none);
	CHECK(cpus_equal(&found, &a));
	found = cpus_without(&a, &a);
	CHECK(cpus_equal(&found, &none));
}

TEST(sets_are_equal_when_every_cpu_is)
{
	struct cpus a = cpus("0-3,900"), b = cpus("900,0-3"), c = cpus("0-3,901");

	CHECK(cpus_equal(&a, &b));
	CHECK(!cpus_equal(&a, &c));
}

TEST(adding_beyond_the_last_cpu_adds_nothing)
{
	struct cpus c = CPUS_NONE;

	CHECK(cpus_add(&c, CPUS_MAX - 1));
	CHECK(!cpus_add(&c, CPUS_MAX) && !cpus_add(&c, UINT32_MAX));
	CHECK_EQ(cpus_count(&c), 1);
	CHECK(!cpus_contains(&c, CPUS_MAX) && !cpus_contains(&c, UINT32_MAX));
}

TEST(iteration_visits_each_cpu_once_ascending)
{
	static const unsigned want[] = { 0, 1, 63, 64, 65, 511, 1023 };
	struct cpus c = cpus("0-1,63-65,511,1023"), none = CPUS_NONE;
	size_t n = 0;

	CPUS_FOREACH(cpu, &c)
	{
		CHECK(n < ARRAY_SIZE(want));
		CHECK_EQ(cpu, want[n++]);
	}
	CHECK_EQ(n, ARRAY_SIZE(want));
	CPUS_FOREACH(cpu, &none)
	fail_msg("%u in the empty set", cpu);
	CHECK_EQ(cpus_next(&c, 66), 511);
	CHECK_EQ(cpus_next(&c, CPUS_MAX), CPUS_MAX);
}
