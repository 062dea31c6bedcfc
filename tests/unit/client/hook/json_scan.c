// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include <errno.h>
#include <jansson.h>

#include "client/hook/json_scan.h"

static struct bytes bytes_of(const char *text)
{
	return (struct bytes){ text, strlen(text) };
}

/* A copy of exactly that length, so that a sanitizer sees a read behind its end. */
static struct bytes bytes_exact(const char *text, size_t len)
{
	char *copy = malloc(len ? len : 1);

	CHECK(copy);
	memcpy(copy, text, len);
	return (struct bytes){ copy, len };
}

TEST(what_is_json_is_valid_and_what_is_not_is_not)
{
	static const char *const good[] = { "{}", "[]", " { } ", "0", "-0", "1.5e+10", "-12E-3",
		"true", "false", "null", "\"\"", "\"\\u00e4\\n\\/\"", "\"\xc3\xa4\"",
		"[1,[2,[3]],{}]", "{\"a\":[{\"b\":null}],\"c\":\"d\"}", "\"\xf0\x9f\x98\x80\"",
		"\t\r\n[ 1 , 2 ]\n" };
	static const char *const bad[] = { "", " ", "{", "}", "[", "]", "{]", "[1,]", "{\"a\":1,}",
		"{\"a\"}", "{\"a\":}", "{a:1}", "{1:2}", "01", "-", "1.", ".5", "1e", "+1", "1e+",
		"tru", "truex", "nul", "\"", "\"\\\"", "\"\\x\"", "\"\\u12g4\"", "\"\\u12\"",
		"\"a\nb\"", "'a'", "{} {}", "[1 2]", "\"\x80\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"",
		"\"\xf5\x80\x80\x80\"", "\"\xe0\x80\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xc3\"",
		"NaN", "//", "\"\x01\"", "\xef\xbb\xbf{}" };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!scan_valid(bytes_of(good[i])))
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (scan_valid(bytes_of(bad[i])))
			fail_msg("taken: %s", bad[i]);
	CHECK(!scan_valid((struct bytes){ "{}\0", 3 }));
	CHECK(!scan_valid((struct bytes){ "\"a\0b\"", 5 }));
	CHECK(!scan_valid((struct bytes){ "\"\\\0\"", 4 }));
}

TEST(depth_has_a_limit)
{
	char text[2 * JSON_DEPTH_MAX + 3];

	for (int depth = JSON_DEPTH_MAX - 1; depth <= JSON_DEPTH_MAX + 1; depth++) {
		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		CHECK_EQ(scan_valid((struct bytes){ text, 2 * depth }), depth <= JSON_DEPTH_MAX);
	}
}

TEST(a_member_is_found_at_its_own_level_only)
{
	struct bytes object = bytes_of("{\"x\":{\"pid\":1},\"s\":\"\\\"pid\\\":2\", \"pid\" : 3 }");
	struct bytes value;
	int64_t n = 0;

	CHECK_EQ(scan_member(object, "pid", &value), 1);
	CHECK(scan_integer(value, &n));
	CHECK_EQ(n, 3);
	CHECK_EQ(scan_member(object, "x", &value), 1);
	CHECK_EQ(scan_member(value, "pid", &value), 1);
	CHECK(scan_integer(value, &n));
	CHECK_EQ(n, 1);
	CHECK_EQ(scan_member(object, "none", &value), 0);
	CHECK_EQ(scan_member(bytes_of("[1]"), "x", &value), 0);
	CHECK_EQ(scan_member(bytes_of("{}"), "x", &value), 0);
}

TEST(a_member_that_comes_twice_is_counted_also_when_it_is_written_otherwise)
{
	struct bytes value;
	int64_t n = 0;

	CHECK_EQ(scan_member(bytes_of("{\"pid\":1,\"p\\u0069d\":2}"), "pid", &value), 2);
	CHECK(scan_integer(value, &n));
	CHECK_EQ(n, 1);
}

