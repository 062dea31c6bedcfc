// SPDX-License-Identifier: Apache-2.0
#include "cluster/wire/nri/ttrpc.h"

#include <errno.h>

#include "wire.h"

/* Frames as they are on a connection, without the multiplexer. */
static void put_bare(struct text *out, uint32_t stream, char type, char flags, struct bytes payload)
{
	char type_and_flags[2] = { type, flags };

	put_be32(out, payload.len);
	put_be32(out, stream);
	put(out, type_and_flags, 2);
	put(out, payload.at, payload.len);
}

TEST(frames_are_put_together_wherever_the_bytes_are_split)
{
	cleanup_text struct text all = { 0 };

	put_bare(&all, 1, 1, 0, (struct bytes){ "first", 5 });
	put_bare(&all, 3, 2, 1, (struct bytes){ "", 0 });
	put_bare(&all, 5, 3, 4, (struct bytes){ "third", 5 });
	for (size_t step = 1; step <= all.len; step++) {
		struct ttrpc_reader r = TTRPC_READER_NULL;
		struct bytes left = text_bytes(&all);
		struct ttrpc_frame f[3];
		char payload[3][8] = { 0 };
		unsigned n = 0;

		while (left.len > 0) {
			struct bytes in = { left.at, left.len < step ? left.len : step };

			left = bytes_skip(left, in.len);
			while (n < 3 && ttrpc_next(&r, &in, &f[n]) == 1) {
				memcpy(payload[n], f[n].payload.at, f[n].payload.len);
				n++;
			}
		}
		CHECK_EQ(n, 3);
		CHECK(f[0].stream == 1 && f[0].type == 1 && f[0].flags == 0 && !f[0].oversize);
		CHECK(f[1].stream == 3 && f[1].type == 2 && f[1].flags == 1);
		CHECK(f[2].stream == 5 && f[2].type == 3 && f[2].flags == 4);
		CHECK_TEXT(payload[0], "first");
		CHECK_EQ(f[1].payload.len, 0);
		CHECK_TEXT(payload[2], "third");
		ttrpc_reader_fini(&r);
	}
}

TEST(a_claimed_length_costs_no_memory)
{
	struct ttrpc_reader r = TTRPC_READER_NULL;
	struct bytes in = { "\0\100\0\0\0\0\0\1\1\0abc", 13 };
	struct ttrpc_frame f;

	CHECK_EQ(ttrpc_next(&r, &in, &f), 0);
	CHECK(in.len == 0 && r.part.size <= 1024);
	ttrpc_reader_fini(&r);
}

TEST(an_oversize_message_is_told_at_once_and_passed_over)
{
	struct ttrpc_reader r = TTRPC_READER_NULL;
	cleanup_text struct text all = { 0 };
	cleanup_free char *payload = calloc(1, TTRPC_MESSAGE_MAX + 1);
	struct ttrpc_frame f;
	struct bytes in;

	CHECK(payload != NULL);
	put_bare(&all, 1, 1, 0, (struct bytes){ payload, TTRPC_MESSAGE_MAX + 1 });
	put_bare(&all, 3, 1, 0, (struct bytes){ payload, TTRPC_MESSAGE_MAX });
	in = (struct bytes){ all.at, 10 };
	CHECK_EQ(ttrpc_next(&r, &in, &f), 1);
	CHECK(f.oversize && f.stream == 1 && f.payload.len == 0);
	CHECK_EQ(ttrpc_next(&r, &in, &f), 0);
	in = bytes_skip(text_bytes(&all), 10);
	CHECK_EQ(ttrpc_next(&r, &in, &f), 1);
	CHECK(!f.oversize && f.stream == 3 && f.payload.len == TTRPC_MESSAGE_MAX);
	CHECK_EQ(ttrpc_next(&r, &in, &f), 0);
	CHECK(r.part.memory == NULL);
	ttrpc_reader_fini(&r);
}

struct heard {
	struct ttrpc_server server;
	struct nri_buffer out;
	uint32_t streams[TTRPC_OPEN_MAX + 1];
	unsigned n;
	char payload[16];
	bool at_once;
};

