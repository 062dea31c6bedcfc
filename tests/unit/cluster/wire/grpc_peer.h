/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client of the gRPC tests: an nghttp2 client session beside the connection under test, in
 * memory. nghttp2 holds our replies to all of HTTP's rules; the client keeps what came.
 */
#pragma once

#include <errno.h>
#include <nghttp2/nghttp2.h>

#include "base/cleanup.h"
#include "cluster/wire/grpc.h"
#include "test.h"

#define REPLIES_MAX 128
#define HEADERS_MAX 24
#define TEXT_MAX 2048

struct reply {
	int32_t stream;
	char http[8], content_type[64], accept_encoding[32], status[8], message[TEXT_MAX];
	unsigned blocks; /* HEADERS that came */
	char *body;
	size_t body_len;
	bool closed;
	uint32_t error_code;
	struct bytes request; /* what is left to send */
	size_t piece; /* at most so much of it in one frame; 0: as it comes */
	bool open_ended; /* the client does not end it */
};

struct peer {
	struct grpc_conn *conn;
	nghttp2_session *client;
	struct reply replies[REPLIES_MAX];
	size_t n;
	size_t piece; /* the connection gets at most so many bytes at a time; 0: as they come */
	unsigned goaways;
	int32_t goaway_last;
	int failed; /* the connection's first error */
	struct err err;
	char *sent; /* all that the client sent */
	size_t sent_len;
	/* Around every use of the connection: the test of memory counts in between. */
	void (*around)(bool inside);
};

static inline struct reply *reply_of(struct peer *p, int32_t stream)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->replies[i].stream == stream)
			return &p->replies[i];
	return NULL;
}

static inline void keep(char *to, size_t size, const uint8_t *value, size_t len)
{
	CHECK(len < size);
	memcpy(to, value, len);
	to[len] = '\0';
}

static inline int peer_header(nghttp2_session *s, const nghttp2_frame *frame, const uint8_t *name,
	size_t name_len, const uint8_t *value, size_t len, uint8_t flags, void *user)
{
	struct reply *r = reply_of(user, frame->hd.stream_id);
	const char *n = (const char *)name;

	CHECK(r != NULL);
	if (strcmp(n, ":status") == 0)
		keep(r->http, sizeof(r->http), value, len);
	else if (strcmp(n, "content-type") == 0)
		keep(r->content_type, sizeof(r->content_type), value, len);
	else if (strcmp(n, "grpc-accept-encoding") == 0)
		keep(r->accept_encoding, sizeof(r->accept_encoding), value, len);
	else if (strcmp(n, "grpc-status") == 0)
		keep(r->status, sizeof(r->status), value, len);
	else if (strcmp(n, "grpc-message") == 0)
		keep(r->message, sizeof(r->message), value, len);
	return 0;
}

static inline int peer_frame(nghttp2_session *s, const nghttp2_frame *frame, void *user)
{
	struct peer *p = user;
	struct reply *r = reply_of(p, frame->hd.stream_id);

	if (frame->hd.type == NGHTTP2_GOAWAY) {
		p->goaways++;
		p->goaway_last = frame->goaway.last_stream_id;
	}
	if (frame->hd.type == NGHTTP2_HEADERS && r)
		r->blocks++;
	return 0;
}

/* Room is doubled, so that thousands of small frames do not copy all each time. */
static inline void append(char **text, size_t *len, const void *data, size_t n)
{
	size_t have = *len ? (size_t)1 << (64 - __builtin_clzll(*len)) : 0;

	if (*len + n >= have) {
		while (have <= *len + n)
			have = have ? 2 * have : 64;
		*text = realloc(*text, have);
		CHECK(*text != NULL);
	}
	memcpy(*text + *len, data, n);
	*len += n;
}

static inline int peer_data(nghttp2_session *s, uint8_t flags, int32_t stream, const uint8_t *data,
	size_t len, void *user)
{
	struct reply *r = reply_of(user, stream);

	CHECK(r != NULL);
	append(&r->body, &r->body_len, data, len);
	return 0;
}

static inline int peer_closed(nghttp2_session *s, int32_t stream, uint32_t error_code, void *user)
{
	struct reply *r = reply_of(user, stream);

	if (r) {
		r->closed = true;
		r->error_code = error_code;
	}
	return 0;
}

static inline ssize_t peer_body(nghttp2_session *s, int32_t stream, uint8_t *buf, size_t size,
	uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct reply *r = source->ptr;
	size_t n = r->request.len < size ? r->request.len : size;

	if (r->piece && n > r->piece)
		n = r->piece;
	memcpy(buf, r->request.at, n);
	r->request = bytes_skip(r->request, n);
	if (r->request.len == 0) {
		if (r->open_ended && n == 0)
			return NGHTTP2_ERR_DEFERRED;
		if (!r->open_ended)
			*flags |= NGHTTP2_DATA_FLAG_EOF;
	}
	return n;
}

static inline void peer_guard(struct peer *p, bool inside)
{
	if (p->around)
		p->around(inside);
}

/*
 * `window`: what the client lets the server send on each stream, until the test gives more by
 * nghttp2_session_consume(); 0: HTTP/2's default, and it gives more by itself.
 */
static inline int peer_open(struct peer *p, const struct grpc_service *service, uint32_t window)
{
	nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window ? window : 65535 },
	};
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;
	int r;

	nghttp2_session_callbacks_new(&callbacks);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, peer_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, peer_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, peer_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, peer_closed);
	nghttp2_option_new(&option);
	nghttp2_option_set_no_auto_window_update(option, window != 0);
	CHECK_EQ(nghttp2_session_client_new2(&p->client, callbacks, p, option), 0);
	CHECK_EQ(nghttp2_submit_settings(p->client, NGHTTP2_FLAG_NONE, settings, 1), 0);
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(callbacks);

	peer_guard(p, true);
	r = grpc_conn_create(&p->conn, service, p, &p->err);
	peer_guard(p, false);
	return r;
}

