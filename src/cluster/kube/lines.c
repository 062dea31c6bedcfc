// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLACK_BYTES (1024 * 1024)
#define KEPT_BYTES (64 * 1024)

void kube_lines_fini(struct kube_lines *l)
{
	free(l->buf);
	*l = KUBE_LINES(l->max);
}

/* Moves what is unread to the front. */
static void compact(struct kube_lines *l)
{
	if (l->start == 0)
		return;
	memmove(l->buf, l->buf + l->start, l->used - l->start);
	l->used -= l->start;
	l->looked -= l->start;
	l->start = 0;
}

static int make_room(struct kube_lines *l, size_t len)
{
	size_t need, size;
	char *grown;

	compact(l);
	need = l->used + len;
	if (need > l->max + SLACK_BYTES)
		return -EMSGSIZE;
	if (need <= l->size)
		return 0;
	size = need < 4096 ? 4096 : need + need / 2;
	grown = realloc(l->buf, size);
	if (!grown)
		return -ENOMEM;
	l->buf = grown;
	l->size = size;
	return 0;
}

int kube_lines_feed(struct kube_lines *l, struct bytes bytes)
{
	int r = 0;

	if (bytes.len > l->max + SLACK_BYTES)
		return -EMSGSIZE;
	if (l->size - l->used < bytes.len)
		r = make_room(l, bytes.len);
	if (r < 0 || bytes.len == 0)
		return r;
	memcpy(l->buf + l->used, bytes.at, bytes.len);
	l->used += bytes.len;
	return 0;
}

/* All is read: a buffer that one long line made large is not kept. */
static void settle(struct kube_lines *l)
{
	l->start = l->used = l->looked = 0;
	if (l->size > KEPT_BYTES)
		kube_lines_fini(l);
}

int kube_lines_next(struct kube_lines *l, struct bytes *ret)
{
	const char *line, *end;

	if (l->start == l->used) {
		settle(l);
		return 0;
	}
	line = l->buf + l->start;
	end = memchr(l->buf + l->looked, '\n', l->used - l->looked);
	l->looked = l->used;
	if (!end)
		return l->used - l->start > l->max ? -EMSGSIZE : 0;
	*ret = (struct bytes){ line, (size_t)(end - line) };
	if (ret->len > 0 && line[ret->len - 1] == '\r')
		ret->len--;
	if (ret->len > l->max)
		return -EMSGSIZE;
	l->start = l->looked = (size_t)(end - l->buf) + 1;
	return 1;
}
