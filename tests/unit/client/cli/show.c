// SPDX-License-Identifier: Apache-2.0
#include "client/cli/show.h"

#include "base/cleanup.h"
#include "test.h"

TEST(cpus_have_at_most_three_decimals)
{
	char buf[SHOW_TEXT_MAX];

	CHECK_TEXT(show_cpu(buf, 0), "0");
	CHECK_TEXT(show_cpu(buf, 499), "0");
	CHECK_TEXT(show_cpu(buf, 250000), "0.25");
	CHECK_TEXT(show_cpu(buf, 500), "0.001");
	CHECK_TEXT(show_cpu(buf, 333334), "0.333");
	CHECK_TEXT(show_cpu(buf, 200001), "0.2");
	CHECK_TEXT(show_cpu(buf, 1000000), "1");
	CHECK_TEXT(show_cpu(buf, 10000000), "10");
	CHECK_TEXT(show_cpu(buf, -50000), "-0.05");
	CHECK_TEXT(show_cpu(buf, INT64_MIN), "-9223372036854.776");
}

TEST(what_is_missing_or_of_another_type_is_absent)
{
	cleanup_json json_t *o = json_pack("{s:i, s:s, s:i}", "a", 2500000, "b", "x", "c", -1);
	char buf[SHOW_TEXT_MAX];

	CHECK_TEXT(show_duration(buf, o, "a"), "2.5ms");
	CHECK(!show_duration(buf, o, "b") && !show_duration(buf, o, "c"));
	CHECK(!show_duration(buf, o, "d") && !show_duration(buf, NULL, "a"));
	CHECK(!show_text(o, "a") && !show_text(NULL, "a"));
	CHECK_TEXT(show_text(o, "b"), "x");
}

TEST(a_moment_is_local_time_with_milliseconds)
{
	char buf[SHOW_TEXT_MAX];

	setenv("TZ", "UTC", 1);
	CHECK_TEXT(show_moment(buf, 1700000000123), "2023-11-14 22:13:20.123");
	CHECK_TEXT(show_moment(buf, -1), "-");
}

TEST(a_list_is_completed_with_null)
{
	cleanup_json json_t *reply =
		json_loads("{\"reservations\": [{\"name\": \"a\", \"boundNs\": 1}, 7]}", 0, NULL);
	const json_t *row = json_array_get(json_object_get(reply, "reservations"), 0);

	CHECK_EQ(show_complete(reply, NULL), 0);
	CHECK_EQ(json_integer_value(json_object_get(row, "boundNs")), 1);
	CHECK(json_is_null(json_object_get(row, "container")));
	CHECK(json_is_null(json_object_get(row, "trouble")));
}
