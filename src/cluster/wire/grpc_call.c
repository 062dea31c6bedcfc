// SPDX-License-Identifier: Apache-2.0
/*
 * One call: a body that must hold exactly one message, and answers that wait until the peer's
 * window takes them. A reply is HEADERS, DATA, HEADERS with the status; a call that ends without a
 * message has the status in its first and only HEADERS (grpc/grpc: doc/PROTOCOL-HTTP2.md).
 */
#include "cluster/wire/grpc_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cluster/wire/grpc_text.h"

#define IN_FIRST_BYTES 4096
#define HTTP_OK 200
#define NUMBER_MAX 16
#define FIELDS_MAX 5

static nghttp2_nv field(const char *name, const char *value, size_t len)
{
	return (nghttp2_nv){ (uint8_t *)name, (uint8_t *)value, strlen(name), len,
		NGHTTP2_NV_FLAG_NO_COPY_NAME };
}

struct grpc_call *grpc_call_create(struct grpc_conn *c, int32_t stream)
{
	struct grpc_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->conn = c;
	call->stream = stream;
	call->head = GRPC_HEAD_NULL;
	call->next = c->calls;
	if (call->next)
		call->next->previous = call;
	c->calls = call;
	return call;
}

static void drop_in(struct grpc_call *call)
{
	call->conn->buffered -= call->in_size;
	free(TAKE(call->in));
	call->in_size = 0;
}

static void drop_out(struct grpc_call *call)
{
	if (call->out)
		call->conn->buffered -= call->out_len;
	free(TAKE(call->out));
}

void grpc_call_destroy(struct grpc_call *call)
{
	if (!call)
		return;
	if (call->phase == CALL_OPEN) {
		call->phase = CALL_ENDED;
		if (call->method->cancelled)
			call->method->cancelled(call);
	}
	drop_in(call);
	drop_out(call);
	if (call->previous)
		call->previous->next = call->next;
	else
		call->conn->calls = call->next;
	if (call->next)
		call->next->previous = call->previous;
	free(call);
}

/* grpc-status and, where there is one, grpc-message; returns how many fields that are. */
static size_t status_fields(const struct grpc_call *call, nghttp2_nv fields[static 2],
	char number[static NUMBER_MAX], char text[static GRPC_ENCODED_MAX])
{
	int len = snprintf(number, NUMBER_MAX, "%d", call->status);
	size_t text_len = grpc_message_encode(text, call->message);

	fields[0] = field("grpc-status", number, len);
	if (!text_len)
		return 1;
	fields[1] = field("grpc-message", text, text_len);
	return 2;
}

/* What every reply begins with. */
static size_t reply_fields(nghttp2_nv fields[static 3], char number[static NUMBER_MAX], int http)
{
	static const char type[] = "application/grpc", encoding[] = "identity";
	int len = snprintf(number, NUMBER_MAX, "%d", http);

	fields[0] = field(":status", number, len);
	fields[1] = field("content-type", type, strlen(type));
	fields[2] = field("grpc-accept-encoding", encoding, strlen(encoding));
	return 3;
}

static int submit_trailers(struct grpc_call *call)
{
	char number[NUMBER_MAX], text[GRPC_ENCODED_MAX];
	nghttp2_nv fields[2];
	size_t n = status_fields(call, fields, number, text);

	return nghttp2_submit_trailer(call->conn->session, call->stream, fields, n);
}

/* What nghttp2 asks for when the windows have room. */
static ssize_t read_out(nghttp2_session *session, int32_t stream, uint8_t *buf, size_t size,
	uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct grpc_call *call = source->ptr;
	size_t left = call->out ? call->out_len - call->out_at : 0;
	size_t n = left < size ? left : size;
	int r;

	if (n)
		memcpy(buf, call->out + call->out_at, n);
	call->out_at += n;
	if (n < left)
		return n;
	if (call->out) {
		drop_out(call);
		call->drained = true;
	}
	if (call->phase != CALL_ENDED)
		return n ? (ssize_t)n : NGHTTP2_ERR_DEFERRED;
	r = submit_trailers(call);
	if (r < 0) {
		grpc_conn_fail(call->conn, r);
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	}
	*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
	return n;
}

