// SPDX-License-Identifier: Apache-2.0
#include "cluster/wire/nri/mux.h"

#include <errno.h>

#include "wire.h"

/* Feeds in pieces of `step` bytes and collects what each connection gets. */
static int feed(struct bytes all, size_t step, struct text got[3])
{
	struct nri_mux m = { 0 };
	struct err err = ERR_NULL;
	int r = 0;

	while (all.len > 0 && r >= 0) {
		struct bytes in = { all.at, all.len < step ? all.len : step }, piece;
		uint32_t connection;

		all = bytes_skip(all, in.len);
		while ((r = nri_mux_next(&m, &in, &connection, &piece, &err)) > 0) {
			CHECK(connection == 1 || connection == 2);
			put(&got[connection], piece.at, piece.len);
		}
		CHECK(r < 0 || in.len == 0);
	}
	CHECK((r < 0) == (err.text[0] != '\0'));
	return r;
}

TEST(frames_come_apart_by_connection_wherever_the_bytes_are_split)
{
	cleanup_text struct text all = { 0 };

	put_frame(&all, 1, (struct bytes){ "to the ", 7 });
	put_frame(&all, 2, (struct bytes){ "answer", 6 });
	put_frame(&all, 7, (struct bytes){ "nobody's", 8 });
	put_frame(&all, 1, (struct bytes){ "", 0 });
	put_frame(&all, 1, (struct bytes){ "plugin", 6 });
	for (size_t step = 1; step <= all.len; step++) {
		struct text got[3] = { 0 };

		CHECK_EQ(feed(text_bytes(&all), step, got), 0);
		CHECK(is(text_bytes(&got[1]), "to the plugin"));
		CHECK(is(text_bytes(&got[2]), "answer"));
		text_fini(&got[1]);
		text_fini(&got[2]);
	}
}

TEST(the_longest_frame_passes_and_one_byte_more_breaks_the_protocol)
{
	cleanup_free char *payload = calloc(1, NRI_MUX_FRAME_MAX + 1);

	CHECK(payload != NULL);
	for (size_t more = 0; more <= 1; more++) {
		cleanup_text struct text all = { 0 };
		struct text got[3] = { 0 };

		put_frame(&all, 1, (struct bytes){ payload, NRI_MUX_FRAME_MAX + more });
		CHECK_EQ(feed(text_bytes(&all), all.len, got), more ? -EMSGSIZE : 0);
		CHECK_EQ(got[1].len, more ? 0 : NRI_MUX_FRAME_MAX);
		text_fini(&got[1]);
	}
}

TEST(a_frame_over_the_limit_is_an_error_even_on_a_connection_of_nobody)
{
	struct text got[3] = { 0 };

	CHECK_EQ(feed((struct bytes){ "\0\0\0\7\377\377\377\377", 8 }, 8, got), -EMSGSIZE);
}

TEST(connection_0_is_an_error_and_stays_one)
{
	struct nri_mux m = { 0 };
	struct bytes in = { "\0\0\0\0\0\0\0\1x", 9 }, piece;
	uint32_t connection;

	CHECK_EQ(nri_mux_next(&m, &in, &connection, &piece, NULL), -EPROTO);
	CHECK_EQ(nri_mux_next(&m, &in, &connection, &piece, NULL), -EPROTO);
}

/* The lengths of the frames that a message of `len` bytes is written as. */
static unsigned frames_of(size_t len, uint32_t ret[4])
{
	struct nri_buffer out = { .max = 2 * NRI_MUX_FRAME_MAX };
	cleanup_free char *message = malloc(len + 1), *back = malloc(len + 1);
	size_t got = 0;
	unsigned n = 0;

	CHECK(message && back);
	for (size_t i = 0; i < len; i++)
		message[i] = i * 7;
	CHECK_EQ(nri_mux_write(&out, 2, (struct bytes){ message, len }), 0);
	for (struct bytes b = nri_buffer_bytes(&out); b.len > 0; n++) {
		CHECK(n < 4 && b.len >= 8 && get_be32(b.at) == 2);
		ret[n] = get_be32(b.at + 4);
		CHECK(ret[n] <= b.len - 8 && got + ret[n] <= len);
		memcpy(back + got, b.at + 8, ret[n]);
		got += ret[n];
		b = bytes_skip(b, 8 + ret[n]);
	}
	CHECK(got == len && memcmp(back, message, len) == 0);
	nri_buffer_fini(&out);
	return n;
}

TEST(a_message_is_a_frame_of_at_most_4096_bytes_and_one_with_the_rest)
{
	uint32_t frames[4];

	CHECK_EQ(frames_of(10, frames), 1);
	CHECK_EQ(frames_of(4096, frames), 1);
	CHECK_EQ(frames_of(4097, frames), 2);
	CHECK(frames[0] == 4096 && frames[1] == 1);
	CHECK_EQ(frames_of(NRI_MUX_FRAME_MAX, frames), 2);
	CHECK(frames[0] == 4096 && frames[1] == NRI_MUX_FRAME_MAX - 4096);
}

TEST(a_message_without_room_leaves_nothing_behind)
{
	struct nri_buffer out = { .max = 8 + 10 };

	CHECK_EQ(nri_mux_write(&out, 1, (struct bytes){ "0123456789", 10 }), 0);
	CHECK_EQ(nri_mux_write(&out, 1, (struct bytes){ "", 0 }), -ENOBUFS);
	CHECK_EQ(nri_buffer_bytes(&out).len, 18);
	nri_buffer_fini(&out);
}
