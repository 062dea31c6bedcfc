// SPDX-License-Identifier: Apache-2.0
#include "cluster/wire/nri/ttrpc.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "cluster/wire/nri/mux.h"
#include "cluster/wire/nri/ttrpc_private.h"

static uint32_t load(const char *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return be32toh(value);
}

void ttrpc_reader_fini(struct ttrpc_reader *r)
{
	nri_buffer_fini(&r->part);
	r->used = r->skip = 0;
}

static size_t at_most(size_t n, size_t limit)
{
	return n < limit ? n : limit;
}

/* Moves bytes from *in until `wanted` are there. 1: they are. */
static int collect(struct ttrpc_reader *r, struct bytes *in, size_t wanted)
{
	size_t have = nri_buffer_bytes(&r->part).len;
	size_t n = have < wanted ? at_most(wanted - have, in->len) : 0;
	int bad = nri_buffer_append(&r->part, (struct bytes){ in->at, n });

	if (bad < 0)
		return bad;
	*in = bytes_skip(*in, n);
	return have + n == wanted;
}

static void skip(struct ttrpc_reader *r, struct bytes *in)
{
	size_t n = at_most(r->skip, in->len);

	*in = bytes_skip(*in, n);
	r->skip -= n;
}

int ttrpc_next(struct ttrpc_reader *r, struct bytes *in, struct ttrpc_frame *ret)
{
	struct bytes part;
	uint32_t len;
	int whole;

	nri_buffer_take(&r->part, r->used);
	r->used = 0;
	skip(r, in);
	if (nri_buffer_bytes(&r->part).len < TTRPC_HEADER_LEN) {
		whole = collect(r, in, TTRPC_HEADER_LEN);
		if (whole <= 0)
			return whole;
	}
	len = load(nri_buffer_bytes(&r->part).at);
	if (len > TTRPC_MESSAGE_MAX) {
		r->skip = len;
		len = 0;
	}
	whole = collect(r, in, TTRPC_HEADER_LEN + len);
	if (whole <= 0)
		return whole;
	part = nri_buffer_bytes(&r->part);
	*ret = (struct ttrpc_frame){
		.stream = load(part.at + 4),
		.type = part.at[8],
		.flags = part.at[9],
		.oversize = r->skip > 0,
		.payload = { part.at + TTRPC_HEADER_LEN, len },
	};
	r->used = TTRPC_HEADER_LEN + len;
	return 1;
}

static char *store(char *at, uint32_t value)
{
	value = htobe32(value);
	memcpy(at, &value, sizeof(value));
	return at + sizeof(value);
}

int ttrpc_write(struct nri_buffer *out, uint32_t connection, uint32_t stream, enum ttrpc_type type,
	const ProtobufCMessage *message)
{
	size_t len = protobuf_c_message_get_packed_size(message);
	cleanup_free char *frame = NULL;
	char *at;

	if (len > TTRPC_MESSAGE_MAX)
		return -EMSGSIZE;
	frame = malloc(TTRPC_HEADER_LEN + len);
	if (!frame)
		return -ENOMEM;
	at = store(store(frame, len), stream);
	*at++ = type;
	*at++ = 0;
	protobuf_c_message_pack(message, (uint8_t *)at);
	return nri_mux_write(out, connection, (struct bytes){ frame, TTRPC_HEADER_LEN + len });
}

/* google.rpc.Code, code.proto. */
static const struct {
	const char *name;
	int code;
} codes[] = {
	{ "OK", 0 },
	{ "CANCELLED", -ECANCELED },
	{ "UNKNOWN", -EREMOTEIO },
	{ "INVALID_ARGUMENT", -EINVAL },
	{ "DEADLINE_EXCEEDED", -ETIMEDOUT },
	{ "NOT_FOUND", -ENOENT },
	{ "ALREADY_EXISTS", -EEXIST },
	{ "PERMISSION_DENIED", -EACCES },
	{ "RESOURCE_EXHAUSTED", -ENOSPC },
	{ "FAILED_PRECONDITION", -EBUSY },
	{ "ABORTED", -EREMOTEIO },
	{ "OUT_OF_RANGE", -ERANGE },
	{ "UNIMPLEMENTED", -EOPNOTSUPP },
	{ "INTERNAL", -EREMOTEIO },
	{ "UNAVAILABLE", -EAGAIN },
	{ "DATA_LOSS", -EREMOTEIO },
	{ "UNAUTHENTICATED", -EACCES },
};

int ttrpc_code_errno(int32_t code)
{
	return code >= 0 && (size_t)code < ARRAY_SIZE(codes) ? codes[code].code : -EREMOTEIO;
}

const char *ttrpc_code_name(int32_t code)
{
	return code >= 0 && (size_t)code < ARRAY_SIZE(codes) ? codes[code].name : "UNKNOWN";
}
