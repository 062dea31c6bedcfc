// SPDX-License-Identifier: Apache-2.0
#include "api/message.h"

#include <errno.h>

#include "api/frame.h"
#include "test.h"

static struct bytes text_of(const char *text)
{
	return (struct bytes){ text, strlen(text) };
}

static int decode(const char *text, struct api_call *ret, struct err *err)
{
	return api_call_decode(text_of(text), ret, err);
}

TEST(a_call_is_decoded_with_its_parameters)
{
	cleanup_api_call struct api_call c = API_CALL_NULL;

	CHECK_EQ(
		decode("{\"method\":\"rt.takt.List\",\"parameters\":{\"name\":\"a\"},\"more\":true}",
			&c, NULL),
		0);
	CHECK_TEXT(c.method, "rt.takt.List");
	CHECK_TEXT(json_string_value(json_object_get(c.parameters, "name")), "a");
	CHECK(c.more && !c.oneway);
}

TEST(parameters_are_an_object_also_when_nobody_sent_them)
{
	cleanup_api_call struct api_call a = API_CALL_NULL, b = API_CALL_NULL;

	CHECK_EQ(decode("{\"method\":\"x.Y\",\"oneway\":true}", &a, NULL), 0);
	CHECK(json_is_object(a.parameters) && a.oneway);
	CHECK_EQ(decode("{\"method\":\"x.Y\",\"parameters\":null}", &b, NULL), 0);
	CHECK(json_is_object(b.parameters));
}

TEST(what_is_not_a_call_is_refused_with_a_sentence_and_the_output_stays)
{
	static const char *const bad[] = { "", "{", "[]", "1", "null", "{}", "{\"method\":1}",
		"{\"method\":\"\"}", "{\"method\":\"a.B\",\"parameters\":[]}",
		"{\"method\":\"a.B\",\"more\":1}", "{\"method\":\"a.B\",\"method\":\"a.C\"}",
		"{\"method\":\"a.B\",\"surprise\":1}", "{\"method\":\"a.B\\u0000C\"}",
		"{\"method\":\"a.B\"} {}", "{\"method\":\"\xff\"}" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct api_call c = { .method = "old" };
		struct err err = ERR_NULL;

		CHECK_EQ(decode(bad[i], &c, &err), -EBADMSG);
		CHECK(err.text[0] != '\0');
		CHECK_TEXT(c.method, "old");
		CHECK(!c.parameters);
	}
}

TEST(an_upgrade_is_not_offered)
{
	cleanup_api_call struct api_call a = API_CALL_NULL, b = API_CALL_NULL;

	CHECK_EQ(decode("{\"method\":\"a.B\",\"upgrade\":true}", &a, NULL), -EOPNOTSUPP);
	CHECK_EQ(decode("{\"method\":\"a.B\",\"upgrade\":false}", &b, NULL), 0);
}

TEST(a_method_name_that_is_too_long_is_refused)
{
	char text[512], name[API_NAME_MAX + 1];
	cleanup_api_call struct api_call c = API_CALL_NULL;

	memset(name, 'a', API_NAME_MAX);
	name[API_NAME_MAX] = '\0';
	snprintf(text, sizeof(text), "{\"method\":\"%s\"}", name);
	CHECK_EQ(decode(text, &c, NULL), -EBADMSG);
	snprintf(text, sizeof(text), "{\"method\":\"%s\"}", name + 1);
	CHECK_EQ(decode(text, &c, NULL), 0);
}

static void nest(char *text, unsigned levels)
{
	*text = '\0';
	strcat(text, "{\"method\":\"a.B\",\"parameters\":{\"x\":");
	for (unsigned i = 0; i < levels; i++)
		strcat(text, "[");
	for (unsigned i = 0; i < levels; i++)
		strcat(text, "]");
	strcat(text, "}}");
}

TEST(depth_is_limited_and_brackets_in_strings_do_not_count)
{
	char text[512];
	struct api_call c = API_CALL_NULL;

	nest(text, 30);
	CHECK_EQ(decode(text, &c, NULL), 0);
	api_call_fini(&c);
	nest(text, 31);
	CHECK_EQ(decode(text, &c, NULL), -EBADMSG);
	CHECK_EQ(decode("{\"method\":\"a.B\",\"parameters\":{\"x\":"
			"\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[\\\\\"}}",
			 &c, NULL),
		0);
	api_call_fini(&c);
}

