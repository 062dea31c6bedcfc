// SPDX-License-Identifier: Apache-2.0
#include "cluster/wire/nri/arena_private.h"

#include <errno.h>
#include <stdbool.h>

#include "test.h"

static bool all_zero(const char *at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (at[i])
			return false;
	return true;
}

TEST(what_is_given_is_zeroed_aligned_and_apart)
{
	cleanup_arena struct arena a = ARENA_NULL;
	char *at[500];

	for (size_t i = 0; i < 500; i++) {
		at[i] = arena_get(&a, i, 1);
		CHECK(at[i] != NULL && (uintptr_t)at[i] % _Alignof(max_align_t) == 0);
		CHECK(all_zero(at[i], i));
		memset(at[i], 0xff, i);
	}
	for (size_t i = 1; i < 500; i++)
		CHECK(at[i][0] == (char)0xff && at[i][i - 1] == (char)0xff);
}

TEST(many_small_pieces_stop_at_the_limit)
{
	cleanup_arena struct arena a = ARENA_NULL;
	size_t given = 0;

	while (given < 2 * (size_t)ARENA_MAX_BYTES && arena_get(&a, 1, 1 << 20))
		given += 1 << 20;
	CHECK_EQ(given, ARENA_MAX_BYTES);
	CHECK_EQ(a.failed, -ENOBUFS);
}

TEST(one_piece_over_the_limit_is_refused)
{
	cleanup_arena struct arena a = ARENA_NULL;
	ProtobufCAllocator allocator = arena_allocator(&a);

	CHECK(arena_get(&a, 1, ARENA_MAX_BYTES + 1) == NULL);
	CHECK(arena_get(&a, SIZE_MAX / 2, 3) == NULL);
	CHECK(allocator.alloc(allocator.allocator_data, SIZE_MAX) == NULL);
	CHECK_EQ(a.failed, -ENOBUFS);
	CHECK_EQ(a.total, 0);
	CHECK(arena_get(&a, 1, ARENA_MAX_BYTES) != NULL);
}
