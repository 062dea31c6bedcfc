// SPDX-License-Identifier: Apache-2.0
/* What a well-behaved client gets, and what one gets that breaks gRPC's rules. */
#include "grpc_echo.h"

TEST(a_call_is_answered)
{
	cleanup_peer struct peer p = { 0 };
	struct reply *r;

	echo_open(&p, 0);
	r = peer_call(&p, "/test.Echo/Say", HELLO);
	peer_pump(&p);
	CHECK(ended(r, GRPC_OK) && said_hello(r));
	CHECK_TEXT(r->http, "200");
	CHECK_TEXT(r->message, "");
	CHECK_EQ(r->blocks, 2);
	CHECK(echo.user == &p);
	CHECK_TEXT(echo.path, "/test.Echo/Say");
	CHECK(echo.timeout_ns == GRPC_NO_TIMEOUT);
	CHECK_EQ(echo.woken, 0);
}

TEST(the_settings_come_first_and_wait_for_no_byte_of_the_client)
{
	struct grpc_conn *c = NULL;
	struct bytes out;

	CHECK_EQ(grpc_conn_create(&c, &echo_service, NULL, NULL), 0);
	CHECK(grpc_conn_want_write(c) && grpc_conn_want_read(c));
	CHECK_EQ(grpc_conn_send(c, &out, NULL), 1);
	CHECK(out.len > 9 && out.at[3] == NGHTTP2_SETTINGS && out.at[4] == 0);
	CHECK_EQ(grpc_conn_send(c, &out, NULL), 0);
	CHECK(!grpc_conn_want_write(c));
	grpc_conn_destroy(c);
	grpc_conn_destroy(NULL);
}

TEST(an_empty_message_is_a_message)
{
	cleanup_peer struct peer p = { 0 };
	struct reply *r;

	echo_open(&p, 0);
	r = peer_call(&p, "/test.Echo/Say", (struct bytes){ "\0\0\0\0\0", 5 });
	peer_pump(&p);
	CHECK(ended(r, GRPC_OK));
	CHECK_EQ(r->body_len, 5);
}

TEST(many_calls_share_a_connection)
{
	cleanup_peer struct peer p = { 0 };

	echo_open(&p, 0);
	for (int i = 0; i < 40; i++)
		peer_call(&p, i % 2 ? "/test.Echo/Say" : "/test.Echo/Nothing", HELLO);
	peer_pump(&p);
	for (int i = 0; i < 40; i++)
		CHECK(ended(&p.replies[i], i % 2 ? GRPC_OK : GRPC_UNIMPLEMENTED));
}

/* One client's bytes, given to a new connection in two parts, or one by one. */
static void replay(struct bytes sent, size_t first, char **ret, size_t *ret_len)
{
	struct grpc_conn *c = NULL;
	struct bytes out;
	size_t at = 0;

	memset(&echo, 0, sizeof(echo));
	*ret_len = 0;
	CHECK_EQ(grpc_conn_create(&c, &echo_service, NULL, NULL), 0);
	while (at < sent.len) {
		size_t n = first ? (at ? sent.len - at : first) : 1;

		CHECK_EQ(grpc_conn_receive(c, (struct bytes){ sent.at + at, n }, NULL), 0);
		at += n;
	}
	while (grpc_conn_send(c, &out, NULL) == 1) {
		*ret = realloc(*ret, *ret_len + out.len);
		CHECK(*ret != NULL);
		memcpy(*ret + *ret_len, out.at, out.len);
		*ret_len += out.len;
	}
	grpc_conn_destroy(c);
}

TEST(bytes_may_be_cut_anywhere)
{
	cleanup_peer struct peer p = { 0 };
	cleanup_free char *whole = NULL;
	size_t whole_len;

	echo_open(&p, 0);
	peer_call(&p, "/test.Echo/Say", HELLO)->piece = 3;
	peer_call(&p, "/test.Echo/Nothing", HELLO);
	peer_call(&p, "/test.Echo/Say", (struct bytes){ "\0\0\0\0\7cut", 8 });
	peer_pump(&p);
	CHECK(said_hello(&p.replies[0]));
	replay((struct bytes){ p.sent, p.sent_len }, p.sent_len, &whole, &whole_len);
	CHECK(whole_len > 0);

	for (size_t first = 0; first < p.sent_len; first++) {
		cleanup_free char *part = NULL;
		size_t part_len;

		replay((struct bytes){ p.sent, p.sent_len }, first, &part, &part_len);
		CHECK_EQ(echo.started, 1);
		CHECK_EQ(part_len, whole_len);
		CHECK(memcmp(part, whole, whole_len) == 0);
	}
}

