// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include <errno.h>
#include <jansson.h>

#include "base/cleanup.h"
#include "client/hook/reply.h"
#include "client/hook/state.h"

static int parse(const char *text, struct oci_state *ret, struct err *err)
{
	return oci_state_parse((struct bytes){ text, strlen(text) }, ret, err);
}

static enum hook_exit reply(const char *text, struct err *err)
{
	*err = ERR_NULL;
	return bind_reply_read((struct bytes){ text, strlen(text) }, err);
}

/* What runc 1.1 and crun 1.8 send. */
TEST(the_state_that_a_runtime_sends_is_understood)
{
	struct oci_state state;

	CHECK_EQ(parse("{\"ociVersion\":\"1.0.2-dev\",\"id\":\"0f1e2d\",\"status\":\"creating\","
		       "\"pid\":4711,\"bundle\":\"/b\",\"annotations\":{\"pid\":\"x\"}}",
			 &state, NULL),
		0);
	CHECK_TEXT(state.id, "0f1e2d");
	CHECK_EQ(state.pid, 4711);
	CHECK(!state.scheduled);
}

TEST(only_the_annotation_of_takt_dra_says_that_the_runtime_sets_the_policy)
{
	static const char *const no[] = { "\"rt.takt.dev/scheduler\":\"runtime\"",
		"\"annotations\":{\"rt.takt.dev/scheduler\":\"\"}",
		"\"annotations\":{\"rt.takt.dev/scheduler\":true}",
		"\"annotations\":{\"rt.takt.dev/scheduler\":\"runtime and more\"}",
		"\"annotations\":{\"x\":{\"rt.takt.dev/scheduler\":\"runtime\"}}",
		"\"annotations\":null" };
	struct oci_state state;
	char text[256];

	CHECK_EQ(parse("{\"id\":\"a\",\"pid\":1,\"annotations\":{\"io.x\":\"y\","
		       "\"rt.takt.dev/scheduler\":\"runtime\"}}",
			 &state, NULL),
		0);
	CHECK(state.scheduled);
	for (size_t i = 0; i < ARRAY_SIZE(no); i++) {
		snprintf(text, sizeof(text), "{\"id\":\"a\",\"pid\":1,%s}", no[i]);
		CHECK_EQ(parse(text, &state, NULL), 0);
		CHECK(!state.scheduled);
	}
}

TEST(a_state_that_lacks_something_is_refused_with_a_sentence)
{
	static const char *const bad[] = { "", "{}", "[]", "null", "{\"id\":\"a\"}", "{\"pid\":1}",
		"{\"id\":\"a\",\"pid\":0}", "{\"id\":\"a\",\"pid\":-1}",
		"{\"id\":\"a\",\"pid\":\"1\"}", "{\"id\":\"a\",\"pid\":2147483648}",
		"{\"id\":\"\",\"pid\":1}", "{\"id\":1,\"pid\":1}",
		"{\"id\":\"a\",\"pid\":1,\"pid\":2}", "{\"id\":\"a\",\"id\":\"b\",\"pid\":1}",
		"{\"id\":\"a\",\"pid\":1}x", "{\"id\":\"a\\u0000\",\"pid\":1}" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct oci_state state = { .pid = 7 };
		struct err err = ERR_NULL;

		CHECK_EQ(parse(bad[i], &state, &err), -EINVAL);
		CHECK(err.text[0] && state.pid == 7);
	}
}

TEST(an_id_has_a_limit)
{
	char text[STATE_ID_MAX + 64], id[STATE_ID_MAX + 1];
	struct oci_state state;

	for (int len = STATE_ID_MAX - 1; len <= STATE_ID_MAX; len++) {
		memset(id, 'x', len);
		id[len] = '\0';
		snprintf(text, sizeof(text), "{\"pid\":1,\"id\":\"%s\"}", id);
		CHECK_EQ(parse(text, &state, NULL) == 0, len < STATE_ID_MAX);
	}
}

TEST(the_call_is_one_varlink_message)
{
	struct oci_state state = { .id = "a\"b\\c\n\x01", .pid = 12 };
	const char *method = NULL, *name = NULL, *container = NULL, *via = NULL;
	char buf[BIND_CALL_MAX];
	size_t len = bind_call_write(buf, "cam\"era", &state);
	json_t *json;
	int pid = 0;

	CHECK(len > 0 && strlen(buf) == len - 1);
	json = json_loads(buf, 0, NULL);
	CHECK_EQ(json_unpack(json, "{s:s, s:{s:i, s:s, s:s, s:s !} !}", "method", &method,
			 "parameters", "pid", &pid, "name", &name, "container", &container, "via",
			 &via),
		0);
	CHECK_TEXT(via, "hook");
	CHECK_TEXT(method, "rt.takt.Bind");
	CHECK_TEXT(name, "cam\"era");
	CHECK_TEXT(container, "a\"b\\c\n\x01");
	CHECK_EQ(pid, 12);
	json_decref(json);
}

