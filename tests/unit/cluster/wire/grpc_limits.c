// SPDX-License-Identifier: Apache-2.0
/* What a peer can make the connection do is bounded, whoever the peer is. */
#include "grpc_echo.h"

static void send_all(struct peer *p)
{
	while (p->failed == 0 && client_to_server(p))
		;
}

TEST(a_request_of_the_longest_length_arrives_and_one_byte_more_is_refused)
{
	cleanup_peer struct peer p = { 0 };
	cleanup_free char *text = calloc(1, 5 + GRPC_REQUEST_MAX_BYTES + 1);
	struct reply *r;

	CHECK(text != NULL);
	memcpy(text, "\0\0\x10\0\0", 5);
	echo_open(&p, 0);
	r = peer_call(&p, "/test.Echo/Say", (struct bytes){ text, 5 + GRPC_REQUEST_MAX_BYTES });
	peer_pump(&p);
	CHECK(ended(r, GRPC_OK));
	CHECK_EQ(r->body_len, 5 + GRPC_REQUEST_MAX_BYTES);

	text[4] = 1;
	r = peer_call(&p, "/test.Echo/Say", (struct bytes){ text, 5 + GRPC_REQUEST_MAX_BYTES + 1 });
	peer_pump(&p);
	CHECK(ended(r, GRPC_RESOURCE_EXHAUSTED));
	CHECK_EQ(echo.started, 1);
}

TEST(a_length_that_is_only_announced_is_refused_at_once)
{
	cleanup_peer struct peer p = { 0 };
	struct reply *r;

	echo_open(&p, 0);
	r = peer_call(&p, "/test.Echo/Say", (struct bytes){ "\0\xff\xff\xff\xff", 5 });
	r->open_ended = true;
	peer_pump(&p);
	CHECK(ended(r, GRPC_RESOURCE_EXHAUSTED));
	CHECK_TEXT(r->message, "the message is longer than 1 MiB");
}

TEST(messages_that_never_end_are_bounded_in_sum)
{
	cleanup_peer struct peer p = { 0 };
	cleanup_free char *text = calloc(1, 5 + GRPC_REQUEST_MAX_BYTES);
	size_t whole = GRPC_BUFFERED_MAX_BYTES / GRPC_REQUEST_MAX_BYTES;
	struct reply *r;

	CHECK(text != NULL);
	memcpy(text, "\0\0\x10\0\0", 5);
	echo_open(&p, 0);
	for (size_t i = 0; i <= whole; i++) {
		r = peer_call(
			&p, "/test.Echo/Say", (struct bytes){ text, 4 + GRPC_REQUEST_MAX_BYTES });
		r->open_ended = true;
		peer_pump(&p);
		CHECK(i < whole ? !r->closed : ended(r, GRPC_RESOURCE_EXHAUSTED));
	}
	CHECK_TEXT(r->message, "no memory for the message");

	/* Room for a request and for its answer. */
	for (int i = 0; i < 3; i++)
		nghttp2_submit_rst_stream(
			p.client, NGHTTP2_FLAG_NONE, p.replies[i].stream, NGHTTP2_CANCEL);
	r = peer_call(&p, "/test.Echo/Say", (struct bytes){ text, 5 + GRPC_REQUEST_MAX_BYTES });
	peer_pump(&p);
	CHECK(ended(r, GRPC_OK));
}

TEST(headers_have_a_longest_length)
{
	char value[4000];
	cleanup_peer struct peer p = { 0 };
	struct header changes[6] = { { "x-0", value }, { "x-1", value }, { "x-2", value },
		{ "x-3", value }, { "x-4", value } };
	struct reply *r;

	memset(value, 'x', sizeof(value));
	value[sizeof(value) - 1] = '\0';
	echo_open(&p, 0);
	r = peer_call_with(&p, "/test.Echo/Say", changes, HELLO);
	peer_pump(&p);
	CHECK(ended(r, GRPC_RESOURCE_EXHAUSTED));
	CHECK_TEXT(r->http, "431");
	changes[3].name = NULL;
	r = peer_call_with(&p, "/test.Echo/Say", changes, HELLO);
	peer_pump(&p);
	CHECK(ended(r, GRPC_OK));
}

TEST(more_calls_than_allowed_are_refused)
{
	cleanup_peer struct peer p = { 0 };
	struct reply *r;

	echo_open(&p, 0);
	for (int i = 0; i < GRPC_CALLS_MAX + 5; i++)
		peer_call(&p, "/test.Echo/Hold", HELLO);
	peer_pump(&p);
	CHECK_EQ(echo.started, GRPC_CALLS_MAX);
	grpc_call_reply(echo.held, HELLO);
	peer_pump(&p);
	CHECK_EQ(echo.started, GRPC_CALLS_MAX + 1);
	CHECK_EQ(p.failed, 0);

	/* One that does not wait for the SETTINGS is refused, and may try again. */
	r = NULL;
	cleanup_peer struct peer eager = { 0 };

	memset(&echo, 0, sizeof(echo));
	CHECK_EQ(peer_open(&eager, &echo_service, 0), 0);
	for (int i = 0; i < GRPC_CALLS_MAX + 1; i++)
		r = peer_call(&eager, "/test.Echo/Hold", HELLO);
	send_all(&eager);
	peer_pump(&eager);
	CHECK_EQ(echo.started, GRPC_CALLS_MAX);
	CHECK(r->closed && r->error_code == NGHTTP2_REFUSED_STREAM);
	CHECK_EQ(eager.failed, 0);
}