static void on_call(void *user, const struct ttrpc_method *m, uint32_t stream, struct bytes payload)
{
	struct heard *h = user;

	CHECK_EQ(m->tag, 7);
	h->streams[h->n++] = stream;
	snprintf(h->payload, sizeof(h->payload), "%.*s", (int)payload.len, payload.at);
	if (h->at_once)
		CHECK_EQ(ttrpc_server_answer(&h->server, stream, (struct bytes){ "pong", 4 }), 0);
}

static const struct ttrpc_method methods[] = { { "svc", "Ping", 7, on_call }, { NULL } };

static void serve(struct heard *h, bool at_once)
{
	*h = (struct heard){
		.server = { methods, h, &h->out, 1 },
		.out.max = 2 * TTRPC_MESSAGE_MAX,
		.at_once = at_once,
	};
}

static void ask(struct heard *h, uint32_t stream, const char *service, const char *method)
{
	cleanup_text struct text request = { 0 };
	struct ttrpc_frame f = { .stream = stream, .type = TTRPC_REQUEST };

	put_string(&request, 1, service);
	put_string(&request, 2, method);
	put_string(&request, 3, "ping");
	put_number(&request, 77, 1);
	f.payload = text_bytes(&request);
	CHECK_EQ(ttrpc_server_take(&h->server, &f), 0);
}

static struct sent sent(struct nri_buffer *out)
{
	struct bytes b = nri_buffer_bytes(out);
	size_t len = b.len;
	struct sent s = { 0 };

	CHECK(sent_next(&b, &s));
	nri_buffer_take(out, len - b.len);
	return s;
}

static int status_sent(struct heard *h, uint32_t stream)
{
	cleanup_sent struct sent s = sent(&h->out);

	CHECK_EQ(s.stream, stream);
	CHECK_EQ(s.connection, 1);
	return status_of(&s);
}

TEST(a_call_is_answered_on_its_stream)
{
	struct heard h;

	serve(&h, true);
	ask(&h, 1, "svc", "Ping");
	{
		cleanup_sent struct sent s = sent(&h.out);

		CHECK(s.stream == 1 && status_of(&s) == 0);
		CHECK(is(get_bytes(text_bytes(&s.payload), 2), "pong"));
	}
	CHECK_TEXT(h.payload, "ping");
	CHECK_EQ(ttrpc_server_answer(&h.server, 1, (struct bytes){ "again", 5 }), -ENOENT);
	CHECK_EQ(ttrpc_server_answer(&h.server, 0, (struct bytes){ "none", 4 }), -ENOENT);
	CHECK_EQ(nri_buffer_bytes(&h.out).len, 0);
	nri_buffer_fini(&h.out);
}

TEST(answers_may_come_later_and_in_any_order)
{
	struct heard h;

	serve(&h, false);
	ask(&h, 1, "svc", "Ping");
	ask(&h, 5, "svc", "Ping");
	CHECK_EQ(nri_buffer_bytes(&h.out).len, 0);
	CHECK_EQ(ttrpc_server_answer(&h.server, 5, (struct bytes){ "5", 1 }), 0);
	CHECK_EQ(ttrpc_server_refuse(&h.server, 1, TTRPC_UNKNOWN, "no"), 0);
	CHECK_EQ(status_sent(&h, 5), 0);
	CHECK_EQ(status_sent(&h, 1), 2);
	nri_buffer_fini(&h.out);
}

TEST(an_unknown_method_or_service_is_unimplemented)
{
	struct heard h;

	serve(&h, true);
	ask(&h, 1, "svc", "Pong");
	ask(&h, 3, "cvs", "Ping");
	CHECK_EQ(status_sent(&h, 1), 12);
	CHECK_EQ(status_sent(&h, 3), 12);
	CHECK_EQ(h.n, 0);
	nri_buffer_fini(&h.out);
}

TEST(streams_are_odd_and_only_rise)
{
	struct heard h;

	serve(&h, true);
	ask(&h, 2, "svc", "Ping");
	CHECK_EQ(status_sent(&h, 2), 3);
	ask(&h, 3, "svc", "Ping");
	CHECK_EQ(status_sent(&h, 3), 0);
	ask(&h, 3, "svc", "Ping");
	CHECK_EQ(status_sent(&h, 3), 3);
	ask(&h, 1, "svc", "Ping");
	CHECK_EQ(status_sent(&h, 1), 3);
	CHECK_EQ(h.n, 1);
	nri_buffer_fini(&h.out);
}

