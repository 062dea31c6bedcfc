// SPDX-License-Identifier: Apache-2.0
#include "cluster/wire/grpc_text.h"

#include <errno.h>

#include "test.h"

static int parse(const char *text, uint64_t *ret)
{
	return grpc_timeout_parse((struct bytes){ text, strlen(text) }, ret);
}

TEST(a_timeout_has_digits_and_a_unit)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {
		{ "1n", 1 },
		{ "2u", 2000 },
		{ "3m", 3000000 },
		{ "45S", UINT64_C(45000000000) },
		{ "2M", UINT64_C(120000000000) },
		{ "1H", UINT64_C(3600000000000) },
		{ "0S", 0 },
		{ "00000001n", 1 },
		{ "99999999S", UINT64_C(99999999000000000) },
		{ "99999999H", INT64_MAX },
	};
	uint64_t ns = 7;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CHECK_EQ(parse(good[i].text, &ns), 0);
		CHECK(ns == good[i].ns);
	}
}

TEST(anything_else_is_no_timeout)
{
	static const char *const bad[] = { "", "S", "1", "123456789S", "1s", "1 S", "-1S", "+1S",
		"1.5S", "1SS", "1S ", "x1S", "1\xff" };
	uint64_t ns = 7;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(parse(bad[i], &ns), -EINVAL);
	CHECK(ns == 7);
}

static const char *encode(const char *text)
{
	static char buf[GRPC_ENCODED_MAX + 1];

	buf[grpc_message_encode(buf, text)] = '\0';
	return buf;
}

TEST(what_is_not_printable_is_percent_encoded)
{
	CHECK_TEXT(encode(""), "");
	CHECK_TEXT(encode("a b~!"), "a b~!");
	CHECK_TEXT(encode("100%"), "100%25");
	CHECK_TEXT(encode("a\r\n\tb\x7f\x01"), "a%0D%0A%09b%7F%01");
	CHECK_TEXT(encode("\xff\xc3\xa9"), "%FF%C3%A9");
}

TEST(a_long_message_is_cut_and_never_inside_a_character)
{
	char text[GRPC_MESSAGE_MAX + 8];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	CHECK_EQ(strlen(encode(text)), GRPC_MESSAGE_MAX - 1);

	/* A character of three bytes, of which the limit would leave one, two, or all. */
	for (size_t left = 1; left <= 3; left++) {
		memset(text, 'x', sizeof(text) - 1);
		memcpy(text + GRPC_MESSAGE_MAX - 1 - left, "\xe2\x82\xac", 3);
		CHECK_EQ(strlen(encode(text)),
			GRPC_MESSAGE_MAX - 1 - (left < 3 ? left : 0) + (left < 3 ? 0 : 6));
	}
	memset(text, '\x80', sizeof(text) - 1);
	CHECK_EQ(strlen(encode(text)), 3 * (GRPC_MESSAGE_MAX - 1));
}
