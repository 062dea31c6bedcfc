// SPDX-License-Identifier: Apache-2.0
#include "api/params.h"

#include <errno.h>

#include "base/cleanup.h"
#include "test.h"

static json_t *load(const char *text)
{
	json_t *value = json_loads(text, 0, NULL);

	CHECK(value != NULL);
	return value;
}

TEST(bind_takes_a_name_a_pid_and_perhaps_a_container)
{
	cleanup_json json_t *full =
		load("{\"name\":\"camera\",\"pid\":42,\"container\":\"c0ffee\"}");
	cleanup_json json_t *less = load("{\"name\":\"camera\",\"pid\":1,\"container\":null}");
	struct api_bind b;

	CHECK_EQ(api_bind_decode(full, &b, NULL), 0);
	CHECK_TEXT(b.name, "camera");
	CHECK_EQ(b.pid, 42);
	CHECK_TEXT(b.container, "c0ffee");
	CHECK_EQ(api_bind_decode(less, &b, NULL), 0);
	CHECK(!b.container && b.via == VIA_NONE && !b.running);
}

TEST(bind_may_say_which_way_it_came_and_that_the_program_runs)
{
	cleanup_json json_t *p =
		load("{\"name\":\"camera\",\"pid\":42,\"via\":\"nri\",\"running\":true}");
	struct api_bind b;

	CHECK_EQ(api_bind_decode(p, &b, NULL), 0);
	CHECK(b.via == VIA_NRI && b.running);
}

static void refuse_bind(const char *text, const char *parameter)
{
	cleanup_json json_t *p = load(text);
	struct api_bind b = { .pid = 7 };
	struct err err = ERR_NULL;

	CHECK_EQ(api_bind_decode(p, &b, &err), -EINVAL);
	CHECK(strncmp(err.text, parameter, strlen(parameter)) == 0);
	CHECK_EQ(b.pid, 7);
}

TEST(bind_refuses_by_the_name_of_the_wrong_parameter)
{
	refuse_bind("{\"pid\":1}", "name:");
	refuse_bind("{\"name\":\"../x\",\"pid\":1}", "name:");
	refuse_bind("{\"name\":7,\"pid\":1}", "name:");
	refuse_bind("{\"name\":\"a\"}", "pid:");
	refuse_bind("{\"name\":\"a\",\"pid\":0}", "pid:");
	refuse_bind("{\"name\":\"a\",\"pid\":-1}", "pid:");
	refuse_bind("{\"name\":\"a\",\"pid\":2147483648}", "pid:");
	refuse_bind("{\"name\":\"a\",\"pid\":1.5}", "pid:");
	refuse_bind("{\"name\":\"a\",\"pid\":1,\"container\":\"\"}", "container:");
	refuse_bind("{\"name\":\"a\",\"pid\":1,\"container\":1}", "container:");
	refuse_bind("{\"name\":\"a\",\"pid\":1,\"via\":\"none\"}", "via:");
	refuse_bind("{\"name\":\"a\",\"pid\":1,\"via\":1}", "via:");
	refuse_bind("{\"name\":\"a\",\"pid\":1,\"running\":1}", "running:");
	refuse_bind("{\"name\":\"a\",\"pid\":1,\"cgroup\":\"/x\"}", "cgroup:");
}

TEST(attach_takes_up_to_64_threads)
{
	cleanup_json json_t *p = load("{\"tids\":[]}");
	json_t *tids = json_object_get(p, "tids");
	struct api_threads t;

	CHECK_EQ(api_threads_decode(p, &t, NULL), -EINVAL);
	for (int i = 1; i <= API_TIDS_MAX; i++)
		json_array_append_new(tids, json_integer(i));
	CHECK_EQ(api_threads_decode(p, &t, NULL), 0);
	CHECK(!t.name);
	CHECK_EQ(t.n, API_TIDS_MAX);
	CHECK_EQ(t.tids[API_TIDS_MAX - 1], API_TIDS_MAX);
	json_array_append_new(tids, json_integer(65));
	CHECK_EQ(api_threads_decode(p, &t, NULL), -EINVAL);
}

TEST(attach_refuses_what_is_no_thread)
{
	static const char *const bad[] = { "{\"tids\":7}", "{}", "{\"tids\":[0]}",
		"{\"tids\":[\"1\"]}", "{\"tids\":[1],\"name\":\"\"}", "{\"tids\":[1],\"pid\":1}",
		"{\"tids\":[1,2,1]}" };
	struct api_threads t;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cleanup_json json_t *p = load(bad[i]);

		CHECK_EQ(api_threads_decode(p, &t, NULL), -EINVAL);
	}
}