TEST(oversize_streamed_and_unreadable_calls_are_told_so)
{
	struct heard h;
	struct ttrpc_frame f = { .stream = 1, .type = TTRPC_REQUEST, .oversize = true };

	serve(&h, true);
	CHECK_EQ(ttrpc_server_take(&h.server, &f), 0);
	CHECK_EQ(status_sent(&h, 1), 8);
	f = (struct ttrpc_frame){ .stream = 3, .type = 1, .flags = TTRPC_REMOTE_OPEN };
	CHECK_EQ(ttrpc_server_take(&h.server, &f), 0);
	CHECK_EQ(status_sent(&h, 3), 12);
	f = (struct ttrpc_frame){ .stream = 5, .type = 1, .payload = { "\n\177x", 3 } };
	CHECK_EQ(ttrpc_server_take(&h.server, &f), 0);
	CHECK_EQ(status_sent(&h, 5), 3);
	f = (struct ttrpc_frame){ .stream = 7, .type = 9 };
	CHECK_EQ(ttrpc_server_take(&h.server, &f), 0);
	CHECK_EQ(nri_buffer_bytes(&h.out).len, 0);
	nri_buffer_fini(&h.out);
}

TEST(more_calls_than_may_wait_are_refused_until_one_is_answered)
{
	struct heard h;
	uint32_t stream = 1;

	serve(&h, false);
	for (; stream < 2 * TTRPC_OPEN_MAX; stream += 2)
		ask(&h, stream, "svc", "Ping");
	CHECK_EQ(nri_buffer_bytes(&h.out).len, 0);
	ask(&h, stream, "svc", "Ping");
	CHECK_EQ(status_sent(&h, stream), 8);
	CHECK_EQ(ttrpc_server_answer(&h.server, 1, (struct bytes){ "", 0 }), 0);
	CHECK_EQ(status_sent(&h, 1), 0);
	ask(&h, stream + 2, "svc", "Ping");
	CHECK_EQ(nri_buffer_bytes(&h.out).len, 0);
	nri_buffer_fini(&h.out);
}

TEST(an_answer_that_is_too_long_becomes_an_error)
{
	cleanup_free char *payload = calloc(1, TTRPC_MESSAGE_MAX);
	struct heard h;

	CHECK(payload != NULL);
	serve(&h, false);
	ask(&h, 1, "svc", "Ping");
	CHECK_EQ(ttrpc_server_answer(&h.server, 1, (struct bytes){ payload, TTRPC_MESSAGE_MAX }),
		-EMSGSIZE);
	CHECK_EQ(status_sent(&h, 1), 8);
	nri_buffer_fini(&h.out);
}

struct caller {
	struct ttrpc_client client;
	struct nri_buffer out;
	unsigned done;
	struct err err;
	char payload[16];
};

static void on_done(void *user, struct bytes payload, const struct err *err)
{
	struct caller *c = user;

	c->done++;
	c->err = err ? *err : ERR_NULL;
	snprintf(c->payload, sizeof(c->payload), "%.*s", (int)payload.len, payload.at);
}

static void dial(struct caller *c)
{
	*c = (struct caller){ .client = { &c->out, 2 }, .out.max = 2 * TTRPC_MESSAGE_MAX };
}

static int call(struct caller *c, struct err *err)
{
	return ttrpc_client_call(
		&c->client, "svc", "Ping", (struct bytes){ "ping", 4 }, on_done, c, err);
}

/* Takes the payload over. */
static void respond(struct caller *c, uint32_t stream, char type, struct text response)
{
	struct ttrpc_frame f = { .stream = stream, .type = type, .payload = text_bytes(&response) };

	ttrpc_client_take(&c->client, &f);
	text_fini(&response);
}

static struct text pong(void)
{
	struct text response = { 0 };

	put_message(&response, 1, (struct text){ 0 });
	put_string(&response, 2, "pong");
	return response;
}

static struct text status(int code, const char *message)
{
	struct text response = { 0 }, m = { 0 };

	put_number(&m, 1, code);
	put_string(&m, 2, message);
	put_message(&response, 1, m);
	return response;
}