TEST(a_message_may_come_in_many_frames)
{
	cleanup_peer struct peer p = { 0 };
	struct reply *r;

	echo_open(&p, 0);
	r = peer_call(&p, "/test.Echo/Say", HELLO);
	r->piece = 1;
	p.piece = 7;
	peer_pump(&p);
	CHECK(ended(r, GRPC_OK) && said_hello(r));
}

/* A body that is not exactly one message. */
static void refused_body(struct bytes body, enum grpc_status status, const char *why)
{
	cleanup_peer struct peer p = { 0 };
	struct reply *bad, *good;

	echo_open(&p, 0);
	bad = peer_call(&p, "/test.Echo/Say", body);
	peer_pump(&p);
	CHECK(ended(bad, status));
	CHECK_TEXT(bad->http, "200");
	CHECK_TEXT(bad->message, why);
	CHECK_EQ(bad->blocks, 1);
	CHECK_EQ(bad->body_len, 0);
	CHECK_EQ(echo.started, 0);

	good = peer_call(&p, "/test.Echo/Say", HELLO);
	peer_pump(&p);
	CHECK(ended(good, GRPC_OK));
}

TEST(a_body_of_not_one_message_is_refused)
{
	refused_body((struct bytes){ NULL, 0 }, GRPC_UNIMPLEMENTED,
		"one message was expected, none came");
	refused_body(
		(struct bytes){ "", 0 }, GRPC_UNIMPLEMENTED, "one message was expected, none came");
	refused_body((struct bytes){ "\0\0\0\0\1a\0\0\0\0\1b", 12 }, GRPC_UNIMPLEMENTED,
		"one message was expected, more came");
	refused_body((struct bytes){ "\0\0\0\0\1ab", 7 }, GRPC_UNIMPLEMENTED,
		"one message was expected, more came");
	refused_body((struct bytes){ "\0\0\0\0\0\0", 6 }, GRPC_UNIMPLEMENTED,
		"one message was expected, more came");
}

TEST(a_message_that_is_cut_short_is_refused)
{
	refused_body((struct bytes){ "\0", 1 }, GRPC_INTERNAL, "the message is cut short");
	refused_body((struct bytes){ "\0\0\0\0", 4 }, GRPC_INTERNAL, "the message is cut short");
	refused_body((struct bytes){ "\0\0\0\0\1", 5 }, GRPC_INTERNAL, "the message is cut short");
	refused_body(
		(struct bytes){ "\0\0\0\0\5hell", 9 }, GRPC_INTERNAL, "the message is cut short");
}

TEST(a_compressed_message_is_refused)
{
	refused_body((struct bytes){ "\1\0\0\0\5hello", 10 }, GRPC_INTERNAL,
		"the message is compressed, without leave");
}

static struct reply with_headers(struct peer *p, const struct header *changes)
{
	struct reply *r = peer_call_with(p, "/test.Echo/Say", changes, HELLO);

	peer_pump(p);
	CHECK_EQ(p->failed, 0);
	return *r;
}

#define HEADERS(...) ((const struct header[]){ __VA_ARGS__, { NULL, NULL } })

TEST(any_authority_is_taken)
{
	static const char *const authorities[] = { "localhost",
		"/var/lib/kubelet/plugins/rt/dra.sock",
		"%2Fvar%2Flib%2Fkubelet%2Fplugins%2Frt%2Fdra.sock", "", "a b" };
	cleanup_peer struct peer p = { 0 };

	echo_open(&p, 0);
	for (size_t i = 0; i < ARRAY_SIZE(authorities); i++) {
		struct reply r = with_headers(&p, HEADERS({ ":authority", authorities[i] }));

		CHECK(ended(&r, GRPC_OK) && said_hello(&r));
	}
	CHECK_EQ(echo.started, ARRAY_SIZE(authorities));
}

