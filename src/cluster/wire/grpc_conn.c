// SPDX-License-Identifier: Apache-2.0
/*
 * HTTP/2 is nghttp2's, with its checks of HTTP messages switched off, as older kubelets send a path
 * as :authority and nghttp2 refuses that; what matters of them is checked in grpc_head.c.
 *
 * nghttp2 bounds what a peer can do by itself: PING and SETTINGS that want an answer, resets,
 * continuations. Here are bounded: calls at a time, headers, messages, all bytes of a connection,
 * and whatever else a peer makes us queue.
 */
#include "cluster/wire/grpc_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define MAX_OUTBOUND_ACK 256
#define MAX_SETTINGS 16

static void callbacks_del(nghttp2_session_callbacks **callbacks)
{
	nghttp2_session_callbacks_del(*callbacks);
}

static void option_del(nghttp2_option **option)
{
	nghttp2_option_del(*option);
}

CLEANUP_DEFINE(struct grpc_conn *, grpc_conn_destroy)

#define cleanup_callbacks __attribute__((cleanup(callbacks_del)))
#define cleanup_option __attribute__((cleanup(option_del)))
#define cleanup_grpc_conn __attribute__((cleanup(grpc_conn_destroy_p)))

int grpc_conn_fail(struct grpc_conn *c, int nghttp2_code)
{
	if (c->failed.code)
		return c->failed.code;
	switch (nghttp2_code) {
	case NGHTTP2_ERR_NOMEM:
		return err_set(&c->failed, -ENOMEM, "out of memory");
	case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
		return err_set(&c->failed, -EPROTO, "the peer does not speak HTTP/2");
	case NGHTTP2_ERR_FLOODED:
		return err_set(
			&c->failed, -ENOBUFS, "the peer sends what it does not read answers to");
	default:
		return err_set(&c->failed, -EPROTO, "HTTP/2: %s", nghttp2_strerror(nghttp2_code));
	}
}

static struct grpc_call *call_of(nghttp2_session *session, int32_t stream)
{
	return nghttp2_session_get_stream_user_data(session, stream);
}

static bool opens_call(const nghttp2_frame *frame)
{
	return frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct grpc_call *call;
	int r;

	if (!opens_call(frame))
		return 0;
	call = grpc_call_create(user, frame->hd.stream_id);
	if (!call)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	r = nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, call);
	if (r < 0) {
		grpc_call_destroy(call);
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	return 0;
}

/* The client's trailers, if it sends any, mean nothing to us. */
static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
	size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *user)
{
	struct grpc_call *call = call_of(session, frame->hd.stream_id);

	if (call && opens_call(frame))
		grpc_head_field(&call->head, (struct bytes){ (const char *)name, name_len },
			(struct bytes){ (const char *)value, value_len });
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
	size_t len, void *user)
{
	struct grpc_call *call = call_of(session, stream);

	if (call)
		grpc_call_receive(call, (struct bytes){ (const char *)data, len });
	return 0;
}

