/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of a stream, cut anywhere, into lines of bounded length. Pure; used by watch.c.
 */
#pragma once

#include "base/bytes.h"

struct kube_lines {
	char *buf;
	size_t size, start, used, looked; /* the unread bytes are [start, used) */
	size_t max; /* the longest line, without its end */
};

#define KUBE_LINES(longest) ((struct kube_lines){ .max = (longest) })

void kube_lines_fini(struct kube_lines *l);

/*
 * Keeps a copy of the bytes. -EMSGSIZE: more than the longest line, and a megabyte besides, is
 * unread: the reader is too slow or the line has no end. -ENOMEM.
 */
int kube_lines_feed(struct kube_lines *l, struct bytes bytes);

/*
 * 1: *ret is the next line without "\n" or "\r\n", a view until the next call. 0: no whole line
 * yet. -EMSGSIZE: a line longer than max; nothing after that can be read.
 */
int kube_lines_next(struct kube_lines *l, struct bytes *ret);