TEST(a_flood_of_tiny_values_is_refused_before_it_is_parsed)
{
	cleanup_free char *text = calloc(1, 64 * 1024);
	struct api_call c = API_CALL_NULL;
	struct err err = ERR_NULL;
	size_t used;

	CHECK(text != NULL);
	strcpy(text, "{\"method\":\"a.B\",\"parameters\":{\"x\":[{}");
	used = strlen(text);
	for (unsigned i = 0; i < 8192; i++, used += 3)
		memcpy(text + used, ",{}", 3);
	strcpy(text + used, "]}}");
	CHECK_EQ(decode(text, &c, &err), -EBADMSG);
	CHECK(strstr(err.text, "values") != NULL);
}

TEST(a_call_comes_back_as_it_was_encoded)
{
	cleanup_json json_t *parameters = json_pack("{s:s}", "name", "cam\"era");
	cleanup_api_call struct api_call c = API_CALL_NULL;
	cleanup_free char *text = NULL;
	size_t len = 0;

	CHECK_EQ(api_call_encode("rt.takt.Release", parameters, true, &text, &len, NULL), 0);
	CHECK_EQ(text[len - 1], '\0');
	CHECK_EQ(strlen(text) + 1, len);
	CHECK_EQ(api_call_decode((struct bytes){ text, len - 1 }, &c, NULL), 0);
	CHECK_TEXT(c.method, "rt.takt.Release");
	CHECK(json_equal(c.parameters, parameters) && c.more);
}

TEST(a_call_that_the_agent_would_not_take_is_not_encoded)
{
	cleanup_free char *big = malloc(API_MESSAGE_MAX);
	cleanup_json json_t *parameters = NULL;
	char *text = NULL;
	size_t len = 0;

	CHECK(big != NULL);
	memset(big, 'x', API_MESSAGE_MAX - 1);
	big[API_MESSAGE_MAX - 1] = '\0';
	parameters = json_pack("{s:s}", "x", big);
	CHECK_EQ(api_call_encode("a.B", parameters, false, &text, &len, NULL), -EMSGSIZE);
	CHECK(!text && len == 0);
	CHECK_EQ(api_reply_encode(parameters, false, &text, &len, NULL), 0);
	free(text);
}

TEST(a_reply_comes_back_as_it_was_encoded)
{
	cleanup_json json_t *parameters = json_pack("{s:i}", "n", 7);
	cleanup_api_reply struct api_reply a = API_REPLY_NULL;
	cleanup_free char *text = NULL;
	size_t len = 0;

	CHECK_EQ(api_reply_encode(parameters, true, &text, &len, NULL), 0);
	CHECK_EQ(api_reply_decode((struct bytes){ text, len - 1 }, &a, NULL), 0);
	CHECK(json_equal(a.parameters, parameters));
	CHECK(a.continues && !a.error[0]);
}

TEST(a_reply_without_parameters_is_an_empty_object)
{
	cleanup_free char *text = NULL;
	size_t len = 0;

	CHECK_EQ(api_reply_encode(NULL, false, &text, &len, NULL), 0);
	CHECK_TEXT(text, "{\"parameters\":{}}");
}

TEST(a_reply_may_have_fields_of_a_later_version)
{
	cleanup_api_reply struct api_reply a = API_REPLY_NULL;

	CHECK_EQ(api_reply_decode(text_of("{\"later\":[1]}"), &a, NULL), 0);
	CHECK(json_is_object(a.parameters));
	CHECK_EQ(api_reply_decode(text_of("{\"parameters\":7}"), &a, NULL), -EBADMSG);
}

