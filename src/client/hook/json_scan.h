/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads values out of a JSON text (RFC 8259) without allocating, and writes strings into one. For
 * takt-hook, which links nothing but libc.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define JSON_DEPTH_MAX 64

/* Whether the whole text is one JSON value in UTF-8, nested no deeper than JSON_DEPTH_MAX. */
bool scan_valid(struct bytes text);

/*
 * How many members of that name an object has, 0 for what is no object; *ret is the value of the
 * first, a view into `object`, which is a valid text. Readers understand more than one
 * differently, so a caller takes 1 only.
 */
int scan_member(struct bytes object, const char *key, struct bytes *ret);

/* False: not an integer, written without fraction and exponent, that fits. */
bool scan_integer(struct bytes value, int64_t *ret);

bool scan_is_object(struct bytes value);

/*
 * The characters of a string, in UTF-8 and with a NUL. Returns their length, which is `size` or
 * more if the text was cut (at a whole character); -EINVAL: not a string, or one with U+0000 or
 * half a surrogate pair in it. `size` is at least 1.
 */
int scan_text(struct bytes value, char *buf, size_t size);

/*
 * Appends text as a JSON string with its quotes at buf + *len, and moves *len; buf stays
 * NUL-terminated. False: no room.
 */
bool scan_put_text(char *buf, size_t size, size_t *len, const char *text);
