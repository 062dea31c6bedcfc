// SPDX-License-Identifier: Apache-2.0
/* Streams, and windows that are smaller than what is to go through them. */
#include "grpc_echo.h"

#define DEVICES 1000

static struct reply *watch(struct peer *p)
{
	struct reply *r = peer_call(p, "/test.Echo/Watch", HELLO);

	peer_pump(p);
	CHECK(echo.held != NULL);
	return r;
}

TEST(a_stream_has_any_number_of_messages_and_then_a_status)
{
	cleanup_peer struct peer p = { 0 };
	struct reply *r;

	echo_open(&p, 0);
	r = watch(&p);
	for (unsigned i = 1; i <= 3; i++) {
		CHECK_EQ(grpc_call_send(echo.held, (struct bytes){ "hello", 5 }), 0);
		CHECK_EQ(echo.woken, i);
		peer_pump(&p);
		CHECK_EQ(r->body_len, i * HELLO.len);
		CHECK_EQ(echo.drained, i);
		CHECK(!r->closed && r->blocks == 1);
	}
	grpc_call_finish(echo.held, GRPC_UNAVAILABLE, "the plugin ends");
	peer_pump(&p);
	CHECK(ended(r, GRPC_UNAVAILABLE));
	CHECK_TEXT(r->message, "the plugin ends");
	CHECK_EQ(r->body_len, 3 * HELLO.len);
	CHECK_EQ(r->blocks, 2);
	CHECK_EQ(echo.cancelled, 0);
}

TEST(a_message_that_waits_keeps_the_next_one_out)
{
	cleanup_peer struct peer p = { 0 };
	struct reply *r;

	echo_open(&p, 0);
	r = watch(&p);
	CHECK_EQ(grpc_call_send(echo.held, (struct bytes){ "hello", 5 }), 0);
	CHECK_EQ(grpc_call_send(echo.held, (struct bytes){ "other", 5 }), -EAGAIN);
	echo.more = "again";
	peer_pump(&p);
	CHECK_EQ(echo.drained, 2);
	CHECK_EQ(r->body_len, 2 * HELLO.len);
	CHECK(memcmp(r->body + HELLO.len + 5, "again", 5) == 0);
}

TEST(only_a_stream_takes_more_than_an_answer)
{
	cleanup_peer struct peer p = { 0 };
	struct reply *r;

	echo_open(&p, 0);
	r = peer_call(&p, "/test.Echo/Hold", HELLO);
	peer_pump(&p);
	CHECK_EQ(grpc_call_send(echo.held, (struct bytes){ "hello", 5 }), -EINVAL);
	grpc_call_reply(echo.held, (struct bytes){ "hello", 5 });
	peer_pump(&p);
	CHECK(ended(r, GRPC_OK) && said_hello(r));
}

TEST(a_stream_ends_after_what_was_sent)
{
	cleanup_peer struct peer p = { 0 };
	struct reply *r;

	echo_open(&p, 0);
	r = watch(&p);
	CHECK_EQ(grpc_call_send(echo.held, (struct bytes){ "hello", 5 }), 0);
	grpc_call_finish(echo.held, GRPC_OK, NULL);
	peer_pump(&p);
	CHECK(ended(r, GRPC_OK) && said_hello(r));
	CHECK_EQ(echo.drained, 0);
}

/* What the health of many devices looks like, some 60 KB. */
static char *device_list(size_t *ret_len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, ret_len);

	CHECK(f != NULL);
	for (int i = 0; i < DEVICES; i++)
		fprintf(f, "pool node1, device cpu%04d, healthy, at 1790000000, ok\n", i);
	fclose(f);
	return text;
}

/* The client gives `step` bytes of window each time that all is still; returns how often. */
static unsigned drink(struct peer *p, struct reply *r, size_t step)
{
	size_t given = 0;
	unsigned turns = 0;

	while (!r->closed) {
		size_t n = r->body_len - given < step ? r->body_len - given : step;

		CHECK(n > 0);
		CHECK_EQ(nghttp2_session_consume(p->client, r->stream, n), 0);
		given += n;
		peer_pump(p);
		turns++;
	}
	return turns;
}

