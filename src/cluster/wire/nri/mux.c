// SPDX-License-Identifier: Apache-2.0
#include "cluster/wire/nri/mux.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

static uint32_t load(const unsigned char *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return be32toh(value);
}

static char *store(char *at, uint32_t value)
{
	value = htobe32(value);
	memcpy(at, &value, sizeof(value));
	return at + sizeof(value);
}

static size_t at_most(size_t n, size_t limit)
{
	return n < limit ? n : limit;
}

/* 1: a frame has begun. 0: its header has not come whole. */
static int begin_frame(struct nri_mux *m, struct bytes *in, struct err *err)
{
	size_t n = at_most(NRI_MUX_HEADER_LEN - m->header_len, in->len);
	uint32_t len;

	memcpy(m->header + m->header_len, in->at, n);
	m->header_len += n;
	*in = bytes_skip(*in, n);
	if (m->header_len < NRI_MUX_HEADER_LEN)
		return 0;
	m->connection = load(m->header);
	len = load(m->header + 4);
	if (m->connection == 0)
		return err_set(
			err, -EPROTO, "the runtime broke NRI's protocol: a frame for connection 0");
	if (len > NRI_MUX_FRAME_MAX)
		return err_set(err, -EMSGSIZE,
			"the runtime broke NRI's protocol: a frame of %u bytes, at most %d are "
			"allowed",
			len, NRI_MUX_FRAME_MAX);
	m->left = len;
	m->header_len = 0;
	return 1;
}

static bool is_ours(uint32_t connection)
{
	return connection == NRI_MUX_PLUGIN || connection == NRI_MUX_RUNTIME;
}

int nri_mux_next(struct nri_mux *m, struct bytes *in, uint32_t *ret_connection, struct bytes *ret,
	struct err *err)
{
	while (in->len > 0) {
		struct bytes piece;

		if (m->left == 0) {
			int r = begin_frame(m, in, err);

			if (r <= 0)
				return r;
			continue;
		}
		piece = (struct bytes){ in->at, at_most(m->left, in->len) };
		*in = bytes_skip(*in, piece.len);
		m->left -= piece.len;
		if (!is_ours(m->connection))
			continue;
		*ret_connection = m->connection;
		*ret = piece;
		return 1;
	}
	return 0;
}

static char *put_frame(char *at, uint32_t connection, struct bytes payload)
{
	at = store(at, connection);
	at = store(at, payload.len);
	memcpy(at, payload.at, payload.len);
	return at + payload.len;
}

int nri_mux_write(struct nri_buffer *out, uint32_t connection, struct bytes message)
{
	struct bytes first = { message.at, at_most(message.len, NRI_MUX_FIRST_MAX) };
	struct bytes rest = bytes_skip(message, first.len);
	size_t headers = rest.len > 0 ? 2 : 1;
	char *at;
	int r = nri_buffer_extend(out, headers * NRI_MUX_HEADER_LEN + message.len, &at);

	if (r < 0)
		return r;
	at = put_frame(at, connection, first);
	if (rest.len > 0)
		put_frame(at, connection, rest);
	return 0;
}
