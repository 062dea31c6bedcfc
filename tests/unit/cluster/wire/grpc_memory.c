// SPDX-License-Identifier: Apache-2.0
/*
 * A connection's whole life, with the 1st, then the 2nd, then the 3rd ... allocation failing, until
 * one run needs no more. The linker sends the allocations of what is linked statically here (ours,
 * and nghttp2 where there is an archive of it) through the __wrap functions.
 */
#include "grpc_echo.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void __wrap_free(void *p);

static struct {
	bool on;
	bool for_good; /* from the chosen one on, all fail */
	size_t count, fail_at;
	long live;
} heap;

static bool heap_fails(void)
{
	if (!heap.on)
		return false;
	heap.count++;
	return heap.count == heap.fail_at || (heap.for_good && heap.count > heap.fail_at);
}

static void *heap_given(void *p)
{
	heap.live += heap.on && p;
	return p;
}

void *__wrap_malloc(size_t size)
{
	return heap_fails() ? NULL : heap_given(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return heap_fails() ? NULL : heap_given(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t size)
{
	if (heap_fails())
		return NULL;
	return p ? __real_realloc(p, size) : heap_given(__real_realloc(p, size));
}

void __wrap_free(void *p)
{
	heap.live -= heap.on && p;
	__real_free(p);
}

/* Only the connection under test counts, not its client. */
static void around(bool inside)
{
	heap.on = inside;
}

/* The client takes what came, however small its windows. */
static bool drink(struct peer *p)
{
	bool any = false;

	for (size_t i = 0; i < p->n; i++) {
		struct reply *r = &p->replies[i];

		if (!r->body_len)
			continue;
		CHECK_EQ(nghttp2_session_consume(p->client, r->stream, r->body_len), 0);
		r->body_len = 0;
		any = true;
	}
	return any;
}

static void pump(struct peer *p)
{
	do
		peer_pump(p);
	while (p->failed == 0 && drink(p));
	if (p->failed && (p->failed != -ENOMEM || strcmp(p->err.text, "out of memory") != 0))
		fail_msg("allocation %zu: %d, %s", heap.fail_at, p->failed, p->err.text);
}

static void held_send(void)
{
	if (!echo.held)
		return;
	around(true);
	int r = grpc_call_send(echo.held, (struct bytes){ "hello", 5 });
	around(false);
	CHECK(r == 0 || r == -ENOMEM || r == -EAGAIN);
}

static void held_end(bool reply)
{
	struct grpc_call *call = TAKE(echo.held);

	if (!call)
		return;
	around(true);
	if (reply)
		grpc_call_reply(call, (struct bytes){ "hello", 5 });
	else
		grpc_call_finish(call, GRPC_ABORTED, "enough");
	around(false);
}

/* Answered as without failures, or without memory, or the stream was broken off. */
static bool plausible(const struct reply *r, enum grpc_status status, bool no_failure)
{
	if (ended(r, status))
		return true;
	if (no_failure)
		return false;
	return !r->closed || ended(r, GRPC_RESOURCE_EXHAUSTED) || r->error_code != NGHTTP2_NO_ERROR;
}

static void live(struct peer *p)
{
	const struct header html[] = { { "content-type", "text/html" }, { NULL, NULL } };
	struct reply *r;

	peer_call(p, "/test.Echo/Say", HELLO)->piece = 4;
	peer_call(p, "/test.Echo/Nothing", HELLO);
	peer_call_with(p, "/test.Echo/Say", html, HELLO);
	pump(p);
	peer_call(p, "/test.Echo/Hold", HELLO);
	pump(p);
	held_end(true);
	pump(p);
	peer_call(p, "/test.Echo/Watch", HELLO);
	pump(p);
	for (int i = 0; i < 2; i++) {
		held_send();
		pump(p);
	}
	held_send();
	held_end(false);
	pump(p);
	r = peer_call(p, "/test.Echo/Hold", HELLO);
	pump(p);
	nghttp2_submit_rst_stream(p->client, NGHTTP2_FLAG_NONE, r->stream, NGHTTP2_CANCEL);
	pump(p);
}

static void leave(struct peer *p)
{
	around(true);
	int r = grpc_conn_shutdown(p->conn, NULL);
	around(false);

	CHECK(r == 0 || r == -ENOMEM);
	pump(p);
}

/* true: nothing failed. */
static bool once(void)
{
	static const enum grpc_status wanted[] = { GRPC_OK, GRPC_UNIMPLEMENTED,
		GRPC_INVALID_ARGUMENT, GRPC_OK, GRPC_ABORTED };
	cleanup_peer struct peer p = { .around = around };
	bool no_failure;

	memset(&echo, 0, sizeof(echo));
	if (peer_open(&p, &echo_service, 4) < 0) {
		CHECK_EQ(p.err.code, -ENOMEM);
		CHECK(!p.conn);
		return false;
	}
	pump(&p);
	live(&p);
	leave(&p);
	no_failure = heap.count < heap.fail_at;
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		if (!plausible(&p.replies[i], wanted[i], no_failure))
			fail_msg("allocation %zu: call %zu ended with status \"%s\", code %u",
				heap.fail_at, i, p.replies[i].status, p.replies[i].error_code);
	if (no_failure) {
		CHECK_EQ(p.failed, 0);
		CHECK_EQ(echo.cancelled, 1);
		CHECK(!grpc_conn_want_read(p.conn) && !grpc_conn_want_write(p.conn));
	}
	return no_failure;
}

TEST(a_connection_lives_or_memory_is_out)
{
	for (unsigned for_good = 0; for_good < 2; for_good++) {
		bool done = false;

		for (heap.fail_at = 1; !done; heap.fail_at++) {
			heap.for_good = for_good;
			heap.count = 0;
			heap.live = 0;
			done = once();
			CHECK_EQ(heap.live, 0);
		}
		CHECK(heap.fail_at > 20);
	}
}
