// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzz target: the bytes of a gRPC client (HTTP/2, HPACK, headers, messages, protobuf), in pieces
 * of the length that the first byte says. Every call must end once, by its handler or cancelled,
 * and what is kept for the peer stays within its limit.
 */
#include <errno.h>

#include "cluster/wire/grpc_private.h"
#include "cluster/wire/dra_v1.pb-c.h"
#include "fuzz/fuzz.h"

static struct {
	struct grpc_call *held[GRPC_CALLS_MAX];
	size_t n_held;
	unsigned started, ended;
} calls;

static void say(struct grpc_call *call, const struct grpc_request *request, void *user)
{
	FUZZ_CHECK(request->message.at && request->message.len <= GRPC_REQUEST_MAX_BYTES);
	calls.started++;
	calls.ended++;
	grpc_call_reply(call, request->message);
}

static void hold(struct grpc_call *call, const struct grpc_request *request, void *user)
{
	FUZZ_CHECK(calls.n_held < GRPC_CALLS_MAX);
	calls.started++;
	calls.held[calls.n_held++] = call;
	if (request->method->streaming)
		grpc_call_send(call, request->message);
}

static void cancelled(struct grpc_call *call)
{
	for (size_t i = 0; i < calls.n_held; i++) {
		if (calls.held[i] != call)
			continue;
		calls.held[i] = calls.held[--calls.n_held];
		calls.ended++;
		return;
	}
	FUZZ_CHECK(!"a call that is not held was cancelled");
}

static void drained(struct grpc_call *call)
{
	FUZZ_CHECK(grpc_call_send(call, (struct bytes){ "more", 4 }) != -EAGAIN);
	cancelled(call);
	grpc_call_finish(call, GRPC_ABORTED, "100 %");
}

static void prepare(struct grpc_call *call, const struct grpc_request *request, void *user)
{
	K8s__Io__Kubelet__Pkg__Apis__Dra__V1__NodePrepareResourcesRequest *claims =
		k8s__io__kubelet__pkg__apis__dra__v1__node_prepare_resources_request__unpack(
			NULL, request->message.len, (const uint8_t *)request->message.at);

	if (!claims) {
		calls.started++;
		calls.ended++;
		grpc_call_finish(call, GRPC_INTERNAL, NULL);
		return;
	}
	for (size_t i = 0; i < claims->n_claims; i++)
		FUZZ_CHECK(claims->claims[i]->uid && claims->claims[i]->name);
	k8s__io__kubelet__pkg__apis__dra__v1__node_prepare_resources_request__free_unpacked(
		claims, NULL);
	say(call, request, user);
}

static const struct grpc_method methods[] = {
	{ "/test.Echo/Say", false, say, NULL, NULL },
	{ "/test.Echo/Hold", false, hold, cancelled, NULL },
	{ "/test.Echo/Watch", true, hold, cancelled, drained },
	{ "/k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin/NodePrepareResources", false, prepare, NULL,
		NULL },
};

static const struct grpc_service service = { methods, ARRAY_SIZE(methods), NULL };

static void drain(struct grpc_conn *c)
{
	struct bytes out;

	while (grpc_conn_send(c, &out, NULL) == 1)
		FUZZ_CHECK(out.len > 0);
	FUZZ_CHECK(c->buffered <= GRPC_BUFFERED_MAX_BYTES);
}

/* The oldest call that waits gets its answer. */
static void answer_one(void)
{
	struct grpc_call *call = calls.n_held ? calls.held[0] : NULL;

	if (!call)
		return;
	cancelled(call);
	grpc_call_finish(call, GRPC_NOT_FOUND, "late");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { (const char *)data, size };
	struct grpc_conn *c = NULL;
	size_t piece;

	if (size == 0)
		return 0;
	memset(&calls, 0, sizeof(calls));
	piece = data[0] ? data[0] : size;
	in = bytes_skip(in, 1);
	FUZZ_CHECK(grpc_conn_create(&c, &service, NULL, NULL) == 0);
	while (in.len && grpc_conn_want_read(c)) {
		struct bytes part = { in.at, in.len < piece ? in.len : piece };

		in = bytes_skip(in, part.len);
		if (grpc_conn_receive(c, part, NULL) < 0)
			break;
		if (in.len % 3 == 0)
			answer_one();
		if (in.len % 5 != 0)
			drain(c);
	}
	drain(c);
	grpc_conn_shutdown(c, NULL);
	drain(c);
	grpc_conn_destroy(c);
	FUZZ_CHECK(calls.started == calls.ended && calls.n_held == 0);
	return 0;
}
