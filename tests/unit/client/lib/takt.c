// SPDX-License-Identifier: Apache-2.0
#include <takt/takt.h>

#include <errno.h>

#include "../fake_agent.h"
#include "base/cleanup.h"
#include "test.h"

CLEANUP_DEFINE(struct takt *, takt_close)
#define cleanup_takt __attribute__((cleanup(takt_close_p)))

#define AGENT(...) ((struct fake_agent){ .steps = { __VA_ARGS__ } })

static struct takt *open_at(const char *path)
{
	struct takt *t = NULL;

	CHECK_EQ(takt_open(&t, path), 0);
	return t;
}

static json_t *heard(const struct fake_agent *a, size_t i)
{
	json_t *message = json_loads(a->heard[i], 0, NULL);

	CHECK(message != NULL);
	return message;
}

TEST(reserve_sends_the_document_and_returns_the_device)
{
	struct fake_agent a =
		AGENT({ "{\"parameters\":{\"device\":\"rt.takt.dev/reservation=a\"}}" });
	cleanup_json json_t *message = NULL;
	cleanup_free char *device = NULL;
	const json_t *p;
	struct takt *t;

	fake_start(&a);
	t = open_at(a.path);
	CHECK_EQ(takt_reserve(t, "{\"kind\":\"Reservation\"}", &device), 0);
	CHECK_TEXT(device, "rt.takt.dev/reservation=a");
	CHECK_TEXT(takt_error(t), "");
	takt_close(t);
	fake_stop(&a);
	message = heard(&a, 0);
	CHECK_TEXT(json_string_value(json_object_get(message, "method")), "rt.takt.Reserve");
	p = json_object_get(json_object_get(message, "parameters"), "document");
	CHECK_TEXT(json_string_value(json_object_get(p, "kind")), "Reservation");
}

TEST(attach_without_name_or_thread_names_the_calling_thread_only)
{
	struct fake_agent a = AGENT({ "{}" }, { "{}" });
	cleanup_json json_t *message = NULL, *expected = NULL;
	struct takt *t;

	fake_start(&a);
	t = open_at(a.path);
	CHECK_EQ(takt_attach(t, NULL, 0), 0);
	CHECK_EQ(takt_detach(t, "camera", 17), 0);
	takt_close(t);
	fake_stop(&a);
	message = heard(&a, 0);
	expected = json_pack("{s:[i]}", "tids", (int)gettid());
	CHECK(json_equal(json_object_get(message, "parameters"), expected));
	CHECK(strstr(a.heard[1], "rt.takt.Detach") && strstr(a.heard[1], "\"camera\""));
}

static void check_refusal(const char *say, int code, const char *name, const char *sentence)
{
	struct fake_agent a = AGENT({ say });
	struct takt *t;

	fake_start(&a);
	t = open_at(a.path);
	CHECK_EQ(takt_release(t, "camera"), code);
	CHECK_TEXT(takt_error_name(t), name);
	CHECK_TEXT(takt_error(t), sentence);
	takt_close(t);
	fake_stop(&a);
}

TEST(a_refusal_becomes_an_errno_a_name_and_a_sentence)
{
	check_refusal("{\"error\":\"rt.takt.DoesNotFit\",\"parameters\":{\"reason\":\"no room\"}}",
		-ENOSPC, "rt.takt.DoesNotFit", "no room");
	check_refusal("{\"error\":\"rt.takt.NotPermitted\",\"parameters\":{\"reason\":\"no\"}}",
		-EPERM, "rt.takt.NotPermitted", "no");
	check_refusal("{\"error\":\"rt.takt.BadDocument\",\"parameters\":{\"reason\":\"two\","
		      "\"faults\":[\"spec.runtime: a\",\"spec.period: b\"]}}",
		-EINVAL, "rt.takt.BadDocument", "two: spec.runtime: a; spec.period: b");
	check_refusal("{\"error\":\"org.varlink.service.MethodNotFound\"}", -ENOSYS,
		"org.varlink.service.MethodNotFound", "org.varlink.service.MethodNotFound");
}

TEST(a_call_after_a_refusal_starts_with_a_clean_slate)
{
	struct fake_agent a = AGENT({ "{\"error\":\"rt.takt.Busy\"}" }, { "{}" });
	struct takt *t;

	fake_start(&a);
	t = open_at(a.path);
	CHECK_EQ(takt_release(t, "camera"), -EBUSY);
	CHECK_EQ(takt_release(t, "camera"), 0);
	CHECK_TEXT(takt_error(t), "");
	CHECK_TEXT(takt_error_name(t), "");
	takt_close(t);
	fake_stop(&a);
}

TEST(without_an_agent_the_sentence_names_the_socket_and_the_mend)
{
	cleanup_takt struct takt *t = open_at("/nonexistent/takt.sock");

	CHECK_EQ(takt_release(t, "camera"), -ENOENT);
	CHECK(strstr(takt_error(t), "/nonexistent/takt.sock") != NULL);
	CHECK(strstr(takt_error(t), "systemctl start taktd") != NULL);
}