/* The peer has seen that we go, so every call that it began before has come in. */
static void go_away(struct grpc_conn *c)
{
	int32_t last = nghttp2_session_get_last_proc_stream_id(c->session);
	int r = nghttp2_submit_goaway(
		c->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0);

	c->pinged = false;
	if (r < 0)
		grpc_conn_fail(c, r);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct grpc_conn *c = user;
	struct grpc_call *call;

	if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) && c->pinged)
		go_away(c);
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	call = call_of(session, frame->hd.stream_id);
	if (!call)
		return 0;
	call->request_ended |= (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
	if (opens_call(frame))
		grpc_call_begin(call);
	if (call->request_ended)
		grpc_call_request_end(call);
	return c->failed.code ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/* A client that is answered and still sends is told to stop (RFC 9113, 8.1). */
static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct grpc_call *call;
	int r;

	if (frame->hd.type != NGHTTP2_HEADERS || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	call = call_of(session, frame->hd.stream_id);
	if (!call || call->request_ended)
		return 0;
	r = nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, call->stream, NGHTTP2_NO_ERROR);
	if (r < 0)
		grpc_conn_fail(user, r);
	return r < 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_stream_close(
	nghttp2_session *session, int32_t stream, uint32_t error_code, void *user)
{
	grpc_call_destroy(call_of(session, stream));
	return 0;
}

static int make_callbacks(nghttp2_session_callbacks **ret)
{
	int r = nghttp2_session_callbacks_new(ret);

	if (r < 0)
		return r;
	nghttp2_session_callbacks_set_on_begin_headers_callback(*ret, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(*ret, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(*ret, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(*ret, on_frame);
	nghttp2_session_callbacks_set_on_frame_send_callback(*ret, on_frame_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(*ret, on_stream_close);
	return 0;
}

static int make_option(nghttp2_option **ret)
{
	int r = nghttp2_option_new(ret);

	if (r < 0)
		return r;
	nghttp2_option_set_no_http_messaging(*ret, 1);
	nghttp2_option_set_no_closed_streams(*ret, 1);
	nghttp2_option_set_max_outbound_ack(*ret, MAX_OUTBOUND_ACK);
	nghttp2_option_set_max_settings(*ret, MAX_SETTINGS);
	return 0;
}

/* A Go client begins with a call only after our SETTINGS, so they do not wait for it. */
static int start_session(struct grpc_conn *c)
{
	static const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, GRPC_CALLS_MAX },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, GRPC_HEADERS_MAX_BYTES },
	};
	cleanup_callbacks nghttp2_session_callbacks *callbacks = NULL;
	cleanup_option nghttp2_option *option = NULL;
	int r = make_callbacks(&callbacks);

	if (r == 0)
		r = make_option(&option);
	if (r == 0)
		r = nghttp2_session_server_new2(&c->session, callbacks, c, option);
	if (r == 0)
		r = nghttp2_submit_settings(
			c->session, NGHTTP2_FLAG_NONE, settings, ARRAY_SIZE(settings));
	return r;
}

int grpc_conn_create(
	struct grpc_conn **ret, const struct grpc_service *service, void *user, struct err *err)
{
	cleanup_grpc_conn struct grpc_conn *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_set(err, -ENOMEM, "out of memory");
	c->service = service;
	c->user = user;
	r = start_session(c);
	if (r < 0) {
		r = grpc_conn_fail(c, r);
		return err_set(err, r, "%s", c->failed.text);
	}
	*ret = TAKE(c);
	return 0;
}

void grpc_conn_destroy(struct grpc_conn *c)
{
	if (!c)
		return;
	c->busy++;
	while (c->calls)
		grpc_call_destroy(c->calls);
	nghttp2_session_del(c->session);
	free(c);
}

/* Alive, and not inside a callback. */
static int usable(const struct grpc_conn *c, struct err *err)
{
	if (c->failed.code)
		return err_set(err, c->failed.code, "%s", c->failed.text);
	if (c->busy)
		return err_set(err, -EBUSY, "the connection is used inside its own callback");
	return 0;
}

int grpc_conn_receive(struct grpc_conn *c, struct bytes in, struct err *err)
{
	ssize_t n;
	int r = usable(c, err);

	if (r < 0)
		return r;
	c->busy++;
	n = nghttp2_session_mem_recv(c->session, (const uint8_t *)in.at, in.len);
	c->busy--;
	if (n < 0)
		grpc_conn_fail(c, n);
	else if (nghttp2_session_get_outbound_queue_size(c->session) > GRPC_UNREAD_FRAMES_MAX)
		grpc_conn_fail(c, NGHTTP2_ERR_FLOODED);
	return usable(c, err);
}

/* Tells one call that its message is on its way; false: there is none to tell. */
static bool tell_drained(struct grpc_conn *c)
{
	for (struct grpc_call *call = c->calls; call; call = call->next) {
		if (!call->drained)
			continue;
		call->drained = false;
		if (call->phase == CALL_OPEN && call->method->drained)
			call->method->drained(call);
		return true;
	}
	return false;
}

/* Joins frames behind `len` bytes of c->out; returns the new length, or a code of nghttp2. */
static ssize_t join_frames(struct grpc_conn *c, size_t len)
{
	while (len < GRPC_OUT_JOIN_BYTES) {
		const uint8_t *frame;
		ssize_t n = nghttp2_session_mem_send(c->session, &frame);

		if (n < 0)
			return n;
		if (n == 0)
			break;
		if ((size_t)n > sizeof(c->out) - len)
			return NGHTTP2_ERR_FRAME_SIZE_ERROR;
		memcpy(c->out + len, frame, n);
		len += n;
	}
	return len;
}

int grpc_conn_send(struct grpc_conn *c, struct bytes *ret, struct err *err)
{
	ssize_t len = 0;
	int r = usable(c, err);

	if (r < 0)
		return r;
	c->busy++;
	do
		len = join_frames(c, len);
	while (len >= 0 && tell_drained(c));
	c->busy--;
	if (len < 0)
		grpc_conn_fail(c, len);
	r = usable(c, err);
	if (r < 0 || len == 0)
		return r;
	*ret = (struct bytes){ (const char *)c->out, len };
	return 1;
}

bool grpc_conn_want_read(const struct grpc_conn *c)
{
	return !c->failed.code && nghttp2_session_want_read(c->session);
}

bool grpc_conn_want_write(const struct grpc_conn *c)
{
	return !c->failed.code && nghttp2_session_want_write(c->session);
}

int grpc_conn_shutdown(struct grpc_conn *c, struct err *err)
{
	int r = usable(c, err);

	if (r < 0 || c->draining)
		return r;
	r = nghttp2_submit_shutdown_notice(c->session);
	if (r == 0)
		r = nghttp2_submit_ping(c->session, NGHTTP2_FLAG_NONE, NULL);
	if (r < 0)
		grpc_conn_fail(c, r);
	c->draining = c->pinged = true;
	return usable(c, err);
}
