// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include <errno.h>

#include "cluster/dra/quantity.h"

static uint64_t value(const char *text)
{
	struct err err = ERR_NULL;
	uint64_t v = 12345;

	if (quantity_parse(text, &v, &err) < 0)
		fail_msg("%s: %s", text, err.text);
	return v;
}

static void refused(const char *text)
{
	struct err err = ERR_NULL;
	uint64_t v = 12345;

	CHECK_EQ(quantity_parse(text, &v, &err), -EINVAL);
	CHECK_EQ(v, 12345);
	CHECK(err.text[0]);
}

TEST(numbers_with_and_without_a_suffix_are_read)
{
	CHECK_EQ(value("0"), 0);
	CHECK_EQ(value("200000"), 200000);
	CHECK_EQ(value("200k"), 200000);
	CHECK_EQ(value("+1M"), 1000000);
	CHECK_EQ(value("2e5"), 200000);
	CHECK_EQ(value("2E5"), 200000);
	CHECK_EQ(value("20e+4"), 200000);
	CHECK_EQ(value("1Ki"), 1024);
	CHECK_EQ(value("2Mi"), 2097152);
	CHECK_EQ(value("1E"), 1000000000000000000);
	CHECK_EQ(value("9223372036854775807"), INT64_MAX);
}

TEST(fractions_are_rounded_up)
{
	CHECK_EQ(value("0.5"), 1);
	CHECK_EQ(value(".5"), 1);
	CHECK_EQ(value("1."), 1);
	CHECK_EQ(value("1500m"), 2);
	CHECK_EQ(value("1000m"), 1);
	CHECK_EQ(value("1u"), 1);
	CHECK_EQ(value("1n"), 1);
	CHECK_EQ(value("0.0000000000000000000000000001"), 1);
	CHECK_EQ(value("1e-30"), 1);
	CHECK_EQ(value("0e-99"), 0);
	CHECK_EQ(value("233.334k"), 233334);
	CHECK_EQ(value("0.5Ki"), 512);
	CHECK_EQ(value("0.5001Ki"), 513);
	CHECK_EQ(value("1.5Gi"), 1610612736);
}

TEST(what_is_no_quantity_or_too_large_is_refused)
{
	static const char *const wrong[] = { "", " ", "k", ".", "-1", "1 k", "1kk", "1K", "1ki",
		"1e", "1e+", "e5", "1.2.3", "0x10", "1\n", "abc", "9223372036854775808", "10E",
		"8Ei", "1e99", "9999999999999999999999999999999999999999999" };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		refused(wrong[i]);
}
