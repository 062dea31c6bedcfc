/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service that the gRPC tests call: Say answers at once with what it got, Hold later, Watch
 * streams. What happened to the held call is in `echo`.
 */
#pragma once

#include "grpc_peer.h"

static struct {
	struct grpc_call *held; /* the last call of Hold or Watch that still lives */
	unsigned started, cancelled, drained, woken;
	uint64_t timeout_ns;
	const char *path;
	void *user;
	const char *more; /* sent by drained() */
	struct grpc_conn *misused; /* used in start(), where that is forbidden */
	int misuse[3];
} echo;

static void echo_note(const struct grpc_request *request, void *user)
{
	struct bytes out;

	echo.started++;
	echo.timeout_ns = request->timeout_ns;
	echo.path = request->method->path;
	echo.user = user;
	if (!echo.misused)
		return;
	echo.misuse[0] = grpc_conn_receive(echo.misused, (struct bytes){ "x", 1 }, NULL);
	echo.misuse[1] = grpc_conn_send(echo.misused, &out, NULL);
	echo.misuse[2] = grpc_conn_shutdown(echo.misused, NULL);
}

static void echo_say(struct grpc_call *call, const struct grpc_request *request, void *user)
{
	echo_note(request, user);
	grpc_call_reply(call, request->message);
}

static void echo_hold(struct grpc_call *call, const struct grpc_request *request, void *user)
{
	echo_note(request, user);
	grpc_call_set_data(call, &echo);
	echo.held = call;
}

static void echo_cancelled(struct grpc_call *call)
{
	CHECK(grpc_call_data(call) == &echo);
	if (echo.held == call)
		echo.held = NULL;
	echo.cancelled++;
}

static void echo_drained(struct grpc_call *call)
{
	const char *more = TAKE(echo.more);

	echo.drained++;
	if (more)
		CHECK_EQ(grpc_call_send(call, (struct bytes){ more, strlen(more) }), 0);
}

static void echo_wake(void *user)
{
	echo.woken++;
}

static const struct grpc_method echo_methods[] = {
	{ "/test.Echo/Say", false, echo_say, NULL, NULL },
	{ "/test.Echo/Hold", false, echo_hold, echo_cancelled, NULL },
	{ "/test.Echo/Watch", true, echo_hold, echo_cancelled, echo_drained },
};

static const struct grpc_service echo_service = {
	echo_methods,
	ARRAY_SIZE(echo_methods),
	echo_wake,
};

/* A fresh client on a fresh connection, past the greetings. */
static inline void echo_open(struct peer *p, uint32_t window)
{
	memset(&echo, 0, sizeof(echo));
	CHECK_EQ(peer_open(p, &echo_service, window), 0);
	peer_pump(p);
	CHECK_EQ(p->failed, 0);
}

/* "hello" as one message. */
#define HELLO ((struct bytes){ "\0\0\0\0\5hello", 10 })

static inline bool said_hello(const struct reply *r)
{
	return r->body_len == HELLO.len && memcmp(r->body, HELLO.at, HELLO.len) == 0;
}
