/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue of bytes with a limit: appended at the end, taken from the front. Used by whoever
 * collects a message that comes in pieces, and for what waits to be written to the socket.
 */
#pragma once

#include <stddef.h>

#include "base/bytes.h"

/* Owns its memory; `max` is set by the owner, the rest starts as zero. */
struct nri_buffer {
	char *memory;
	size_t begin, end, size; /* what is in it: memory[begin..end) */
	size_t max; /* bytes in it */
};

void nri_buffer_fini(struct nri_buffer *b); /* keeps max: it can be used again */

static inline struct bytes nri_buffer_bytes(const struct nri_buffer *b)
{
	return (struct bytes){ b->memory ? b->memory + b->begin : NULL, b->end - b->begin };
}

/*
 * Makes *ret point at `n` unset bytes that now stand at the end. -ENOBUFS: more than max;
 * -ENOMEM. Nothing changes on failure.
 */
int nri_buffer_extend(struct nri_buffer *b, size_t n, char **ret);

/* Appends a copy; errors as nri_buffer_extend. */
int nri_buffer_append(struct nri_buffer *b, struct bytes bytes);

/* Removes the first n bytes; n is at most what is in it. A long buffer that is empty is freed. */
void nri_buffer_take(struct nri_buffer *b, size_t n);