TEST(an_integer_fits_or_is_none)
{
	static const struct {
		const char *text;
		bool ok;
		int64_t n;
	} cases[] = {
		{ "0", true, 0 },
		{ "-7", true, -7 },
		{ "9223372036854775807", true, INT64_MAX },
		{ "-9223372036854775808", true, INT64_MIN },
		{ "9223372036854775808", false, 0 },
		{ "-9223372036854775809", false, 0 },
		{ "99999999999999999999999", false, 0 },
		{ "1.0", false, 0 },
		{ "1e3", false, 0 },
		{ "\"1\"", false, 0 },
		{ "null", false, 0 },
		{ "12 ", true, 12 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t n = 0;

		CHECK_EQ(scan_integer(bytes_of(cases[i].text), &n), cases[i].ok);
		CHECK(!cases[i].ok || n == cases[i].n);
	}
}

TEST(a_text_is_unescaped_to_utf8)
{
	static const struct {
		const char *json, *text;
	} cases[] = {
		{ "\"\"", "" },
		{ "\"plain\"", "plain" },
		{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t" },
		{ "\"\\u0041\\u00e4\\u20AC\"", "A\xc3\xa4\xe2\x82\xac" },
		{ "\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80" },
		{ "\"\xe2\x82\xac\"", "\xe2\x82\xac" },
	};
	char buf[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK_EQ(scan_text(bytes_of(cases[i].json), buf, sizeof(buf)),
			strlen(cases[i].text));
		CHECK_TEXT(buf, cases[i].text);
	}
}

TEST(half_a_character_is_no_text)
{
	static const char *const bad[] = { "\"\\ud83d\"", "\"\\ude00\"", "\"\\ud83dx\"",
		"\"\\ud83d\\u0041\"", "\"\\ud83d\\ud83d\"", "\"a\\u0000b\"", "12", "null", "{}",
		"\"open" };
	char buf[64];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(scan_text(bytes_of(bad[i]), buf, sizeof(buf)), -EINVAL);
}

TEST(a_text_that_is_too_long_is_cut_at_a_character)
{
	char buf[4];

	CHECK_EQ(scan_text(bytes_of("\"abc\""), buf, sizeof(buf)), 3);
	CHECK_TEXT(buf, "abc");
	CHECK_EQ(scan_text(bytes_of("\"abcd\""), buf, sizeof(buf)), 4);
	CHECK_TEXT(buf, "abc");
	CHECK_EQ(scan_text(bytes_of("\"ab\\u20acx\""), buf, sizeof(buf)), 6);
	CHECK_TEXT(buf, "ab");
	CHECK_EQ(scan_text(bytes_of("\"x\""), buf, 1), 1);
	CHECK_TEXT(buf, "");
}

TEST(what_is_put_is_read_back_by_a_real_parser)
{
	static const char nasty[] = "a\"b\\c\nd\te\x01\x1f\x7f/\xc3\xa4\xf0\x9f\x98\x80";
	char buf[256] = "";
	size_t len = 0;
	json_t *json;

	CHECK(scan_put_text(buf, sizeof(buf), &len, nasty));
	CHECK_EQ(len, strlen(buf));
	json = json_loads(buf, JSON_DECODE_ANY, NULL);
	CHECK(json);
	CHECK_TEXT(json_string_value(json), nasty);
	json_decref(json);
	for (size_t size = 1; size <= len; size++) {
		size_t at = 0;

		buf[0] = '\0';
		CHECK(!scan_put_text(buf, size, &at, nasty));
		CHECK(at < size && strlen(buf) == at);
	}
}

/* Every prefix and every changed byte: the same verdict as a full parser's, and no read beyond. */
TEST(a_broken_text_is_judged_as_a_full_parser_does)
{
	static const char text[] =
		"{\"a\":[1,-2.5e3,true,null,\"\\u00e4\\\\\"],\"b\":{\"c\":\"\xc3\xa4\"}}";
	size_t len = sizeof(text) - 1;

	for (size_t cut = 0; cut <= len; cut++) {
		struct bytes part = bytes_exact(text, cut);

		CHECK_EQ(scan_valid(part), cut == len);
		free((char *)part.at);
	}
	for (size_t at = 0; at < len; at++) {
		for (int c = 0; c < 256; c++) {
			struct bytes changed = bytes_exact(text, len);
			json_t *json;

			((char *)changed.at)[at] = (char)c;
			json = json_loadb(changed.at, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
			if (scan_valid(changed) != (json != NULL))
				fail_msg("byte %zu as %d: %s", at, c, json ? "refused" : "taken");
			json_decref(json);
			free((char *)changed.at);
		}
	}
}
