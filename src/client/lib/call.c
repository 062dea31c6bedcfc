// SPDX-License-Identifier: Apache-2.0
#include "client/lib/takt_private.h"

#include <errno.h>
#include <string.h>

static int refused(struct takt *t, const struct api_reply *reply)
{
	int code = api_reply_error(reply, &t->err);

	memcpy(t->error_name, reply->error, sizeof(t->error_name));
	return code;
}

void takt_begin(struct takt *t)
{
	t->err = ERR_NULL;
	t->error_name[0] = '\0';
}

static int call_begin(
	struct takt *t, const char *method, json_t *parameters, bool more, int64_t deadline)
{
	cleanup_free char *text = NULL;
	size_t len;
	int r = api_call_encode(method, parameters, more, &text, &len, &t->err);

	if (r < 0)
		return r;
	r = conn_ready(&t->conn, &t->to, deadline, &t->err);
	if (r < 0)
		return r;
	return conn_send(&t->conn, (struct bytes){ text, len }, deadline, &t->err);
}

/* An answer that is not Varlink leaves nothing to go on with. */
static int call_next(struct takt *t, int64_t deadline, struct api_reply *ret)
{
	struct bytes message;
	int r = conn_receive(&t->conn, deadline, &message, &t->err);

	if (r < 0)
		return r;
	r = api_reply_decode(message, ret, &t->err);
	if (r >= 0)
		return 0;
	conn_fini(&t->conn);
	return err_wrap(&t->err, r == -ENOMEM ? r : -EPROTO, "the agent's answer");
}

int takt_exchange(struct takt *t, const char *method, json_t *parameters, json_t **ret)
{
	cleanup_api_reply struct api_reply reply = API_REPLY_NULL;
	int64_t deadline = conn_deadline(t->timeout_ms);
	int r = call_begin(t, method, parameters, false, deadline);

	if (r < 0)
		return r;
	r = call_next(t, deadline, &reply);
	if (r < 0)
		return r;
	if (reply.error[0])
		return refused(t, &reply);
	if (ret)
		*ret = TAKE(reply.parameters);
	return 0;
}

static int parameters_load(struct takt *t, const char *text, json_t **ret)
{
	json_error_t why;

	if (!text)
		return 0;
	*ret = json_loads(text, JSON_REJECT_DUPLICATES, &why);
	if (!*ret)
		return err_set(&t->err, -EINVAL, "the parameters are not JSON: %s", why.text);
	if (!json_is_object(*ret))
		return err_set(&t->err, -EINVAL, "the parameters are not a JSON object");
	return 0;
}

static char *parameters_dump(struct takt *t, const json_t *parameters)
{
	char *text = json_dumps(parameters, JSON_COMPACT);

	if (!text)
		err_set(&t->err, -ENOMEM, "out of memory");
	return text;
}

int takt_call(struct takt *t, const char *method, const char *parameters, char **ret_reply)
{
	cleanup_json json_t *in = NULL, *out = NULL;
	char *text;
	int r;

	takt_begin(t);
	r = parameters_load(t, parameters, &in);
	if (r < 0)
		return r;
	r = takt_exchange(t, method, in, &out);
	if (r < 0 || !ret_reply)
		return r;
	text = parameters_dump(t, out);
	if (!text)
		return -ENOMEM;
	*ret_reply = text;
	return 0;
}

/* 1: another reply follows. */
static int more_next(struct takt *t, int64_t deadline, takt_each_fn *each, void *data)
{
	cleanup_api_reply struct api_reply reply = API_REPLY_NULL;
	cleanup_free char *text = NULL;
	int r = call_next(t, deadline, &reply);

	if (r < 0)
		return r;
	if (reply.error[0])
		return refused(t, &reply);
	text = parameters_dump(t, reply.parameters);
	if (!text)
		return -ENOMEM;
	r = each(text, data);
	if (r != 0) {
		conn_fini(&t->conn); /* Varlink has no other way to end a stream */
		return r;
	}
	return reply.continues;
}

int takt_call_more(
	struct takt *t, const char *method, const char *parameters, takt_each_fn *each, void *data)
{
	cleanup_json json_t *in = NULL;
	int64_t deadline = conn_deadline(t->timeout_ms);
	int r;

	takt_begin(t);
	r = parameters_load(t, parameters, &in);
	if (r < 0)
		return r;
	r = call_begin(t, method, in, true, deadline);
	if (r < 0)
		return r;
	do {
		r = more_next(t, deadline, each, data);
		deadline = CONN_FOREVER;
	} while (r == 1);
	return r;
}