TEST(a_content_type_of_grpc_is_needed)
{
	static const char *const good[] = { "application/grpc", "application/grpc+proto",
		"application/grpc;charset=utf-8", "application/grpc+proto;x=y" };
	static const char *const bad[] = { "application/grpc+json", "application/grpcx",
		"text/html", "", NULL };
	cleanup_peer struct peer p = { 0 };

	echo_open(&p, 0);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct reply r = with_headers(&p, HEADERS({ "content-type", good[i] }));

		CHECK(ended(&r, GRPC_OK));
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct reply r = with_headers(&p, HEADERS({ "content-type", bad[i] }));

		CHECK(ended(&r, GRPC_INVALID_ARGUMENT));
		CHECK_TEXT(r.http, "415");
		CHECK_EQ(r.blocks, 1);
	}
	CHECK_EQ(echo.started, ARRAY_SIZE(good));
}

static void refused_header(
	const char *name, const char *value, const char *http, enum grpc_status status)
{
	cleanup_peer struct peer p = { 0 };
	struct reply r;

	echo_open(&p, 0);
	r = with_headers(&p, HEADERS({ name, value }));
	CHECK(ended(&r, status));
	CHECK_TEXT(r.http, http);
	CHECK_TEXT(r.accept_encoding, "identity");
	CHECK(r.message[0] != '\0');
	CHECK_EQ(r.blocks, 1);
	CHECK_EQ(echo.started, 0);
	r = with_headers(&p, HEADERS({ "x-more", "1" }));
	CHECK(ended(&r, GRPC_OK));
}

TEST(headers_that_break_the_rules_are_refused)
{
	refused_header(":method", "GET", "405", GRPC_INTERNAL);
	refused_header(":method", NULL, "405", GRPC_INTERNAL);
	refused_header(":path", NULL, "400", GRPC_INTERNAL);
	refused_header("te", NULL, "400", GRPC_INTERNAL);
	refused_header("te", "gzip", "400", GRPC_INTERNAL);
	refused_header("grpc-timeout", "1", "400", GRPC_INTERNAL);
	refused_header("grpc-timeout", "123456789S", "400", GRPC_INTERNAL);
	refused_header("grpc-encoding", "gzip", "200", GRPC_UNIMPLEMENTED);
}

TEST(a_header_that_matters_comes_once)
{
	cleanup_peer struct peer p = { 0 };
	struct reply r;

	echo_open(&p, 0);
	r = with_headers(&p, HEADERS({ "grpc-timeout", "1S" }, { "grpc-timeout", "2S" }));
	CHECK(ended(&r, GRPC_INTERNAL));
	CHECK_TEXT(r.message, "a header is there twice");
	r = with_headers(&p, HEADERS({ "x-a", "1" }, { "x-a", "1" }));
	CHECK(ended(&r, GRPC_OK));
	r = with_headers(&p, HEADERS({ "grpc-encoding", "identity" }));
	CHECK(ended(&r, GRPC_OK));
}

TEST(a_method_that_is_not_there_is_named)
{
	char longest[400] = "/test.Echo/Say";
	cleanup_peer struct peer p = { 0 };
	struct reply r;

	echo_open(&p, 0);
	r = with_headers(&p, HEADERS({ ":path", "/test.Echo/Shout" }));
	CHECK(ended(&r, GRPC_UNIMPLEMENTED));
	CHECK_TEXT(r.http, "200");
	CHECK_TEXT(r.message, "there is no method \"/test.Echo/Shout\"");
	r = with_headers(&p, HEADERS({ ":path", "" }));
	CHECK(ended(&r, GRPC_UNIMPLEMENTED));
	memset(longest + strlen(longest), 'x', sizeof(longest) - 1 - strlen(longest));
	r = with_headers(&p, HEADERS({ ":path", longest }));
	CHECK(ended(&r, GRPC_UNIMPLEMENTED));
	CHECK_EQ(echo.started, 0);
}

TEST(a_timeout_is_handed_on)
{
	cleanup_peer struct peer p = { 0 };
	struct reply r;

	echo_open(&p, 0);
	r = with_headers(&p, HEADERS({ "grpc-timeout", "45S" }));
	CHECK(ended(&r, GRPC_OK));
	CHECK(echo.timeout_ns == UINT64_C(45000000000));
	r = with_headers(&p, HEADERS({ "grpc-timeout", "0n" }));
	CHECK(ended(&r, GRPC_OK));
	CHECK(echo.timeout_ns == 0);
}