static inline void peer_close(struct peer *p)
{
	peer_guard(p, true);
	grpc_conn_destroy(p->conn);
	peer_guard(p, false);
	nghttp2_session_del(p->client);
	for (size_t i = 0; i < p->n; i++)
		free(p->replies[i].body);
	free(p->sent);
	memset(p, 0, sizeof(*p));
}

#define cleanup_peer __attribute__((cleanup(peer_close)))

/* Hands bytes to the connection, in pieces if so wanted. */
static inline int peer_give(struct peer *p, struct bytes in)
{
	int r = p->failed;

	while (r == 0 && in.len) {
		size_t n = p->piece && p->piece < in.len ? p->piece : in.len;
		/* Of the exact size, so that a sanitizer sees a read past the end. */
		cleanup_free char *exact = malloc(n);

		CHECK(exact != NULL);
		memcpy(exact, in.at, n);
		peer_guard(p, true);
		r = grpc_conn_receive(p->conn, (struct bytes){ exact, n }, &p->err);
		peer_guard(p, false);
		in = bytes_skip(in, n);
	}
	p->failed = r;
	return r;
}

static inline bool client_to_server(struct peer *p)
{
	const uint8_t *data;
	ssize_t n = nghttp2_session_mem_send(p->client, &data);

	CHECK(n >= 0);
	if (n == 0)
		return false;
	append(&p->sent, &p->sent_len, data, n);
	peer_give(p, (struct bytes){ (const char *)data, n });
	return p->failed == 0;
}

static inline bool server_to_client(struct peer *p)
{
	struct bytes out;
	int r;

	peer_guard(p, true);
	r = grpc_conn_send(p->conn, &out, &p->err);
	peer_guard(p, false);
	if (r < 0)
		p->failed = r;
	if (r <= 0)
		return false;
	CHECK(out.len > 0);
	CHECK_EQ(nghttp2_session_mem_recv(p->client, (const uint8_t *)out.at, out.len), out.len);
	return true;
}

/* Until neither side has anything to say, or the connection has failed. */
static inline void peer_pump(struct peer *p)
{
	while (p->failed == 0 && (client_to_server(p) + server_to_client(p) > 0))
		;
}

struct header {
	const char *name, *value; /* no value: the header is left out */
};

/* The headers of a Go client, with those of `changes` in their place or besides. */
static inline size_t peer_headers(
	nghttp2_nv nv[static HEADERS_MAX], const char *path, const struct header *changes)
{
	const struct header usual[] = {
		{ ":method", "POST" },
		{ ":scheme", "http" },
		{ ":path", path },
		{ ":authority", "localhost" },
		{ "content-type", "application/grpc" },
		{ "user-agent", "grpc-go/1.72.0" },
		{ "te", "trailers" },
	};
	bool used[HEADERS_MAX] = { false };
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(usual); i++) {
		const char *value = usual[i].value;

		for (size_t k = 0; changes && changes[k].name; k++)
			if (!used[k] && strcmp(changes[k].name, usual[i].name) == 0) {
				used[k] = true;
				value = changes[k].value;
				break;
			}
		if (value)
			nv[n++] = (nghttp2_nv){ (uint8_t *)usual[i].name, (uint8_t *)value,
				strlen(usual[i].name), strlen(value), 0 };
	}
	for (size_t k = 0; changes && changes[k].name; k++)
		if (!used[k] && changes[k].value) {
			CHECK(n < HEADERS_MAX);
			nv[n++] = (nghttp2_nv){ (uint8_t *)changes[k].name,
				(uint8_t *)changes[k].value, strlen(changes[k].name),
				strlen(changes[k].value), 0 };
		}
	return n;
}

/* Begins a call with this body, which is borrowed; nothing is sent before the next pump. */
static inline struct reply *peer_call_with(
	struct peer *p, const char *path, const struct header *changes, struct bytes body)
{
	struct reply *r = &p->replies[p->n];
	nghttp2_data_provider provider = { { .ptr = r }, peer_body };
	nghttp2_nv nv[HEADERS_MAX];
	size_t n = peer_headers(nv, path, changes);

	CHECK(p->n < REPLIES_MAX);
	memset(r, 0, sizeof(*r));
	r->request = body;
	r->stream =
		nghttp2_submit_request(p->client, NULL, nv, n, body.at ? &provider : NULL, NULL);
	CHECK(r->stream > 0);
	p->n++;
	return r;
}

static inline struct reply *peer_call(struct peer *p, const char *path, struct bytes body)
{
	return peer_call_with(p, path, NULL, body);
}

/* One message with its prefix; free() it. */
static inline char *framed(struct bytes message, size_t *ret_len)
{
	char *text = malloc(5 + message.len);

	CHECK(text != NULL);
	text[0] = 0;
	for (int i = 0; i < 4; i++)
		text[1 + i] = message.len >> (24 - 8 * i);
	if (message.len)
		memcpy(text + 5, message.at, message.len);
	*ret_len = 5 + message.len;
	return text;
}

/* The reply came whole, with this status. */
static inline bool ended(const struct reply *r, enum grpc_status status)
{
	char number[8];

	snprintf(number, sizeof(number), "%d", status);
	return r->closed && r->error_code == NGHTTP2_NO_ERROR && strcmp(r->status, number) == 0 &&
	       strcmp(r->content_type, "application/grpc") == 0;
}