/* A greeting and then this, so often. */
static int flood(struct bytes frame, unsigned times)
{
	cleanup_peer struct peer p = { 0 };
	int r = 0;

	echo_open(&p, 0);
	for (unsigned i = 0; i < times && r == 0; i++)
		r = peer_give(&p, frame);
	CHECK(r == 0 || p.err.text[0] != '\0');
	return r;
}

#define PING "\0\0\10\6\0\0\0\0\0ABCDEFGH"
#define SETTINGS "\0\0\0\4\0\0\0\0\0"

TEST(frames_that_want_an_answer_and_get_none_read_end_the_connection)
{
	CHECK_EQ(flood((struct bytes){ PING, 17 }, 200), 0);
	CHECK_EQ(flood((struct bytes){ PING, 17 }, 1000), -ENOBUFS);
	CHECK_EQ(flood((struct bytes){ SETTINGS, 9 }, 1000), -ENOBUFS);
}

TEST(a_client_that_resets_all_its_calls_is_sent_away)
{
	cleanup_peer struct peer p = { 0 };
	unsigned i;

	echo_open(&p, 0);
	for (i = 0; i < 3000 && p.goaways == 0; i++) {
		struct reply *r = peer_call(&p, "/test.Echo/Hold", HELLO);

		send_all(&p);
		nghttp2_submit_rst_stream(p.client, NGHTTP2_FLAG_NONE, r->stream, NGHTTP2_CANCEL);
		peer_pump(&p);
		p.n = 0;
	}
	CHECK(p.goaways == 1 && i < 2500);
	CHECK_EQ(echo.cancelled, echo.started);
	CHECK(!grpc_conn_want_read(p.conn));
}

/*
 * Requests that are refused and reset before the refusal is read: each leaves frames in our queue.
 * nghttp2's own limit on resets ends it.
 */
TEST(refusals_that_nobody_reads_do_not_pile_up)
{
	cleanup_peer struct peer p = { 0 };
	struct bytes out;
	size_t sent = 0;
	unsigned i;

	echo_open(&p, 0);
	for (i = 0; i < 5000 && p.failed == 0 && grpc_conn_want_read(p.conn); i++) {
		struct reply *r = peer_call(&p, "/test.Echo/Nothing", HELLO);

		send_all(&p);
		nghttp2_submit_rst_stream(p.client, NGHTTP2_FLAG_NONE, r->stream, NGHTTP2_CANCEL);
		send_all(&p);
		p.n = 0;
	}
	CHECK(i < 5000);
	while (p.failed == 0 && grpc_conn_send(p.conn, &out, NULL) == 1)
		sent += out.len;
	CHECK(sent < 1024 * 1024);
}

TEST(what_is_no_http2_ends_the_connection_for_good)
{
	static const char *const others[] = { "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"{\"method\": \"rt.takt.List\"}", "PRI * HTTP/2.0\r\n\r\nSM\r\nx" };

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		struct grpc_conn *c = NULL;
		struct err err = ERR_NULL;
		struct bytes out;

		CHECK_EQ(grpc_conn_create(&c, &echo_service, NULL, NULL), 0);
		CHECK_EQ(grpc_conn_receive(c, (struct bytes){ others[i], strlen(others[i]) }, &err),
			-EPROTO);
		CHECK_TEXT(err.text, "the peer does not speak HTTP/2");
		CHECK_EQ(grpc_conn_receive(c, HELLO, NULL), -EPROTO);
		CHECK_EQ(grpc_conn_send(c, &out, NULL), -EPROTO);
		CHECK_EQ(grpc_conn_shutdown(c, NULL), -EPROTO);
		CHECK(!grpc_conn_want_read(c) && !grpc_conn_want_write(c));
		grpc_conn_destroy(c);
	}
}

TEST(a_frame_that_breaks_http2_is_told_and_ends_the_connection)
{
	/* DATA on stream 0; a frame of 2^24-1 bytes; HEADERS on an even stream. */
	static const struct bytes frames[] = {
		{ "\0\0\1\0\0\0\0\0\0x", 10 },
		{ "\xff\xff\xff\0\0\0\0\0\1", 9 },
		{ "\0\0\1\1\5\0\0\0\2\x82", 10 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(frames); i++) {
		cleanup_peer struct peer p = { 0 };

		echo_open(&p, 0);
		peer_call(&p, "/test.Echo/Hold", HELLO);
		peer_pump(&p);
		CHECK_EQ(peer_give(&p, frames[i]), 0);
		peer_pump(&p);
		CHECK_EQ(p.failed, 0);
		CHECK_EQ(p.goaways, 1);
		CHECK(!grpc_conn_want_read(p.conn) && !grpc_conn_want_write(p.conn));
	}
	CHECK_EQ(echo.cancelled, 1);
}

TEST(a_client_may_send_trailers_and_they_mean_nothing)
{
	cleanup_peer struct peer p = { 0 };
	struct reply *r;
	nghttp2_nv trailer = { (uint8_t *)":path", (uint8_t *)"/other", 5, 6, 0 };

	echo_open(&p, 0);
	r = peer_call(&p, "/test.Echo/Say", HELLO);
	r->open_ended = true;
	peer_pump(&p);
	CHECK_EQ(echo.started, 0);
	CHECK_EQ(nghttp2_submit_trailer(p.client, r->stream, &trailer, 1), 0);
	r->open_ended = false;
	r->piece = 1;
	peer_pump(&p);
	CHECK(ended(r, GRPC_OK) && said_hello(r));
}