TEST(an_answer_may_come_later)
{
	cleanup_peer struct peer p = { 0 };
	struct reply *r;

	echo_open(&p, 0);
	r = peer_call(&p, "/test.Echo/Hold", HELLO);
	peer_pump(&p);
	CHECK(echo.held != NULL && !r->closed && !grpc_conn_want_write(p.conn));
	grpc_call_reply(echo.held, (struct bytes){ "hello", 5 });
	CHECK_EQ(echo.woken, 1);
	CHECK(grpc_conn_want_write(p.conn));
	peer_pump(&p);
	CHECK(ended(r, GRPC_OK) && said_hello(r));
	CHECK_EQ(echo.cancelled, 0);
}

TEST(calls_may_be_answered_in_any_order)
{
	cleanup_peer struct peer p = { 0 };
	struct grpc_call *calls[3];

	echo_open(&p, 0);
	for (int i = 0; i < 3; i++) {
		peer_call(&p, "/test.Echo/Hold", HELLO);
		peer_pump(&p);
		calls[i] = echo.held;
	}
	grpc_call_finish(calls[1], GRPC_ABORTED, "one");
	grpc_call_finish(calls[2], GRPC_NOT_FOUND, "two");
	peer_pump(&p);
	CHECK(!p.replies[0].closed);
	CHECK(ended(&p.replies[1], GRPC_ABORTED) && ended(&p.replies[2], GRPC_NOT_FOUND));
	grpc_call_reply(calls[0], (struct bytes){ "hello", 5 });
	peer_pump(&p);
	CHECK(ended(&p.replies[0], GRPC_OK) && said_hello(&p.replies[0]));
}

TEST(a_status_has_its_sentence_percent_encoded)
{
	cleanup_peer struct peer p = { 0 };
	struct reply *r;

	echo_open(&p, 0);
	r = peer_call(&p, "/test.Echo/Hold", HELLO);
	peer_pump(&p);
	grpc_call_finish(echo.held, GRPC_FAILED_PRECONDITION, "95 % asked, 2.5 ms\nfree: \u00bd");
	peer_pump(&p);
	CHECK(ended(r, GRPC_FAILED_PRECONDITION));
	CHECK_TEXT(r->message, "95 %25 asked, 2.5 ms%0Afree: %C2%BD");
	CHECK_EQ(r->blocks, 1);
	CHECK_EQ(r->body_len, 0);
}

TEST(a_sentence_that_is_too_long_ends_with_a_whole_character)
{
	cleanup_peer struct peer p = { 0 };
	char text[900];
	struct reply *r;

	for (size_t i = 0; i < sizeof(text) - 1; i++)
		text[i] = "\u20ac"[i % 3];
	text[sizeof(text) - 1] = '\0';
	echo_open(&p, 0);
	r = peer_call(&p, "/test.Echo/Hold", HELLO);
	peer_pump(&p);
	grpc_call_finish(echo.held, GRPC_ABORTED, text);
	peer_pump(&p);
	CHECK(ended(r, GRPC_ABORTED));
	CHECK_EQ(strlen(r->message), (GRPC_MESSAGE_MAX - 1) / 3 * strlen("%E2%82%AC"));
}

TEST(a_call_may_end_without_an_answer_and_without_a_sentence)
{
	cleanup_peer struct peer p = { 0 };
	struct reply *r;

	echo_open(&p, 0);
	r = peer_call(&p, "/test.Echo/Watch", HELLO);
	peer_pump(&p);
	grpc_call_finish(echo.held, GRPC_OK, NULL);
	peer_pump(&p);
	CHECK(ended(r, GRPC_OK));
	CHECK_TEXT(r->message, "");
}

TEST(a_client_that_gives_up_is_told_to_the_handler)
{
	cleanup_peer struct peer p = { 0 };
	struct reply *r;

	echo_open(&p, 0);
	r = peer_call(&p, "/test.Echo/Hold", HELLO);
	peer_pump(&p);
	CHECK_EQ(echo.cancelled, 0);
	nghttp2_submit_rst_stream(p.client, NGHTTP2_FLAG_NONE, r->stream, NGHTTP2_CANCEL);
	peer_pump(&p);
	CHECK_EQ(echo.cancelled, 1);
	CHECK(!echo.held);
	r = peer_call(&p, "/test.Echo/Say", HELLO);
	peer_pump(&p);
	CHECK(ended(r, GRPC_OK));
}

TEST(a_connection_that_ends_cancels_its_calls)
{
	struct peer p = { 0 };

	echo_open(&p, 0);
	peer_call(&p, "/test.Echo/Hold", HELLO);
	peer_call(&p, "/test.Echo/Watch", HELLO);
	peer_pump(&p);
	peer_close(&p);
	CHECK_EQ(echo.started, 2);
	CHECK_EQ(echo.cancelled, 2);
}