static void wake(struct grpc_conn *c)
{
	if (c->busy || !c->service->wake)
		return;
	c->busy++;
	c->service->wake(c->user);
	c->busy--;
}

/* Lets nghttp2 come for what is new: bytes, or the end. */
static void answer(struct grpc_call *call)
{
	const nghttp2_data_provider body = { { .ptr = call }, read_out };
	struct grpc_conn *c = call->conn;
	char number[NUMBER_MAX];
	nghttp2_nv fields[FIELDS_MAX];
	int r;

	if (call->answering) {
		r = nghttp2_session_resume_data(c->session, call->stream);
		/* It is not waiting: then it comes anyway. */
		if (r == NGHTTP2_ERR_INVALID_ARGUMENT)
			r = 0;
	} else {
		size_t n = reply_fields(fields, number, HTTP_OK);

		r = nghttp2_submit_response(c->session, call->stream, fields, n, &body);
		call->answering = true;
	}
	if (r < 0)
		grpc_conn_fail(c, r);
	wake(c);
}

/* The status in the only HEADERS. */
static void answer_status(struct grpc_call *call, int http)
{
	struct grpc_conn *c = call->conn;
	char http_number[NUMBER_MAX], number[NUMBER_MAX], text[GRPC_ENCODED_MAX];
	nghttp2_nv fields[FIELDS_MAX];
	size_t n = reply_fields(fields, http_number, http);
	int r;

	n += status_fields(call, fields + n, number, text);
	r = nghttp2_submit_response(c->session, call->stream, fields, n, NULL);
	if (r < 0)
		grpc_conn_fail(c, r);
	wake(c);
}

static void set_status(struct grpc_call *call, enum grpc_status status, const char *message)
{
	call->phase = CALL_ENDED;
	call->status = status;
	snprintf(call->message, sizeof(call->message), "%s", message ? message : "");
}

/* Before a handler has it. */
static void refuse(struct grpc_call *call, int http, enum grpc_status status, const char *why)
{
	drop_in(call);
	set_status(call, status, why);
	answer_status(call, http);
}

static const struct grpc_method *method_find(const struct grpc_service *s, const char *path)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->methods[i].path, path) == 0)
			return &s->methods[i];
	return NULL;
}

void grpc_call_begin(struct grpc_call *call)
{
	const struct grpc_refusal *refusal = grpc_head_check(&call->head);
	char quoted[TEXT_QUOTE_MAX], why[GRPC_MESSAGE_MAX];

	if (refusal) {
		refuse(call, refusal->http, refusal->status, refusal->why);
		return;
	}
	call->method = method_find(call->conn->service, call->head.path);
	if (call->method)
		return;
	snprintf(why, sizeof(why), "there is no method %s", text_quote(quoted, call->head.path));
	refuse(call, HTTP_OK, GRPC_UNIMPLEMENTED, why);
}

/* Makes room for `more` bytes; grows with what has come, whatever length was announced. */
static bool grow_in(struct grpc_call *call, size_t more)
{
	size_t need = call->in_len + more;
	size_t size = call->in_size ? 2 * call->in_size : IN_FIRST_BYTES;
	char *in;

	if (need <= call->in_size)
		return true;
	size = size < need ? need : size;
	size = size > call->in_whole ? call->in_whole : size;
	if (size - call->in_size > GRPC_BUFFERED_MAX_BYTES - call->conn->buffered)
		return false;
	in = realloc(call->in, size);
	if (!in)
		return false;
	call->conn->buffered += size - call->in_size;
	call->in = in;
	call->in_size = size;
	return true;
}