TEST(a_name_is_required)
{
	cleanup_json json_t *none = json_object(), *null = load("{\"name\":null}");
	const char *name = "old";

	CHECK_EQ(api_name_decode(none, &name, NULL), -EINVAL);
	CHECK_EQ(api_name_decode(null, &name, NULL), -EINVAL);
	CHECK_TEXT(name, "old");
}

TEST(list_takes_a_name_or_a_prefix_or_nothing)
{
	static const char *const bad[] = { "{\"name\":\"a\",\"prefix\":\"a\"}", "{\"prefix\":7}",
		"{\"prefix\":[]}", "{\"x\":1}" };
	cleanup_json json_t *none = json_object(), *prefix = load("{\"prefix\":\"arm-rt.\"}");
	struct api_list asked;

	CHECK_EQ(api_list_decode(none, &asked, NULL), 0);
	CHECK(!asked.name && !asked.prefix);
	CHECK_EQ(api_list_decode(prefix, &asked, NULL), 0);
	CHECK_TEXT(asked.prefix, "arm-rt.");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cleanup_json json_t *p = load(bad[i]);

		CHECK_EQ(api_list_decode(p, &asked, NULL), -EINVAL);
	}
}

TEST(release_takes_a_name_and_whether_only_an_unheld_one_is_meant)
{
	cleanup_json json_t *none = json_object(), *plain = load("{\"name\":\"a\"}");
	cleanup_json json_t *unheld = load("{\"name\":\"a\",\"unheld\":true,\"lazy\":true}");
	cleanup_json json_t *text = load("{\"name\":\"a\",\"unheld\":\"yes\"}");
	struct api_release asked;

	CHECK_EQ(api_release_decode(none, &asked, NULL), -EINVAL);
	CHECK_EQ(api_release_decode(text, &asked, NULL), -EINVAL);
	CHECK_EQ(api_release_decode(plain, &asked, NULL), 0);
	CHECK(!asked.unheld && !asked.lazy);
	CHECK_EQ(api_release_decode(unheld, &asked, NULL), 0);
	CHECK(asked.unheld && asked.lazy);
}

TEST(reserve_takes_a_document_and_whether_it_is_transient)
{
	cleanup_json json_t *good = load("{\"document\":{}}"), *bad = load("{\"document\":[]}");
	cleanup_json json_t *more = load("{\"document\":{},\"force\":true}");
	cleanup_json json_t *brief = load("{\"document\":{},\"transient\":true}");
	cleanup_json json_t *several = load("{\"document\":{},\"shareable\":true}");
	cleanup_json json_t *number = load("{\"document\":{},\"transient\":1}");
	struct api_reserve asked = { 0 };

	CHECK_EQ(api_reserve_decode(good, &asked, NULL), 0);
	CHECK(json_is_object(asked.document) && !asked.transient);
	CHECK_EQ(api_reserve_decode(bad, &asked, NULL), -EINVAL);
	CHECK_EQ(api_reserve_decode(more, &asked, NULL), -EINVAL);
	CHECK_EQ(api_reserve_decode(number, &asked, NULL), -EINVAL);
	CHECK_EQ(api_reserve_decode(brief, &asked, NULL), 0);
	CHECK(asked.transient && !asked.shareable);
	CHECK_EQ(api_reserve_decode(several, &asked, NULL), 0);
	CHECK(asked.shareable && !asked.transient);
}

#define LINE "{\"name\":\"nri\",\"status\":\"limited\",\"detail\":\"off\",\"mend\":\"on\"}"
#define FINE "{\"name\":\"kubelet\",\"status\":\"ok\",\"detail\":\"there\",\"mend\":null}"
#define TELL(source, lines, ms) "{\"source\":" source ",\"checks\":[" lines "],\"forMs\":" ms "}"