TEST(a_call_that_was_ended_is_not_cancelled)
{
	struct peer p = { 0 };

	echo_open(&p, 0);
	peer_call(&p, "/test.Echo/Hold", HELLO);
	peer_pump(&p);
	grpc_call_reply(echo.held, HELLO);
	peer_close(&p);
	CHECK_EQ(echo.cancelled, 0);
}

TEST(a_call_that_the_client_has_not_ended_has_not_begun)
{
	cleanup_peer struct peer p = { 0 };
	struct reply *r;

	echo_open(&p, 0);
	r = peer_call(&p, "/test.Echo/Hold", HELLO);
	r->open_ended = true;
	peer_pump(&p);
	CHECK_EQ(echo.started, 0);
	r->open_ended = false;
	nghttp2_session_resume_data(p.client, r->stream);
	peer_pump(&p);
	CHECK_EQ(echo.started, 1);
}

TEST(the_connection_is_not_used_inside_its_callbacks)
{
	cleanup_peer struct peer p = { 0 };
	struct reply *r;

	echo_open(&p, 0);
	echo.misused = p.conn;
	r = peer_call(&p, "/test.Echo/Say", HELLO);
	peer_pump(&p);
	for (size_t i = 0; i < ARRAY_SIZE(echo.misuse); i++)
		CHECK_EQ(echo.misuse[i], -EBUSY);
	CHECK(ended(r, GRPC_OK));
}

TEST(who_goes_finishes_what_was_begun)
{
	cleanup_peer struct peer p = { 0 };
	struct reply *r;

	echo_open(&p, 0);
	r = peer_call(&p, "/test.Echo/Hold", HELLO);
	peer_pump(&p);
	CHECK_EQ(grpc_conn_shutdown(p.conn, NULL), 0);
	CHECK_EQ(grpc_conn_shutdown(p.conn, NULL), 0);
	server_to_client(&p);
	CHECK_EQ(p.goaways, 1);
	CHECK_EQ(p.goaway_last, INT32_MAX);
	peer_pump(&p);
	CHECK_EQ(p.goaways, 2);
	CHECK_EQ(p.goaway_last, r->stream);
	CHECK(grpc_conn_want_read(p.conn) && !r->closed);
	grpc_call_reply(echo.held, (struct bytes){ "hello", 5 });
	peer_pump(&p);
	CHECK(ended(r, GRPC_OK) && said_hello(r));
	CHECK(!grpc_conn_want_read(p.conn) && !grpc_conn_want_write(p.conn));
}

TEST(a_call_that_crosses_the_goodbye_is_answered)
{
	cleanup_peer struct peer p = { 0 };
	struct reply *r;

	echo_open(&p, 0);
	CHECK_EQ(grpc_conn_shutdown(p.conn, NULL), 0);
	r = peer_call(&p, "/test.Echo/Say", HELLO);
	while (client_to_server(&p))
		;
	peer_pump(&p);
	CHECK(ended(r, GRPC_OK));
	CHECK(!grpc_conn_want_read(p.conn) && !grpc_conn_want_write(p.conn));
}

TEST(who_goes_with_no_call_is_done_when_the_peer_has_answered)
{
	cleanup_peer struct peer p = { 0 };

	echo_open(&p, 0);
	CHECK_EQ(grpc_conn_shutdown(p.conn, NULL), 0);
	server_to_client(&p);
	CHECK_EQ(p.goaways, 1);
	CHECK(grpc_conn_want_read(p.conn));
	peer_pump(&p);
	CHECK(!grpc_conn_want_read(p.conn) && !grpc_conn_want_write(p.conn));
}

TEST(the_last_word_is_said_once)
{
	cleanup_peer struct peer p = { 0 };
	struct bytes ping_ack = { "\0\0\10\6\1\0\0\0\0\0\0\0\0\0\0\0\0", 17 };

	echo_open(&p, 0);
	peer_call(&p, "/test.Echo/Hold", HELLO);
	peer_pump(&p);
	CHECK_EQ(grpc_conn_shutdown(p.conn, NULL), 0);
	for (int i = 0; i < 5; i++)
		CHECK_EQ(peer_give(&p, ping_ack), 0);
	peer_pump(&p);
	CHECK_EQ(p.goaways, 2);
}
