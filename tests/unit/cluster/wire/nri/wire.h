/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime's side of NRI, written by hand: protobuf fields by their numbers, frames as
 * containerd writes them, and what a plugin has sent taken apart. For the tests of this folder.
 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "cluster/wire/nri/plugin.h"
#include "test.h"

#define PLUGIN 1
#define RUNTIME 2
#define REQUEST 1
#define RESPONSE 2
#define FIRST_FRAME 4096

struct text {
	char *at;
	size_t len;
};

static inline void text_fini(struct text *t)
{
	free(t->at);
	*t = (struct text){ 0 };
}

#define cleanup_text __attribute__((cleanup(text_fini)))

static inline struct bytes text_bytes(const struct text *t)
{
	return (struct bytes){ t->at, t->len };
}

static inline void put(struct text *t, const void *at, size_t len)
{
	t->at = realloc(t->at, t->len + len + 1);
	CHECK(t->at != NULL);
	if (len > 0)
		memcpy(t->at + t->len, at, len);
	t->len += len;
}

static inline void put_be32(struct text *t, uint32_t value)
{
	unsigned char be[] = { value >> 24, value >> 16, value >> 8, value };

	put(t, be, sizeof(be));
}

static inline void put_varint(struct text *t, uint64_t value)
{
	do {
		unsigned char byte = (value & 0x7f) | (value > 0x7f ? 0x80 : 0);

		put(t, &byte, 1);
		value >>= 7;
	} while (value > 0);
}

static inline void put_number(struct text *t, unsigned field, uint64_t value)
{
	put_varint(t, field << 3);
	put_varint(t, value);
}

static inline void put_bytes(struct text *t, unsigned field, struct bytes value)
{
	put_varint(t, field << 3 | 2);
	put_varint(t, value.len);
	put(t, value.at, value.len);
}

static inline void put_string(struct text *t, unsigned field, const char *value)
{
	put_bytes(t, field, (struct bytes){ value, strlen(value) });
}

/* Takes the message over. */
static inline void put_message(struct text *t, unsigned field, struct text message)
{
	put_bytes(t, field, text_bytes(&message));
	text_fini(&message);
}

/* The n-th field of that number: its bytes, or for a number its value in *ret_number. */
static inline bool get(
	struct bytes m, unsigned field, unsigned n, struct bytes *ret, uint64_t *ret_number)
{
	while (m.len > 0) {
		uint64_t parts[2] = { 0, 0 };
		struct bytes value = { NULL, 0 };

		for (int i = 0; i < 2; i++)
			for (unsigned shift = 0, more = 1; more; shift += 7) {
				CHECK(m.len > 0);
				parts[i] |= (uint64_t)(*m.at & 0x7f) << shift;
				more = *m.at & 0x80;
				m = bytes_skip(m, 1);
			}
		if ((parts[0] & 7) == 2) {
			CHECK(parts[1] <= m.len);
			value = (struct bytes){ m.at, parts[1] };
			m = bytes_skip(m, parts[1]);
		} else {
			CHECK_EQ(parts[0] & 7, 0);
		}
		if (parts[0] >> 3 != field || n-- > 0)
			continue;
		if (ret)
			*ret = value;
		if (ret_number)
			*ret_number = parts[1];
		return true;
	}
	return false;
}

static inline uint64_t get_number(struct bytes m, unsigned field)
{
	uint64_t value = 0;

	return get(m, field, 0, NULL, &value) ? value : 0;
}

static inline struct bytes get_bytes(struct bytes m, unsigned field)
{
	struct bytes value = { "", 0 };

	get(m, field, 0, &value, NULL);
	return value;
}

static inline bool is(struct bytes b, const char *wanted)
{
	return b.len == strlen(wanted) && memcmp(b.at, wanted, b.len) == 0;
}

static inline void put_frame(struct text *out, uint32_t connection, struct bytes payload)
{
	put_be32(out, connection);
	put_be32(out, payload.len);
	put(out, payload.at, payload.len);
}

/* One ttrpc message in the multiplexer's frames. Takes the payload over. */
static inline void put_ttrpc(
	struct text *out, uint32_t connection, uint32_t stream, char type, struct text payload)
{
	cleanup_text struct text message = { 0 };
	char type_and_flags[2] = { type, 0 };
	size_t first;

	put_be32(&message, payload.len);
	put_be32(&message, stream);
	put(&message, type_and_flags, sizeof(type_and_flags));
	put(&message, payload.at, payload.len);
	text_fini(&payload);
	first = message.len < FIRST_FRAME ? message.len : FIRST_FRAME;
	put_frame(out, connection, (struct bytes){ message.at, first });
	if (first < message.len)
		put_frame(out, connection, bytes_skip(text_bytes(&message), first));
}

/* Takes the payload over. */
static inline void put_call(
	struct text *out, uint32_t stream, const char *method, struct text payload)
{
	struct text request = { 0 };

	put_string(&request, 1, "nri.pkg.api.v1alpha1.Plugin");
	put_string(&request, 2, method);
	put_message(&request, 3, payload);
	put_number(&request, 4, 2000000000);
	put_message(&request, 5, (struct text){ 0 });
	put_ttrpc(out, PLUGIN, stream, REQUEST, request);
}