TEST(the_worst_id_and_a_long_name_fit_or_are_refused)
{
	struct oci_state state = { .pid = 1 };
	char buf[BIND_CALL_MAX], name[BIND_CALL_MAX];
	json_t *json;

	memset(state.id, '\x01', STATE_ID_MAX - 1);
	CHECK(bind_call_write(buf, "camera", &state) > 0);
	json = json_loads(buf, 0, NULL);
	CHECK(json);
	json_decref(json);
	for (size_t len = 1; len < sizeof(name); len++) {
		size_t n;

		memset(name, 'n', len);
		name[len] = '\0';
		n = bind_call_write(buf, name, &state);
		CHECK(n == 0 || (buf[n - 1] == '\0' && buf[n - 2] == '}'));
	}
	CHECK_EQ(bind_call_write(buf, name, &state), 0);
}

TEST(only_a_reply_with_the_reservation_is_a_yes)
{
	static const char *const no[] = { "", "{}", "null", "[]", "{\"parameters\":{}}",
		"{\"parameters\":{\"reservation\":null}}", "{\"parameters\":{\"reservation\":{}}",
		"{\"parameters\":[{\"reservation\":{}}]}", "{\"reservation\":{}}",
		"{\"error\":null,\"parameters\":{\"reservation\":{}}}",
		"{\"error\":\"a.B\",\"error\":\"c.D\",\"parameters\":{\"reservation\":{}}}",
		"{\"parameters\":{\"reservation\":{}},\"parameters\":{}}" };
	struct err err;

	CHECK_EQ(reply("{\"parameters\":{\"reservation\":{\"name\":\"camera\"}}}", &err), HOOK_OK);
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		CHECK_EQ(reply(no[i], &err), HOOK_FAILED);
		CHECK(err.text[0]);
	}
}

TEST(a_refusal_is_told_in_the_agents_words_and_its_code)
{
	struct err err;

	CHECK_EQ(reply("{\"error\":\"rt.takt.Busy\",\"parameters\":{\"name\":\"camera\","
		       "\"reason\":\"held by container 0f1e \\u2014 stop it\"}}",
			 &err),
		HOOK_NO);
	CHECK_TEXT(err.text, "held by container 0f1e \xe2\x80\x94 stop it");
	CHECK_EQ(reply("{\"error\":\"rt.takt.NotPermitted\",\"parameters\":{\"reason\":\"no\"}}",
			 &err),
		HOOK_DENIED);
	CHECK_EQ(reply("{\"error\":\"rt.takt.DoesNotFit\",\"parameters\":{\"reason\":\"no\"}}",
			 &err),
		HOOK_NO);
	CHECK_EQ(reply("{\"error\":\"rt.takt.NoSuchReservation\",\"parameters\":{\"name\":\"c\","
		       "\"reason\":\"there is none\"}}",
			 &err),
		HOOK_FAILED);
	CHECK_TEXT(err.text, "there is none");
}

TEST(a_refusal_without_words_still_has_a_sentence)
{
	struct err err;

	CHECK_EQ(reply("{\"error\":\"org.varlink.service.MethodNotFound\"}", &err), HOOK_FAILED);
	CHECK_TEXT(err.text, "taktd refuses without a reason: org.varlink.service.MethodNotFound");
	CHECK_EQ(reply("{\"error\":\"rt.takt.Busy\",\"parameters\":{\"reason\":\"\"}}", &err),
		HOOK_NO);
	CHECK_TEXT(err.text, "taktd refuses without a reason: rt.takt.Busy");
	CHECK_EQ(reply("{\"error\":7,\"parameters\":{\"reason\":\"seven\"}}", &err), HOOK_FAILED);
	CHECK_TEXT(err.text, "seven");
}

TEST(a_reason_is_one_line_of_bounded_length)
{
	char text[4096], reason[3000];
	struct err err;

	CHECK_EQ(reply("{\"error\":\"rt.takt.Failed\",\"parameters\":{\"reason\":"
		       "\"a\\nb\\u001b[31mc\\u007f\"}}",
			 &err),
		HOOK_FAILED);
	CHECK_TEXT(err.text, "a b [31mc ");
	memset(reason, 'r', sizeof(reason) - 1);
	reason[sizeof(reason) - 1] = '\0';
	snprintf(text, sizeof(text),
		"{\"error\":\"rt.takt.Failed\",\"parameters\":{\"reason\":\"%s\"}}", reason);
	CHECK_EQ(reply(text, &err), HOOK_FAILED);
	CHECK_EQ(strlen(err.text), ERR_TEXT_MAX - 1);
}
