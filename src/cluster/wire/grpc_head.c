// SPDX-License-Identifier: Apache-2.0
#include "cluster/wire/grpc_head.h"

#include <string.h>

#include "base/cleanup.h"
#include "cluster/wire/grpc_text.h"

#define FIELD_OVERHEAD 32 /* RFC 9113, 6.5.2 */

static bool is(struct bytes b, const char *text)
{
	return b.len == strlen(text) && memcmp(b.at, text, b.len) == 0;
}

static bool read_method(struct grpc_head *h, struct bytes value)
{
	return is(value, "POST");
}

static bool read_path(struct grpc_head *h, struct bytes value)
{
	size_t len = value.len < GRPC_PATH_MAX ? value.len : GRPC_PATH_MAX - 1;

	memcpy(h->path, value.at, len);
	h->path[len] = '\0';
	return true;
}

/* "application/grpc", perhaps "+proto", perhaps parameters after a semicolon. */
static bool read_content_type(struct grpc_head *h, struct bytes value)
{
	const char *end = memchr(value.at, ';', value.len);

	if (end)
		value.len = end - value.at;
	return is(value, "application/grpc") || is(value, "application/grpc+proto");
}

/* Who drops it on the way drops the trailers too, and a status comes in the trailers. */
static bool read_te(struct grpc_head *h, struct bytes value)
{
	return is(value, "trailers");
}

static bool read_encoding(struct grpc_head *h, struct bytes value)
{
	return is(value, "identity");
}

static bool read_timeout(struct grpc_head *h, struct bytes value)
{
	return grpc_timeout_parse(value, &h->timeout_ns) == 0;
}

static const struct field {
	const char *name;
	bool (*read)(struct grpc_head *h, struct bytes value); /* false: a bad value */
	bool needed;
	struct grpc_refusal refusal;
} fields[] = {
	{ ":method", read_method, true, { 405, GRPC_INTERNAL, "the HTTP method is not POST" } },
	{ ":path", read_path, true, { 400, GRPC_INTERNAL, "the request has no :path" } },
	{ "content-type", read_content_type, true,
		{ 415, GRPC_INVALID_ARGUMENT,
			"content-type is not application/grpc or application/grpc+proto" } },
	{ "te", read_te, true, { 400, GRPC_INTERNAL, "te is not trailers" } },
	{ "grpc-encoding", read_encoding, false,
		{ 200, GRPC_UNIMPLEMENTED, "grpc-encoding: only identity is known here" } },
	{ "grpc-timeout", read_timeout, false,
		{ 400, GRPC_INTERNAL, "grpc-timeout is not 1 to 8 digits and a unit" } },
};

void grpc_head_field(struct grpc_head *h, struct bytes name, struct bytes value)
{
	h->size += name.len + value.len + FIELD_OVERHEAD;
	for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
		if (!is(name, fields[i].name))
			continue;
		h->twice |= h->seen & (1u << i);
		h->seen |= 1u << i;
		if (!fields[i].read(h, value))
			h->bad |= 1u << i;
	}
}

const struct grpc_refusal *grpc_head_check(const struct grpc_head *h)
{
	static const struct grpc_refusal too_long = { 431, GRPC_RESOURCE_EXHAUSTED,
		"the headers are too long" };
	static const struct grpc_refusal twice = { 400, GRPC_INTERNAL, "a header is there twice" };

	if (h->size > GRPC_HEADERS_MAX_BYTES)
		return &too_long;
	if (h->twice)
		return &twice;
	for (unsigned i = 0; i < ARRAY_SIZE(fields); i++)
		if ((h->bad & (1u << i)) || (fields[i].needed && !(h->seen & (1u << i))))
			return &fields[i].refusal;
	return NULL;
}