static bool read_prefix(struct grpc_call *call, struct bytes *in)
{
	const uint8_t *p = call->prefix;
	size_t n = GRPC_PREFIX_BYTES - call->prefix_len;

	n = in->len < n ? in->len : n;
	memcpy(call->prefix + call->prefix_len, in->at, n);
	call->prefix_len += n;
	*in = bytes_skip(*in, n);
	if (call->prefix_len < GRPC_PREFIX_BYTES)
		return true;
	call->in_whole = (size_t)p[1] << 24 | p[2] << 16 | p[3] << 8 | p[4];
	if (p[0] != 0)
		refuse(call, HTTP_OK, GRPC_INTERNAL, "the message is compressed, without leave");
	else if (call->in_whole > GRPC_REQUEST_MAX_BYTES)
		refuse(call, HTTP_OK, GRPC_RESOURCE_EXHAUSTED, "the message is longer than 1 MiB");
	return call->phase == CALL_READING;
}

static void read_message(struct grpc_call *call, struct bytes in)
{
	if (in.len > call->in_whole - call->in_len) {
		refuse(call, HTTP_OK, GRPC_UNIMPLEMENTED, "one message was expected, more came");
		return;
	}
	if (!grow_in(call, in.len)) {
		refuse(call, HTTP_OK, GRPC_RESOURCE_EXHAUSTED, "no memory for the message");
		return;
	}
	memcpy(call->in + call->in_len, in.at, in.len);
	call->in_len += in.len;
}

void grpc_call_receive(struct grpc_call *call, struct bytes in)
{
	if (call->phase != CALL_READING)
		return;
	if (call->prefix_len < GRPC_PREFIX_BYTES && !read_prefix(call, &in))
		return;
	if (in.len)
		read_message(call, in);
}

void grpc_call_request_end(struct grpc_call *call)
{
	struct grpc_request request = { call->method, { call->in ? call->in : "", call->in_len },
		call->head.timeout_ns };

	if (call->phase != CALL_READING)
		return;
	if (call->prefix_len == 0) {
		refuse(call, HTTP_OK, GRPC_UNIMPLEMENTED, "one message was expected, none came");
	} else if (call->prefix_len < GRPC_PREFIX_BYTES || call->in_len < call->in_whole) {
		refuse(call, HTTP_OK, GRPC_INTERNAL, "the message is cut short");
	} else {
		call->phase = CALL_OPEN;
		call->method->start(call, &request, call->conn->user);
		drop_in(call);
	}
}

void grpc_call_set_data(struct grpc_call *call, void *data)
{
	call->data = data;
}

void *grpc_call_data(const struct grpc_call *call)
{
	return call->data;
}

/* Puts the message behind its prefix where read_out takes it. */
static int queue(struct grpc_call *call, struct bytes message)
{
	struct grpc_conn *c = call->conn;
	size_t len = GRPC_PREFIX_BYTES + message.len;
	char *out;

	if (call->out)
		return -EAGAIN;
	if (message.len > GRPC_REPLY_MAX_BYTES)
		return -EMSGSIZE;
	if (len > GRPC_BUFFERED_MAX_BYTES - c->buffered)
		return -ENOBUFS;
	out = malloc(len);
	if (!out)
		return -ENOMEM;
	out[0] = 0;
	for (int i = 0; i < 4; i++)
		out[1 + i] = message.len >> (24 - 8 * i);
	if (message.len)
		memcpy(out + GRPC_PREFIX_BYTES, message.at, message.len);
	call->out = out;
	call->out_len = len;
	call->out_at = 0;
	c->buffered += len;
	return 0;
}

void grpc_call_reply(struct grpc_call *call, struct bytes message)
{
	int r = queue(call, message);

	if (r < 0) {
		grpc_call_finish(call, GRPC_RESOURCE_EXHAUSTED,
			r == -EMSGSIZE ? "the answer is longer than 4 MiB"
				       : "no memory for the answer");
		return;
	}
	set_status(call, GRPC_OK, NULL);
	answer(call);
}

int grpc_call_send(struct grpc_call *call, struct bytes message)
{
	int r = call->method->streaming ? queue(call, message) : -EINVAL;

	if (r == 0)
		answer(call);
	return r;
}

void grpc_call_finish(struct grpc_call *call, enum grpc_status status, const char *message)
{
	set_status(call, status, message);
	if (call->answering)
		answer(call);
	else
		answer_status(call, HTTP_OK);
}
