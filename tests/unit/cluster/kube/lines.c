// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/lines.h"

#include <errno.h>

#include "test.h"

#define WHOLE "one\n\ntwo three\r\n{\"x\":\"\\n\"}\nrest"

/* Feeds the text in pieces of `step` bytes; what came out, each line in brackets. */
static void cut(const char *text, size_t step, char *out, size_t size)
{
	struct kube_lines l = KUBE_LINES(64);
	size_t len = strlen(text), used = 0;
	struct bytes line;

	for (size_t at = 0; at < len; at += step) {
		size_t n = len - at < step ? len - at : step;

		CHECK_EQ(kube_lines_feed(&l, (struct bytes){ text + at, n }), 0);
		while (kube_lines_next(&l, &line) == 1)
			used += (size_t)snprintf(
				out + used, size - used, "[%.*s]", (int)line.len, line.at);
	}
	kube_lines_fini(&l);
}

TEST(lines_are_the_same_wherever_the_bytes_are_cut)
{
	char out[256];

	for (size_t step = 1; step <= sizeof(WHOLE); step++) {
		memset(out, 0, sizeof(out));
		cut(WHOLE, step, out, sizeof(out));
		CHECK_TEXT(out, "[one][][two three][{\"x\":\"\\n\"}]");
	}
}

TEST(a_line_that_is_too_long_is_refused_with_and_without_its_end)
{
	struct kube_lines l = KUBE_LINES(4);
	struct bytes line;

	CHECK_EQ(kube_lines_feed(&l, (struct bytes){ "1234\n12345\n", 11 }), 0);
	CHECK_EQ(kube_lines_next(&l, &line), 1);
	CHECK_EQ(kube_lines_next(&l, &line), -EMSGSIZE);
	kube_lines_fini(&l);
	CHECK_EQ(kube_lines_feed(&l, (struct bytes){ "12345", 5 }), 0);
	CHECK_EQ(kube_lines_next(&l, &line), -EMSGSIZE);
	kube_lines_fini(&l);
}

TEST(bytes_that_nobody_reads_have_a_limit)
{
	static char piece[65536];
	struct kube_lines l = KUBE_LINES(16);
	size_t kept = 0;
	int r = 0;

	memset(piece, '\n', sizeof(piece));
	while (r == 0 && kept < 1UL << 30) {
		r = kube_lines_feed(&l, (struct bytes){ piece, sizeof(piece) });
		kept += sizeof(piece);
	}
	CHECK_EQ(r, -EMSGSIZE);
	CHECK(kept < 4UL << 20);
	kube_lines_fini(&l);
}

TEST(a_buffer_that_one_long_line_made_is_given_back)
{
	size_t len = 1000000;
	char *text = malloc(len);
	struct kube_lines l = KUBE_LINES(len);
	struct bytes line;

	CHECK(text);
	memset(text, 'x', len);
	text[len - 1] = '\n';
	CHECK_EQ(kube_lines_feed(&l, (struct bytes){ text, len }), 0);
	CHECK_EQ(kube_lines_next(&l, &line), 1);
	CHECK_EQ(line.len, len - 1);
	CHECK_EQ(kube_lines_next(&l, &line), 0);
	CHECK_EQ(l.size, 0);
	kube_lines_fini(&l);
	free(text);
}
