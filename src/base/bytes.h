/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A view of bytes that somebody else owns. Codecs take one and move it past what they read.
 */
#pragma once

#include <stddef.h>

struct bytes {
	const char *at;
	size_t len;
};

static inline struct bytes bytes_skip(struct bytes b, size_t n)
{
	return (struct bytes){ b.at + n, b.len - n };
}