TEST(every_error_has_a_name_of_its_own_that_is_read_back)
{
	for (unsigned e = API_OK; e < _API_ERROR_MAX; e++) {
		CHECK(e == API_OK || api_error_name(e)[0]);
		CHECK_EQ(api_error_parse(api_error_name(e)), e);
	}
	CHECK_TEXT(api_error_name(API_DOES_NOT_FIT), "rt.takt.DoesNotFit");
	CHECK_TEXT(api_error_name(_API_ERROR_MAX), "");
	CHECK_EQ(api_error_parse("io.other.Error"), API_FAILED);
}

static json_t *error_of(enum api_error e, const char *name, const char *reason, char *const *faults,
	size_t n_faults, char ret_error[static API_NAME_MAX])
{
	cleanup_api_reply struct api_reply a = API_REPLY_NULL;
	cleanup_free char *text = NULL;
	size_t len = 0;

	CHECK_EQ(api_error_encode(e, name, reason, faults, n_faults, &text, &len, NULL), 0);
	CHECK_EQ(api_reply_decode((struct bytes){ text, len - 1 }, &a, NULL), 0);
	strcpy(ret_error, a.error);
	return TAKE(a.parameters);
}

static void check_json(json_t *got, json_t *expected)
{
	CHECK(expected != NULL);
	CHECK(json_equal(got, expected));
	json_decref(got);
	json_decref(expected);
}

TEST(an_error_carries_the_parameters_that_the_interface_gives_it)
{
	char *faults[] = { (char *)"spec.runtime: missing", (char *)"bad \xff byte" };
	char error[API_NAME_MAX];

	check_json(error_of(API_EXISTS, "camera", "taken", NULL, 0, error),
		json_pack("{s:s, s:s}", "name", "camera", "reason", "taken"));
	CHECK_TEXT(error, "rt.takt.Exists");
	check_json(error_of(API_DOES_NOT_FIT, "camera", "too much", NULL, 0, error),
		json_pack("{s:s}", "reason", "too much"));
	check_json(error_of(API_BAD_DOCUMENT, NULL, "two mistakes", faults, 2, error),
		json_pack("{s:s, s:[s, s]}", "reason", "two mistakes", "faults", faults[0],
			"bad ? byte"));
	check_json(error_of(API_METHOD_NOT_FOUND, "a.B", "ignored", NULL, 0, error),
		json_pack("{s:s}", "method", "a.B"));
	CHECK_TEXT(error, "org.varlink.service.MethodNotFound");
	check_json(error_of(API_EXPECTED_MORE, NULL, NULL, NULL, 0, error), json_object());
	CHECK_EQ(api_error_encode(API_OK, NULL, NULL, NULL, 0, NULL, NULL, NULL), -EINVAL);
}

/* jansson's allocations; ours are few and before them. */
static size_t allocations_left;

static void *fail_later(size_t size)
{
	return allocations_left-- == 0 ? (allocations_left = 0, NULL) : malloc(size);
}

static int decode_with(size_t allocations)
{
	struct api_call c = API_CALL_NULL;
	int r;

	json_set_alloc_funcs(fail_later, free);
	allocations_left = allocations;
	r = decode("{\"method\":\"rt.takt.Attach\",\"parameters\":{\"tids\":[1,2]}}", &c, NULL);
	api_call_fini(&c);
	json_set_alloc_funcs(malloc, free);
	return r;
}

TEST(each_allocation_of_a_decoder_may_fail)
{
	size_t n = 0;
	int r;

	while ((r = decode_with(n)) < 0) {
		CHECK(r == -ENOMEM || r == -EBADMSG); /* jansson does not tell all apart */
		n++;
	}
	CHECK(n > 10);
}

static int encode_with(size_t allocations)
{
	cleanup_free char *text = NULL;
	size_t len = 0;
	int r;

	json_set_alloc_funcs(fail_later, free);
	allocations_left = allocations;
	r = api_error_encode(API_EXISTS, "a", "b", NULL, 0, &text, &len, NULL);
	json_set_alloc_funcs(malloc, free);
	CHECK(r == 0 || !text);
	return r;
}

TEST(each_allocation_of_an_encoder_may_fail_and_the_error_says_so)
{
	size_t n = 0;

	while (encode_with(n) == -ENOMEM)
		n++;
	CHECK(n > 5);
	CHECK_EQ(encode_with(n), 0);
}
