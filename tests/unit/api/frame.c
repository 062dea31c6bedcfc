// SPDX-License-Identifier: Apache-2.0
#include "api/frame.h"

#include <errno.h>

#include "base/cleanup.h"
#include "test.h"

TEST(a_message_ends_at_its_nul_and_what_follows_stays)
{
	struct bytes in = { "{}\0[1]", 6 }, message;

	CHECK_EQ(api_frame_next(&in, &message), 1);
	CHECK_EQ(message.len, 2);
	CHECK(memcmp(message.at, "{}", 2) == 0);
	CHECK_EQ(in.len, 3);
	CHECK(memcmp(in.at, "[1]", 3) == 0);
}

TEST(half_a_message_asks_for_more_and_changes_nothing)
{
	struct bytes in = { "{\"method\"", 9 }, message = { "old", 3 };
	const char *at = in.at;

	CHECK_EQ(api_frame_next(&in, &message), 0);
	CHECK(in.at == at && in.len == 9);
	CHECK_TEXT(message.at, "old");
}

TEST(no_bytes_at_all_ask_for_more)
{
	struct bytes in = { NULL, 0 }, message;

	CHECK_EQ(api_frame_next(&in, &message), 0);
}

TEST(an_empty_message_is_a_message)
{
	struct bytes in = { "\0", 2 }, message;

	CHECK_EQ(api_frame_next(&in, &message), 1);
	CHECK_EQ(message.len, 0);
	CHECK_EQ(in.len, 1);
}

TEST(the_longest_message_passes_and_one_byte_more_breaks_the_limit)
{
	cleanup_free char *text = malloc(API_MESSAGE_MAX + 1);
	struct bytes in, message;

	CHECK(text != NULL);
	memset(text, ' ', API_MESSAGE_MAX + 1);
	text[API_MESSAGE_MAX - 1] = '\0';
	in = (struct bytes){ text, API_MESSAGE_MAX };
	CHECK_EQ(api_frame_next(&in, &message), 1);
	CHECK_EQ(message.len, API_MESSAGE_MAX - 1);

	text[API_MESSAGE_MAX - 1] = ' ';
	text[API_MESSAGE_MAX] = '\0';
	in = (struct bytes){ text, API_MESSAGE_MAX - 1 };
	CHECK_EQ(api_frame_next(&in, &message), 0);
	in = (struct bytes){ text, API_MESSAGE_MAX };
	CHECK_EQ(api_frame_next(&in, &message), -EMSGSIZE);
	in = (struct bytes){ text, API_MESSAGE_MAX + 1 };
	CHECK_EQ(api_frame_next(&in, &message), -EMSGSIZE);
	CHECK_EQ(api_frame_next_max(&in, API_MESSAGE_MAX + 1, &message), 1);
}
