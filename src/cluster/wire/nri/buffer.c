// SPDX-License-Identifier: Apache-2.0
#include "cluster/wire/nri/buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_FIRST 512
#define SIZE_KEPT (16 * 1024) /* what an empty buffer may hold on to: most messages are shorter */

void nri_buffer_fini(struct nri_buffer *b)
{
	free(b->memory);
	*b = (struct nri_buffer){ .max = b->max };
}

static int make_room(struct nri_buffer *b, size_t n)
{
	size_t used = b->end - b->begin, size = b->size ? b->size : SIZE_FIRST;
	char *memory;

	if (n > b->max - used)
		return -ENOBUFS;
	if (n <= b->size - b->end)
		return 0;
	if (b->begin > 0) {
		memmove(b->memory, b->memory + b->begin, used);
		b->begin = 0;
		b->end = used;
	}
	while (size - used < n)
		size *= 2;
	if (size == b->size)
		return 0;
	memory = realloc(b->memory, size);
	if (!memory)
		return -ENOMEM;
	b->memory = memory;
	b->size = size;
	return 0;
}

int nri_buffer_extend(struct nri_buffer *b, size_t n, char **ret)
{
	int r = make_room(b, n);

	if (r < 0)
		return r;
	*ret = b->memory + b->end;
	b->end += n;
	return 0;
}

int nri_buffer_append(struct nri_buffer *b, struct bytes bytes)
{
	char *at;
	int r;

	if (bytes.len == 0)
		return 0;
	r = nri_buffer_extend(b, bytes.len, &at);
	if (r == 0)
		memcpy(at, bytes.at, bytes.len);
	return r;
}

void nri_buffer_take(struct nri_buffer *b, size_t n)
{
	b->begin += n;
	if (b->begin < b->end)
		return;
	b->begin = b->end = 0;
	if (b->size > SIZE_KEPT)
		nri_buffer_fini(b);
}
