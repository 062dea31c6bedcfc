// SPDX-License-Identifier: Apache-2.0
#include "cluster/wire/nri/ttrpc.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cluster/wire/nri/ttrpc.pb-c.h"
#include "cluster/wire/nri/ttrpc_private.h"

static struct ttrpc_pending *find(struct ttrpc_client *c, uint32_t stream)
{
	for (size_t i = 0; i < TTRPC_PENDING_MAX; i++)
		if (c->pending[i].stream == stream)
			return &c->pending[i];
	return NULL;
}

static int cannot_send(int r, const char *method, struct err *err)
{
	if (r == -EMSGSIZE)
		return err_set(err, r, "call %s: the request is longer than 4 MiB", method);
	if (r == -ENOBUFS)
		return err_set(
			err, r, "call %s: the runtime does not read what it is sent", method);
	return err_set_errno(err, r, "call %s", method);
}

int ttrpc_client_call(struct ttrpc_client *c, const char *service, const char *method,
	struct bytes payload, ttrpc_done done, void *user, struct err *err)
{
	Ttrpc__Request request = TTRPC__REQUEST__INIT;
	struct ttrpc_pending *p = find(c, 0);
	uint32_t stream = c->last ? c->last + 2 : 1;
	int r;

	if (!p)
		return err_set(err, -EBUSY, "call %s: %d calls wait for their answer", method,
			TTRPC_PENDING_MAX);
	if (stream < c->last)
		return err_set(err, -EOVERFLOW,
			"call %s: this connection has carried all the calls it can, connect anew",
			method);
	request.service = (char *)service;
	request.method = (char *)method;
	request.payload = (ProtobufCBinaryData){ payload.len, (uint8_t *)payload.at };
	r = ttrpc_write(c->out, c->connection, stream, TTRPC_REQUEST, &request.base);
	if (r < 0)
		return cannot_send(r, method, err);
	c->last = stream;
	*p = (struct ttrpc_pending){ stream, done, user };
	return 0;
}

/* 0: *ret is the payload. */
static int read_response(
	const struct ttrpc_frame *f, struct arena *arena, struct bytes *ret, struct err *err)
{
	ProtobufCAllocator allocator = arena_allocator(arena);
	char quoted[TEXT_QUOTE_MAX];
	Ttrpc__Response *response;

	if (f->oversize)
		return err_set(err, -EMSGSIZE, "the runtime's answer is longer than 4 MiB");
	if (f->type != TTRPC_RESPONSE)
		return err_set(err, -EPROTO, "the runtime's answer is no response");
	response =
		ttrpc__response__unpack(&allocator, f->payload.len, (const uint8_t *)f->payload.at);
	if (!response && arena->failed)
		return err_set_errno(err, arena->failed, "read the runtime's answer");
	if (!response)
		return err_set(err, -EBADMSG, "the runtime's answer cannot be read");
	if (response->status && response->status->code != TTRPC_OK)
		return err_set(err, ttrpc_code_errno(response->status->code),
			"the runtime says %s: %s", ttrpc_code_name(response->status->code),
			text_quote(quoted, response->status->message));
	*ret = (struct bytes){ (char *)response->payload.data, response->payload.len };
	return 0;
}

void ttrpc_client_take(struct ttrpc_client *c, const struct ttrpc_frame *f)
{
	cleanup_arena struct arena arena = ARENA_NULL;
	struct ttrpc_pending *p = f->stream ? find(c, f->stream) : NULL;
	struct bytes payload = { NULL, 0 };
	struct ttrpc_pending call;
	struct err err = ERR_NULL;

	if (!p)
		return;
	call = *p;
	*p = (struct ttrpc_pending){ 0 };
	if (read_response(f, &arena, &payload, &err) < 0)
		call.done(call.user, payload, &err);
	else
		call.done(call.user, payload, NULL);
}

void ttrpc_client_lost(struct ttrpc_client *c)
{
	struct err err = ERR_NULL;

	err_set(&err, -ECONNRESET, "the runtime went away before it answered");
	for (size_t i = 0; i < TTRPC_PENDING_MAX; i++) {
		struct ttrpc_pending call = c->pending[i];

		if (!call.stream)
			continue;
		c->pending[i] = (struct ttrpc_pending){ 0 };
		call.done(call.user, (struct bytes){ NULL, 0 }, &err);
	}
}
