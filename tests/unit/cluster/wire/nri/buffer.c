// SPDX-License-Identifier: Apache-2.0
#include "cluster/wire/nri/buffer.h"

#include <errno.h>

#include "test.h"

TEST(what_is_appended_comes_out_in_order)
{
	struct nri_buffer b = { .max = 100 };

	CHECK_EQ(nri_buffer_append(&b, (struct bytes){ "one", 3 }), 0);
	CHECK_EQ(nri_buffer_append(&b, (struct bytes){ "two", 3 }), 0);
	nri_buffer_take(&b, 2);
	CHECK_EQ(nri_buffer_bytes(&b).len, 4);
	CHECK(memcmp(nri_buffer_bytes(&b).at, "etwo", 4) == 0);
	nri_buffer_fini(&b);
}

TEST(more_than_the_limit_is_refused_and_changes_nothing)
{
	struct nri_buffer b = { .max = 4 };
	char *at;

	CHECK_EQ(nri_buffer_append(&b, (struct bytes){ "abcd", 4 }), 0);
	CHECK_EQ(nri_buffer_append(&b, (struct bytes){ "e", 1 }), -ENOBUFS);
	CHECK_EQ(nri_buffer_extend(&b, SIZE_MAX, &at), -ENOBUFS);
	CHECK_EQ(nri_buffer_bytes(&b).len, 4);
	nri_buffer_take(&b, 1);
	CHECK_EQ(nri_buffer_append(&b, (struct bytes){ "e", 1 }), 0);
	CHECK(memcmp(nri_buffer_bytes(&b).at, "bcde", 4) == 0);
	nri_buffer_fini(&b);
}

TEST(a_queue_that_is_never_empty_does_not_grow_for_ever)
{
	struct nri_buffer b = { .max = 1 << 20 };

	CHECK_EQ(nri_buffer_append(&b, (struct bytes){ "0123456789", 10 }), 0);
	for (int i = 0; i < 100000; i++) {
		CHECK_EQ(nri_buffer_append(&b, (struct bytes){ "0123456789", 10 }), 0);
		nri_buffer_take(&b, 10);
	}
	CHECK(b.size <= 1024);
	CHECK(memcmp(nri_buffer_bytes(&b).at, "0123456789", 10) == 0);
	nri_buffer_fini(&b);
}

TEST(a_long_buffer_is_given_back_when_it_is_empty)
{
	struct nri_buffer b = { .max = 1 << 20 };
	char *at;

	CHECK_EQ(nri_buffer_extend(&b, 1 << 20, &at), 0);
	memset(at, 'x', 1 << 20);
	nri_buffer_take(&b, 1 << 20);
	CHECK(b.memory == NULL && b.max == 1 << 20);
}
