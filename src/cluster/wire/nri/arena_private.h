/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for one message that is read or written, freed as a whole and with a limit. Used by the
 * codecs here as the allocator of protobuf-c, which would give a peer many times what it sends.
 */
#pragma once

#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

/*
 * What runtimes send becomes some two times its 4 MiB here: a plugin that is told 3,000 containers
 * of 2 KiB has 16 MiB in all. What could be sent, millions of empty fields, has no such bound.
 */
#define ARENA_MAX_BYTES (64 * 1024 * 1024)

struct arena_block;

struct arena {
	struct arena_block *blocks;
	size_t free, total; /* bytes: left in the newest block, in all blocks */
	int failed; /* -ENOMEM, -ENOBUFS: over the limit; 0: everything was given */
};

#define ARENA_NULL ((struct arena){ 0 })

void arena_fini(struct arena *a);

#define cleanup_arena __attribute__((cleanup(arena_fini)))

/* Zeroed, aligned for everything; NULL: no memory, or over the limit. */
void *arena_get(struct arena *a, size_t n, size_t size);

/* For protobuf-c; lives as long as the arena does. */
ProtobufCAllocator arena_allocator(struct arena *a);
