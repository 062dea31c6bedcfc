// SPDX-License-Identifier: Apache-2.0
#include "cluster/wire/grpc_text.h"

#include <errno.h>
#include <string.h>

#define DIGITS_MAX 8

static uint64_t unit_ns(char unit)
{
	switch (unit) {
	case 'H':
		return 3600 * UINT64_C(1000000000);
	case 'M':
		return 60 * UINT64_C(1000000000);
	case 'S':
		return 1000000000;
	case 'm':
		return 1000000;
	case 'u':
		return 1000;
	case 'n':
		return 1;
	default:
		return 0;
	}
}

int grpc_timeout_parse(struct bytes text, uint64_t *ret_ns)
{
	uint64_t value = 0, unit, ns;

	if (text.len < 2 || text.len > DIGITS_MAX + 1)
		return -EINVAL;
	for (size_t i = 0; i < text.len - 1; i++) {
		if (text.at[i] < '0' || text.at[i] > '9')
			return -EINVAL;
		value = 10 * value + (text.at[i] - '0');
	}
	unit = unit_ns(text.at[text.len - 1]);
	if (!unit)
		return -EINVAL;
	if (__builtin_mul_overflow(value, unit, &ns) || ns > INT64_MAX)
		ns = INT64_MAX;
	*ret_ns = ns;
	return 0;
}

/* Of a text that is cut after `len` bytes: without the character that the cut goes through. */
static size_t whole_characters(const char *text, size_t len)
{
	size_t n = len;

	while (n > 0 && len - n < 3 && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	return ((unsigned char)text[n] & 0xc0) == 0xc0 ? n : len;
}

size_t grpc_message_encode(char buf[static GRPC_ENCODED_MAX], const char *text)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t len = strnlen(text, GRPC_MESSAGE_MAX), n = 0;

	if (len == GRPC_MESSAGE_MAX)
		len = whole_characters(text, GRPC_MESSAGE_MAX - 1);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = text[i];

		if (c >= ' ' && c <= '~' && c != '%') {
			buf[n++] = c;
		} else {
			buf[n++] = '%';
			buf[n++] = hex[c >> 4];
			buf[n++] = hex[c & 0xf];
		}
	}
	return n;
}
