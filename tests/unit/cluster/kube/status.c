// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/status.h"

#include <errno.h>

#include "base/cleanup.h"
#include "test.h"

static struct kube_status read_it(unsigned http, const char *body)
{
	struct kube_status s;

	kube_status_read(http, (struct bytes){ body, strlen(body) }, &s);
	return s;
}

TEST(each_number_has_its_errno)
{
	static const struct {
		unsigned http;
		int code;
	} rows[] = { { 200, 0 }, { 201, 0 }, { 202, 0 }, { 301, -EPROTO }, { 400, -EINVAL },
		{ 401, -EACCES }, { 403, -EPERM }, { 404, -EREMOTEIO }, { 409, -EAGAIN },
		{ 410, -ESTALE }, { 413, -E2BIG }, { 415, -EPROTO }, { 422, -EINVAL },
		{ 429, -EBUSY }, { 500, -EREMOTEIO }, { 503, -EREMOTEIO }, { 504, -ETIMEDOUT },
		{ 0, -EPROTO }, { 999, -EPROTO } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_EQ(read_it(rows[i].http, "{}").code, rows[i].code);
}

TEST(the_two_kinds_of_409_are_told_apart)
{
	CHECK_EQ(read_it(409, "{\"reason\": \"AlreadyExists\"}").code, -EEXIST);
	CHECK_EQ(read_it(409, "{\"reason\": \"Conflict\"}").code, -EAGAIN);
}

TEST(the_servers_sentence_reason_and_wait_are_kept)
{
	struct kube_status s = read_it(429, "{\"kind\": \"Status\", \"message\": \"too\\nmany\", "
					    "\"reason\": \"TooManyRequests\", "
					    "\"details\": {\"retryAfterSeconds\": 3}}");

	CHECK_TEXT(s.message, "too many");
	CHECK_TEXT(s.reason, "TooManyRequests");
	CHECK_EQ(s.retry_after_s, 3);
}

TEST(a_body_that_is_no_status_is_shown_as_printable_text)
{
	struct kube_status s = read_it(502, "<html>\x1b[31m bad\x07</html>");

	CHECK_TEXT(s.message, "<html>?[31m bad?</html>");
	CHECK_EQ(s.code, -EREMOTEIO);
}

TEST(only_a_status_that_says_so_means_that_the_object_is_not_there)
{
	CHECK_EQ(read_it(404, "{\"kind\":\"Status\",\"reason\":\"NotFound\"}").code, -ENOENT);
	CHECK_EQ(read_it(404, "404 page not found\n").code, -EREMOTEIO);
	CHECK_EQ(read_it(404, "").code, -EREMOTEIO);
	CHECK_EQ(read_it(404, "[1]").code, -EREMOTEIO);
}

TEST(a_long_message_is_cut)
{
	char body[4096];

	memset(body, 'x', sizeof(body));
	body[sizeof(body) - 1] = '\0';
	CHECK_EQ(strlen(read_it(500, body).message), KUBE_MESSAGE_MAX - 1);
}

static int code_of_event(const char *text, unsigned *http)
{
	cleanup_json json_t *object = json_loads(text, 0, NULL);
	struct kube_status s;

	kube_status_of(object, &s);
	*http = s.http;
	return s.code;
}

TEST(the_status_in_a_stream_has_its_own_number)
{
	unsigned http;

	CHECK_EQ(code_of_event("{\"code\": 410, \"reason\": \"Expired\"}", &http), -ESTALE);
	CHECK_EQ(code_of_event("{\"reason\": \"Gone\"}", &http), -ESTALE);
	CHECK_EQ(http, 410);
	CHECK_EQ(code_of_event("{\"code\": 200}", &http), -EREMOTEIO);
	CHECK_EQ(code_of_event("{\"code\": -5}", &http), -EREMOTEIO);
	CHECK_EQ(code_of_event("{\"code\": 504}", &http), -ETIMEDOUT);
}
