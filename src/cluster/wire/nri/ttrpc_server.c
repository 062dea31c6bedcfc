// SPDX-License-Identifier: Apache-2.0
#include "cluster/wire/nri/ttrpc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cluster/wire/nri/ttrpc.pb-c.h"
#include "cluster/wire/nri/ttrpc_private.h"

static uint32_t *slot(struct ttrpc_server *s, uint32_t stream)
{
	for (size_t i = 0; i < TTRPC_OPEN_MAX; i++)
		if (s->open[i] == stream)
			return &s->open[i];
	return NULL;
}

static int write_status(
	struct ttrpc_server *s, uint32_t stream, enum ttrpc_code code, const char *text)
{
	char cut[ERR_TEXT_MAX];
	Ttrpc__Status status = TTRPC__STATUS__INIT;
	Ttrpc__Response response = TTRPC__RESPONSE__INIT;

	snprintf(cut, sizeof(cut), "%s", text);
	status.code = code;
	status.message = cut;
	response.status = &status;
	return ttrpc_write(s->out, s->connection, stream, TTRPC_RESPONSE, &response.base);
}

int ttrpc_server_refuse(
	struct ttrpc_server *s, uint32_t stream, enum ttrpc_code code, const char *text)
{
	uint32_t *open = stream ? slot(s, stream) : NULL;
	int r;

	if (!open)
		return -ENOENT;
	r = write_status(s, stream, code, text);
	if (r == 0)
		*open = 0;
	return r;
}

int ttrpc_server_answer(struct ttrpc_server *s, uint32_t stream, struct bytes payload)
{
	Ttrpc__Response response = TTRPC__RESPONSE__INIT;
	uint32_t *open = stream ? slot(s, stream) : NULL;
	int r;

	if (!open)
		return -ENOENT;
	response.payload = (ProtobufCBinaryData){ payload.len, (uint8_t *)payload.at };
	r = ttrpc_write(s->out, s->connection, stream, TTRPC_RESPONSE, &response.base);
	if (r == -EMSGSIZE) {
		r = ttrpc_server_refuse(s, stream, TTRPC_RESOURCE_EXHAUSTED,
			"the answer is longer than a message may be");
		return r < 0 ? r : -EMSGSIZE;
	}
	if (r == 0)
		*open = 0;
	return r;
}

static const struct ttrpc_method *find(
	const struct ttrpc_server *s, const char *service, const char *name)
{
	for (const struct ttrpc_method *m = s->methods; m->name; m++)
		if (strcmp(m->service, service) == 0 && strcmp(m->name, name) == 0)
			return m;
	return NULL;
}

static int dispatch(struct ttrpc_server *s, uint32_t stream, const Ttrpc__Request *request)
{
	const struct ttrpc_method *method = find(s, request->service, request->method);
	uint32_t *open = slot(s, 0);
	struct bytes payload = { (char *)request->payload.data, request->payload.len };
	char text[ERR_TEXT_MAX];

	if (!method) {
		snprintf(text, sizeof(text), "there is no method %.200s/%.200s here",
			request->service, request->method);
		return write_status(s, stream, TTRPC_UNIMPLEMENTED, text);
	}
	if (!open) {
		snprintf(text, sizeof(text), "%d calls wait for their answer: no more are taken",
			TTRPC_OPEN_MAX);
		return write_status(s, stream, TTRPC_RESOURCE_EXHAUSTED, text);
	}
	*open = stream;
	method->handle(s->user, method, stream, payload);
	return 0;
}

static int take_request(struct ttrpc_server *s, const struct ttrpc_frame *f)
{
	cleanup_arena struct arena arena = ARENA_NULL;
	ProtobufCAllocator allocator = arena_allocator(&arena);
	Ttrpc__Request *request =
		ttrpc__request__unpack(&allocator, f->payload.len, (const uint8_t *)f->payload.at);

	if (!request && arena.failed)
		return write_status(s, f->stream, TTRPC_RESOURCE_EXHAUSTED,
			"the request needs more memory than there is for it");
	if (!request)
		return write_status(
			s, f->stream, TTRPC_INVALID_ARGUMENT, "the request cannot be read");
	return dispatch(s, f->stream, request);
}

int ttrpc_server_take(struct ttrpc_server *s, const struct ttrpc_frame *f)
{
	if (f->oversize)
		return write_status(
			s, f->stream, TTRPC_RESOURCE_EXHAUSTED, "the message is longer than 4 MiB");
	if (f->type != TTRPC_REQUEST)
		return 0;
	if (f->stream % 2 != 1)
		return write_status(
			s, f->stream, TTRPC_INVALID_ARGUMENT, "a stream of the client is odd");
	if (f->stream <= s->last)
		return write_status(s, f->stream, TTRPC_INVALID_ARGUMENT,
			"a stream is used once, and the next one is higher");
	s->last = f->stream;
	if (f->flags & TTRPC_REMOTE_OPEN)
		return write_status(
			s, f->stream, TTRPC_UNIMPLEMENTED, "streams are not offered here");
	return take_request(s, f);
}