/* Takes the payload over. */
static inline void put_answer(struct text *out, uint32_t stream, struct text payload)
{
	struct text response = { 0 };

	put_message(&response, 2, payload);
	put_ttrpc(out, RUNTIME, stream, RESPONSE, response);
}

static inline void put_error(struct text *out, uint32_t stream, int code, const char *message)
{
	struct text response = { 0 }, status = { 0 };

	put_number(&status, 1, code);
	put_string(&status, 2, message);
	put_message(&response, 1, status);
	put_ttrpc(out, RUNTIME, stream, RESPONSE, response);
}

static inline struct text configure(const char *nri_version)
{
	struct text m = { 0 };

	put_string(&m, 1, "some: config");
	put_string(&m, 2, "containerd");
	put_string(&m, 3, "v2.3.7");
	put_number(&m, 4, 5000);
	put_number(&m, 5, 2000);
	put_string(&m, 6, nri_version);
	return m;
}

static inline struct text pod(const char *id)
{
	struct text m = { 0 }, on_linux = { 0 }, label = { 0 };

	put_string(&m, 1, id);
	put_string(&m, 2, "web-0");
	put_string(&m, 3, "uid-0");
	put_string(&m, 4, "default");
	put_string(&label, 1, "app");
	put_string(&label, 2, "web");
	put_message(&m, 5, label);
	put_string(&on_linux, 3, "/kubepods/pod0");
	put_message(&m, 8, on_linux);
	return m;
}

static inline struct text cpus(const char *list)
{
	struct text resources = { 0 }, cpu = { 0 };

	put_string(&cpu, 6, list);
	put_message(&resources, 2, cpu);
	return resources;
}

static inline struct text container(const char *id)
{
	struct text m = { 0 }, on_linux = { 0 }, scheduler = { 0 }, device = { 0 };

	put_string(&m, 1, id);
	put_string(&m, 2, "pod0");
	put_string(&m, 3, "app");
	put_number(&m, 4, NRI_CONTAINER_RUNNING);
	put_string(&m, 8, "A=1");
	put_string(&m, 8, "B=2");
	put_message(&on_linux, 3, cpus("0-1"));
	put_string(&on_linux, 5, "/kubepods/pod0/c0");
	put_number(&scheduler, 1, NRI_SCHED_DEADLINE);
	put_bytes(&scheduler, 4, (struct bytes){ "\0\2", 2 });
	put_number(&scheduler, 5, 2000000);
	put_number(&scheduler, 6, 9000000);
	put_number(&scheduler, 7, 10000000);
	put_message(&on_linux, 11, scheduler);
	put_message(&m, 11, on_linux);
	put_number(&m, 12, 42);
	put_string(&device, 1, "rt.takt.dev/reservation=x");
	put_message(&m, 20, device);
	put_string(&m, 99, "a field of tomorrow");
	return m;
}

static inline struct text pod_and_container(const char *id)
{
	struct text m = { 0 };

	put_message(&m, 1, pod("pod0"));
	put_message(&m, 2, container(id));
	return m;
}

static inline struct text synchronize(const char *pod_id, const char *container_id, bool more)
{
	struct text m = { 0 };

	if (pod_id)
		put_message(&m, 1, pod(pod_id));
	if (container_id)
		put_message(&m, 2, container(container_id));
	if (more)
		put_number(&m, 3, 1);
	return m;
}

/* A message that the plugin has sent. */
struct sent {
	uint32_t connection, stream;
	char type;
	unsigned frames;
	size_t first_frame; /* bytes */
	struct text payload;
};

static inline void sent_fini(struct sent *s)
{
	text_fini(&s->payload);
}

#define cleanup_sent __attribute__((cleanup(sent_fini)))

static inline uint32_t get_be32(const char *at)
{
	const unsigned char *b = (const unsigned char *)at;

	return (uint32_t)b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
}

/* The first message in *out, which moves past it; false: nothing is there. */
static inline bool sent_next(struct bytes *out, struct sent *ret)
{
	cleanup_text struct text message = { 0 };
	struct sent s = { 0 };

	if (out->len == 0)
		return false;
	do {
		uint32_t len;

		CHECK(out->len >= 8);
		len = get_be32(out->at + 4);
		CHECK(out->len >= 8 + len);
		CHECK(s.frames == 0 || get_be32(out->at) == s.connection);
		s.connection = get_be32(out->at);
		if (s.frames++ == 0)
			s.first_frame = len;
		put(&message, out->at + 8, len);
		*out = bytes_skip(*out, 8 + len);
		CHECK(message.len >= 10);
	} while (message.len < 10 + get_be32(message.at));
	CHECK_EQ(message.len, 10 + get_be32(message.at));
	s.stream = get_be32(message.at + 4);
	s.type = message.at[8];
	CHECK_EQ(message.at[9], 0);
	put(&s.payload, message.at + 10, message.len - 10);
	*ret = s;
	return true;
}

/* Takes the next message out of the plugin's output; fails if there is none. */
static inline struct sent take(struct nri_plugin *p)
{
	struct bytes out = nri_plugin_output(p);
	size_t len = out.len;
	struct sent s = { 0 };

	CHECK(sent_next(&out, &s));
	nri_plugin_written(p, len - out.len);
	return s;
}

/* The status code of a response, 0 for one without. */
static inline int status_of(const struct sent *s)
{
	CHECK_EQ(s->type, RESPONSE);
	return get_number(get_bytes(text_bytes(&s->payload), 1), 1);
}
