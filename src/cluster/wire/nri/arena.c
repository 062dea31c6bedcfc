// SPDX-License-Identifier: Apache-2.0
#include "cluster/wire/nri/arena_private.h"

#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES (16 * 1024)

struct arena_block {
	struct arena_block *next;
	size_t size;
	alignas(max_align_t) char memory[];
};

void arena_fini(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *b = a->blocks;

		a->blocks = b->next;
		free(b);
	}
	*a = ARENA_NULL;
}

static int add_block(struct arena *a, size_t bytes)
{
	size_t size = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
	struct arena_block *b;

	if (size > ARENA_MAX_BYTES - a->total)
		return -ENOBUFS;
	b = malloc(sizeof(*b) + size);
	if (!b)
		return -ENOMEM;
	*b = (struct arena_block){ .next = a->blocks, .size = size };
	a->blocks = b;
	a->free = size;
	a->total += size;
	return 0;
}

static void *get(struct arena *a, size_t bytes)
{
	size_t step = alignof(max_align_t);
	int r = 0;

	if (bytes > ARENA_MAX_BYTES)
		r = -ENOBUFS;
	bytes = (bytes + step - 1) / step * step;
	if (r == 0 && (!a->blocks || bytes > a->free))
		r = add_block(a, bytes);
	if (r < 0) {
		a->failed = r;
		return NULL;
	}
	a->free -= bytes;
	return a->blocks->memory + a->blocks->size - a->free - bytes;
}

void *arena_get(struct arena *a, size_t n, size_t size)
{
	void *memory;
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes)) {
		a->failed = -ENOBUFS;
		return NULL;
	}
	memory = get(a, bytes);
	return memory ? memset(memory, 0, bytes) : NULL;
}

static void *allocator_alloc(void *data, size_t bytes)
{
	return get(data, bytes);
}

static void allocator_free(void *data, void *memory)
{
}

ProtobufCAllocator arena_allocator(struct arena *a)
{
	return (ProtobufCAllocator){ allocator_alloc, allocator_free, a };
}