TEST(our_calls_have_odd_rising_streams_and_find_their_answers)
{
	struct caller c;

	dial(&c);
	for (uint32_t stream = 1; stream <= 5; stream += 2) {
		CHECK_EQ(call(&c, NULL), 0);
		cleanup_sent struct sent s = sent(&c.out);

		CHECK(s.connection == 2 && s.stream == stream && s.type == REQUEST);
		CHECK(is(get_bytes(text_bytes(&s.payload), 1), "svc"));
		CHECK(is(get_bytes(text_bytes(&s.payload), 2), "Ping"));
		CHECK(is(get_bytes(text_bytes(&s.payload), 3), "ping"));
	}
	respond(&c, 3, TTRPC_RESPONSE, pong());
	CHECK(c.done == 1 && c.err.code == 0);
	CHECK_TEXT(c.payload, "pong");
	respond(&c, 3, TTRPC_RESPONSE, pong());
	respond(&c, 7, TTRPC_RESPONSE, pong());
	respond(&c, 0, TTRPC_RESPONSE, pong());
	respond(&c, 2, TTRPC_RESPONSE, pong());
	CHECK_EQ(c.done, 1);
	ttrpc_client_lost(&c.client);
	CHECK(c.done == 3 && c.err.code == -ECONNRESET);
	ttrpc_client_lost(&c.client);
	CHECK_EQ(c.done, 3);
	nri_buffer_fini(&c.out);
}

TEST(an_error_of_the_server_becomes_a_sentence)
{
	struct caller c;

	dial(&c);
	CHECK_EQ(call(&c, NULL), 0);
	respond(&c, 1, TTRPC_RESPONSE, status(5, "no such\ncontainer"));
	CHECK(c.done == 1 && c.err.code == -ENOENT);
	CHECK_TEXT(c.err.text, "the runtime says NOT_FOUND: \"no such\\x0acontainer\"");
	CHECK_EQ(call(&c, NULL), 0);
	respond(&c, 3, TTRPC_RESPONSE, status(99, ""));
	CHECK(c.done == 2 && c.err.code == -EREMOTEIO);
	nri_buffer_fini(&c.out);
}

TEST(an_answer_of_another_kind_ends_the_call_with_an_error)
{
	struct ttrpc_frame oversize = { .stream = 5, .type = TTRPC_RESPONSE, .oversize = true };
	struct text broken = { 0 };
	struct caller c;

	dial(&c);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(call(&c, NULL), 0);
	respond(&c, 1, TTRPC_DATA, pong());
	CHECK(c.done == 1 && c.err.code == -EPROTO);
	put(&broken, "\n\177", 2);
	respond(&c, 3, TTRPC_RESPONSE, broken);
	CHECK(c.done == 2 && c.err.code == -EBADMSG);
	ttrpc_client_take(&c.client, &oversize);
	CHECK(c.done == 3 && c.err.code == -EMSGSIZE);
	nri_buffer_fini(&c.out);
}

TEST(calls_that_cannot_be_made_say_why_and_are_never_done)
{
	cleanup_free char *payload = calloc(1, TTRPC_MESSAGE_MAX);
	struct err err = ERR_NULL;
	struct caller c;

	CHECK(payload != NULL);
	dial(&c);
	CHECK_EQ(ttrpc_client_call(&c.client, "svc", "Ping",
			 (struct bytes){ payload, TTRPC_MESSAGE_MAX }, on_done, &c, &err),
		-EMSGSIZE);
	for (int i = 0; i < TTRPC_PENDING_MAX; i++)
		CHECK_EQ(call(&c, NULL), 0);
	CHECK_EQ(call(&c, &err), -EBUSY);
	CHECK(strstr(err.text, "16 calls") != NULL);
	respond(&c, 1, TTRPC_RESPONSE, pong());
	c.client.last = UINT32_MAX - 2;
	CHECK_EQ(call(&c, &err), 0);
	respond(&c, UINT32_MAX, TTRPC_RESPONSE, pong());
	CHECK_EQ(call(&c, &err), -EOVERFLOW);
	CHECK_EQ(c.done, 2);
	nri_buffer_fini(&c.out);
	c.out.max = 1;
	c.client = (struct ttrpc_client){ &c.out, 2 };
	CHECK_EQ(call(&c, &err), -ENOBUFS);
	CHECK_EQ(c.done, 2);
}