TEST(an_agent_that_goes_away_is_an_error_and_the_next_call_connects_again)
{
	struct fake_agent a = AGENT({ .hang_up = true }, { "{\"parameters\":{\"n\":2}}" });
	cleanup_free char *reply = NULL;
	struct takt *t;

	fake_start(&a);
	t = open_at(a.path);
	CHECK_EQ(takt_call(t, "rt.takt.Node", NULL, &reply), -ECONNRESET);
	CHECK(!reply);
	CHECK_EQ(takt_call(t, "rt.takt.Node", NULL, &reply), 0);
	CHECK_TEXT(reply, "{\"n\":2}");
	takt_close(t);
	fake_stop(&a);
}

TEST(an_agent_that_ended_between_two_calls_is_not_noticed)
{
	struct fake_agent a = AGENT({ "{}", .hang_up = true }, { "{}" });
	struct takt *t;

	fake_start(&a);
	t = open_at(a.path);
	CHECK_EQ(takt_release(t, "camera"), 0);
	while (__atomic_load_n(&a.n, __ATOMIC_ACQUIRE) == 0)
		usleep(1000);
	CHECK_EQ(takt_release(t, "camera"), 0);
	takt_close(t);
	fake_stop(&a);
}

TEST(an_agent_that_says_nothing_ends_in_a_time_out)
{
	struct fake_agent a = AGENT({ .say = NULL });
	struct takt *t;

	fake_start(&a);
	t = open_at(a.path);
	takt_set_timeout(t, 30);
	CHECK_EQ(takt_release(t, "camera"), -ETIMEDOUT);
	CHECK(takt_error(t)[0] != '\0');
	takt_close(t);
	fake_stop(&a);
}

TEST(an_answer_that_is_not_varlink_breaks_the_protocol)
{
	struct fake_agent a = AGENT({ "HTTP/1.1 400 Bad Request" }, { "[]" });
	struct takt *t;

	fake_start(&a);
	t = open_at(a.path);
	CHECK_EQ(takt_release(t, "camera"), -EPROTO);
	CHECK_EQ(takt_release(t, "camera"), -EPROTO);
	takt_close(t);
	fake_stop(&a);
}

TEST(parameters_that_are_not_an_object_never_leave)
{
	cleanup_takt struct takt *t = open_at("/nonexistent/takt.sock");

	CHECK_EQ(takt_call(t, "rt.takt.List", "[1]", NULL), -EINVAL);
	CHECK_EQ(takt_call(t, "rt.takt.List", "{", NULL), -EINVAL);
	CHECK_EQ(takt_reserve(t, "runtime: 4ms", NULL), -EINVAL);
}

struct seen {
	char text[256];
	size_t n, stop_at;
};

static int see(const char *reply, void *data)
{
	struct seen *s = data;

	strcat(s->text, reply);
	return ++s->n == s->stop_at ? 7 : 0;
}

TEST(a_stream_goes_to_the_callback_until_its_end)
{
	struct fake_agent a = AGENT(
		{ "{\"parameters\":{\"i\":1},\"continues\":true}", "{\"parameters\":{\"i\":2}}" });
	struct seen s = { 0 };
	struct takt *t;

	fake_start(&a);
	t = open_at(a.path);
	CHECK_EQ(takt_call_more(t, "rt.takt.Watch", NULL, see, &s), 0);
	CHECK_TEXT(s.text, "{\"i\":1}{\"i\":2}");
	takt_close(t);
	fake_stop(&a);
	CHECK(strstr(a.heard[0], "\"more\":true") != NULL);
}

TEST(a_callback_can_end_a_stream)
{
	struct fake_agent a = AGENT({ "{\"parameters\":{\"i\":1},\"continues\":true}",
					    "{\"parameters\":{\"i\":2},\"continues\":true}" },
		{ "{\"parameters\":{\"i\":3}}" });
	struct seen s = { .stop_at = 1 };
	cleanup_free char *reply = NULL;
	struct takt *t;

	fake_start(&a);
	t = open_at(a.path);
	CHECK_EQ(takt_call_more(t, "rt.takt.Watch", NULL, see, &s), 7);
	CHECK_EQ(takt_call(t, "rt.takt.Node", NULL, &reply), 0);
	CHECK_TEXT(reply, "{\"i\":3}");
	takt_close(t);
	fake_stop(&a);
}

TEST(the_socket_comes_from_the_caller_the_environment_or_the_default)
{
	struct takt *t;
	char path[200];

	setenv("TAKT_SOCKET", "/env.sock", 1);
	t = open_at("/own.sock");
	CHECK_TEXT(takt_socket(t), "/own.sock");
	takt_close(t);
	t = open_at(NULL);
	CHECK_TEXT(takt_socket(t), "/env.sock");
	takt_close(t);
	setenv("TAKT_SOCKET", "", 1);
	t = open_at(NULL);
	CHECK_TEXT(takt_socket(t), TAKT_SOCKET_DEFAULT);
	takt_close(t);
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	t = NULL;
	CHECK_EQ(takt_open(&t, path), -EINVAL);
	CHECK(!t);
	takt_close(NULL);
}