TEST(tell_takes_lines_for_a_while)
{
	cleanup_json json_t *two = load(TELL("\"takt-dra\"", LINE "," FINE, "90000"));
	cleanup_json json_t *none = load(TELL("\"takt-dra\"", "", "1"));
	struct api_tell t;

	CHECK_EQ(api_tell_decode(two, &t, NULL), 0);
	CHECK_TEXT(t.source, "takt-dra");
	CHECK_EQ(t.for_ms, 90000);
	CHECK_EQ(t.n, 2);
	CHECK_TEXT(t.checks[0].name, "nri");
	CHECK_EQ(t.checks[0].status, CHECK_LIMITED);
	CHECK_TEXT(t.checks[0].detail, "off");
	CHECK_TEXT(t.checks[0].mend, "on");
	CHECK_EQ(t.checks[1].status, CHECK_OK);
	CHECK(!t.checks[1].mend);
	CHECK_EQ(api_tell_decode(none, &t, NULL), 0);
	CHECK_EQ(t.n, 0);
}

static void refuse_tell(const char *text, const char *what)
{
	cleanup_json json_t *p = load(text);
	struct api_tell t = { .n = 7 };
	struct err err = ERR_NULL;

	CHECK_EQ(api_tell_decode(p, &t, &err), -EINVAL);
	CHECK(strncmp(err.text, what, strlen(what)) == 0);
	CHECK_EQ(t.n, 7);
}

TEST(tell_refuses_by_the_name_of_what_is_wrong)
{
	refuse_tell("{}", "source:");
	refuse_tell(TELL("7", LINE, "1"), "source:");
	refuse_tell(TELL("\"\"", LINE, "1"), "source:");
	refuse_tell(TELL("\"Takt DRA\"", LINE, "1"), "source:");
	refuse_tell(TELL("\"a23456789012345678901234567890123\"", LINE, "1"), "source:");
	refuse_tell(TELL("\"a\"", LINE, "0"), "forMs:");
	refuse_tell(TELL("\"a\"", LINE, "3600001"), "forMs:");
	refuse_tell(TELL("\"a\"", LINE, "\"1\""), "forMs:");
	refuse_tell("{\"source\":\"a\",\"forMs\":1}", "checks:");
	refuse_tell(TELL("\"a\"", "1", "1"), "checks: name:");
	refuse_tell(TELL("\"a\"", "{\"name\":\"x y\"}", "1"), "checks: name:");
	refuse_tell(
		TELL("\"a\"", "{\"name\":\"x\",\"status\":\"none\"}", "1"), "checks: x: status:");
	refuse_tell(TELL("\"a\"", "{\"name\":\"x\",\"status\":\"ok\"}", "1"), "checks: x: detail");
	refuse_tell(
		TELL("\"a\"", "{\"name\":\"x\",\"status\":\"ok\",\"detail\":\"y\",\"mend\":\"\"}",
			"1"),
		"checks: x: detail");
	refuse_tell(TELL("\"a\"", "{\"name\":\"x\",\"pid\":1}", "1"), "checks: pid:");
	refuse_tell(TELL("\"a\"", LINE "," LINE, "1"), "checks: nri is there twice");
	refuse_tell("{\"source\":\"a\",\"checks\":[],\"forMs\":1,\"x\":1}", "x:");
}

/* One line more than there may be, or one byte. */
TEST(tell_is_bounded)
{
	cleanup_json json_t *p = load(TELL("\"a\"", "", "1"));
	json_t *checks = json_object_get(p, "checks");
	char text[API_TELL_TEXT_MAX + 2], name[] = "a";
	struct api_tell t;

	memset(text, 'x', sizeof(text));
	text[API_TELL_TEXT_MAX + 1] = '\0';
	for (unsigned i = 0; i < API_TELL_CHECKS_MAX; i++, name[0]++)
		json_array_append_new(checks, json_pack("{s:s, s:s, s:s}", "name", name, "status",
						      "no", "detail", text + 1));
	CHECK_EQ(api_tell_decode(p, &t, NULL), 0);
	CHECK_EQ(t.n, API_TELL_CHECKS_MAX);
	json_object_set_new(json_array_get(checks, 0), "detail", json_string(text));
	CHECK_EQ(api_tell_decode(p, &t, NULL), -EINVAL);
	json_object_set_new(json_array_get(checks, 0), "detail", json_string("x"));
	json_array_append_new(
		checks, json_pack("{s:s, s:s, s:s}", "name", name, "status", "no", "detail", "x"));
	CHECK_EQ(api_tell_decode(p, &t, NULL), -EINVAL);
}

TEST(a_call_without_parameters_refuses_any)
{
	cleanup_json json_t *none = json_object(), *some = load("{\"x\":1}");

	CHECK_EQ(api_nothing_decode(none, NULL), 0);
	CHECK_EQ(api_nothing_decode(some, NULL), -EINVAL);
}