static void through_a_window_of(uint32_t window)
{
	cleanup_peer struct peer p = { 0 };
	cleanup_free char *list = NULL;
	struct reply *r;
	size_t len = 0;

	list = device_list(&len);
	echo_open(&p, window);
	r = watch(&p);
	CHECK_EQ(grpc_call_send(echo.held, (struct bytes){ list, len }), 0);
	grpc_call_finish(echo.held, GRPC_OK, NULL);
	peer_pump(&p);
	CHECK_EQ(r->body_len, window);
	CHECK(drink(&p, r, window) >= len / window);
	CHECK(ended(r, GRPC_OK));
	CHECK_EQ(r->body_len, 5 + len);
	CHECK(memcmp(r->body + 5, list, len) == 0);
}

TEST(a_thousand_devices_pass_through_small_windows)
{
	through_a_window_of(4);
	through_a_window_of(7);
	through_a_window_of(1000);
}

TEST(a_call_whose_window_is_shut_holds_up_no_other)
{
	cleanup_peer struct peer p = { 0 };
	cleanup_free char *list = NULL;
	struct reply *slow, *quick;
	size_t len = 0;

	list = device_list(&len);
	echo_open(&p, 20);
	slow = watch(&p);
	CHECK_EQ(grpc_call_send(echo.held, (struct bytes){ list, len }), 0);
	peer_pump(&p);
	CHECK_EQ(slow->body_len, 20);
	CHECK_EQ(echo.drained, 0);
	quick = peer_call(&p, "/test.Echo/Say", HELLO);
	peer_pump(&p);
	CHECK(ended(quick, GRPC_OK) && said_hello(quick));
	CHECK(!slow->closed);
}

TEST(a_stream_that_the_client_leaves_with_a_message_waiting_is_cancelled)
{
	cleanup_peer struct peer p = { 0 };
	struct reply *r;

	echo_open(&p, 5);
	r = watch(&p);
	CHECK_EQ(grpc_call_send(echo.held, HELLO), 0);
	peer_pump(&p);
	nghttp2_submit_rst_stream(p.client, NGHTTP2_FLAG_NONE, r->stream, NGHTTP2_CANCEL);
	peer_pump(&p);
	CHECK_EQ(echo.cancelled, 1);
	CHECK_EQ(echo.drained, 0);
}

TEST(an_answer_of_the_longest_length_arrives_and_one_byte_more_is_refused)
{
	cleanup_peer struct peer p = { 0 };
	cleanup_free char *text = calloc(1, GRPC_REPLY_MAX_BYTES + 1);
	struct reply *r;

	CHECK(text != NULL);
	echo_open(&p, 0);
	r = peer_call(&p, "/test.Echo/Hold", HELLO);
	peer_pump(&p);
	grpc_call_reply(echo.held, (struct bytes){ text, GRPC_REPLY_MAX_BYTES });
	peer_pump(&p);
	CHECK(ended(r, GRPC_OK));
	CHECK_EQ(r->body_len, 5 + GRPC_REPLY_MAX_BYTES);

	r = peer_call(&p, "/test.Echo/Hold", HELLO);
	peer_pump(&p);
	grpc_call_reply(echo.held, (struct bytes){ text, GRPC_REPLY_MAX_BYTES + 1 });
	peer_pump(&p);
	CHECK(ended(r, GRPC_RESOURCE_EXHAUSTED));
	CHECK_TEXT(r->message, "the answer is longer than 4 MiB");

	watch(&p);
	CHECK_EQ(grpc_call_send(echo.held, (struct bytes){ text, GRPC_REPLY_MAX_BYTES + 1 }),
		-EMSGSIZE);
}

TEST(what_a_client_does_not_read_is_bounded)
{
	cleanup_peer struct peer p = { 0 };
	cleanup_free char *text = calloc(1, GRPC_REPLY_MAX_BYTES);
	struct reply *r;
	int r2 = 0, n = 0;

	CHECK(text != NULL);
	echo_open(&p, 1);
	for (; r2 == 0; n++) {
		watch(&p);
		r2 = grpc_call_send(echo.held, (struct bytes){ text, GRPC_REPLY_MAX_BYTES / 2 });
	}
	CHECK_EQ(r2, -ENOBUFS);
	CHECK_EQ(n, 4);
	r = peer_call(&p, "/test.Echo/Hold", HELLO);
	peer_pump(&p);
	grpc_call_reply(echo.held, (struct bytes){ text, GRPC_REPLY_MAX_BYTES });
	peer_pump(&p);
	CHECK(ended(r, GRPC_RESOURCE_EXHAUSTED));
	CHECK_TEXT(r->message, "no memory for the answer");
}
