// SPDX-License-Identifier: Apache-2.0
#include "client/hook/json_scan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Every skip_x() moves past an x at the front of *in, or returns false. */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void skip_space(struct bytes *in)
{
	while (in->len > 0 && strchr(" \t\n\r", in->at[0]) && in->at[0])
		*in = bytes_skip(*in, 1);
}

static bool skip_char(struct bytes *in, char c)
{
	if (in->len == 0 || in->at[0] != c)
		return false;
	*in = bytes_skip(*in, 1);
	return true;
}

static bool skip_word(struct bytes *in, const char *word)
{
	size_t len = strlen(word);

	if (in->len < len || memcmp(in->at, word, len) != 0)
		return false;
	*in = bytes_skip(*in, len);
	return true;
}

static bool skip_digits(struct bytes *in)
{
	size_t len = in->len;

	while (in->len > 0 && is_digit(in->at[0]))
		*in = bytes_skip(*in, 1);
	return in->len < len;
}

static bool skip_number(struct bytes *in)
{
	skip_char(in, '-');
	if (!skip_char(in, '0') && !skip_digits(in))
		return false;
	if (skip_char(in, '.') && !skip_digits(in))
		return false;
	if (!skip_char(in, 'e') && !skip_char(in, 'E'))
		return true;
	if (!skip_char(in, '+'))
		skip_char(in, '-');
	return skip_digits(in);
}

/* One character that is not ASCII; no overlong form, no surrogate (RFC 3629, section 4). */
static bool skip_utf8(struct bytes *in)
{
	const unsigned char *c = (const unsigned char *)in->at;
	size_t n = c[0] < 0xc2 ? 0 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : c[0] < 0xf5 ? 4 : 0;

	if (n == 0 || in->len < n)
		return false;
	for (size_t i = 1; i < n; i++)
		if ((c[i] & 0xc0) != 0x80)
			return false;
	if ((c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] > 0x9f) ||
		(c[0] == 0xf0 && c[1] < 0x90) || (c[0] == 0xf4 && c[1] > 0x8f))
		return false;
	*in = bytes_skip(*in, n);
	return true;
}

static int hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool take_hex4(struct bytes *in, uint32_t *ret)
{
	uint32_t value = 0;

	if (in->len < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		int digit = hex_digit(in->at[i]);

		if (digit < 0)
			return false;
		value = value << 4 | (uint32_t)digit;
	}
	*in = bytes_skip(*in, 4);
	*ret = value;
	return true;
}

/* What follows the backslash. */
static bool skip_escape(struct bytes *in)
{
	uint32_t unused;

	if (skip_char(in, 'u'))
		return take_hex4(in, &unused);
	if (in->len == 0 || !in->at[0] || !strchr("\"\\/bfnrt", in->at[0]))
		return false;
	*in = bytes_skip(*in, 1);
	return true;
}

static bool skip_string(struct bytes *in)
{
	if (!skip_char(in, '"'))
		return false;
	while (in->len > 0) {
		unsigned char c = (unsigned char)in->at[0];

		if (skip_char(in, '"'))
			return true;
		if (c < 0x20)
			return false;
		if (c >= 0x80 ? !skip_utf8(in) : skip_char(in, '\\') && !skip_escape(in))
			return false;
		if (c < 0x80 && c != '\\')
			*in = bytes_skip(*in, 1);
	}
	return false;
}

static bool skip_value(struct bytes *in, unsigned depth);

static bool skip_object(struct bytes *in, unsigned depth)
{
	skip_space(in);
	if (skip_char(in, '}'))
		return true;
	do {
		skip_space(in);
		if (!skip_string(in))
			return false;
		skip_space(in);
		if (!skip_char(in, ':') || !skip_value(in, depth))
			return false;
	} while (skip_char(in, ','));
	return skip_char(in, '}');
}

static bool skip_array(struct bytes *in, unsigned depth)
{
	skip_space(in);
	if (skip_char(in, ']'))
		return true;
	do {
		if (!skip_value(in, depth))
			return false;
	} while (skip_char(in, ','));
	return skip_char(in, ']');
}

/* With the space around it. */
static bool skip_value(struct bytes *in, unsigned depth)
{
	bool ok;

	skip_space(in);
	if (depth == 0 || in->len == 0)
		return false;
	if (skip_char(in, '{'))
		ok = skip_object(in, depth - 1);
	else if (skip_char(in, '['))
		ok = skip_array(in, depth - 1);
	else if (in->at[0] == '"')
		ok = skip_string(in);
	else if (is_digit(in->at[0]) || in->at[0] == '-')
		ok = skip_number(in);
	else
		ok = skip_word(in, "true") || skip_word(in, "false") || skip_word(in, "null");
	skip_space(in);
	return ok;
}

bool scan_valid(struct bytes text)
{
	return skip_value(&text, JSON_DEPTH_MAX) && text.len == 0;
}

static bool string_is(struct bytes string, const char *text)
{
	char buf[64];
	int n = scan_text(string, buf, sizeof(buf));

	return n >= 0 && n < (int)sizeof(buf) && strcmp(buf, text) == 0;
}

/* A member of an object at the front of *in, and the comma or the brace behind it. */
static bool take_member(struct bytes *in, struct bytes *ret_key, struct bytes *ret_value)
{
	skip_space(in);
	*ret_key = *in;
	if (!skip_string(in))
		return false;
	ret_key->len -= in->len;
	skip_space(in);
	if (!skip_char(in, ':'))
		return false;
	skip_space(in);
	*ret_value = *in;
	if (!skip_value(in, JSON_DEPTH_MAX))
		return false;
	ret_value->len -= in->len;
	return skip_char(in, ',') || skip_char(in, '}');
}

int scan_member(struct bytes object, const char *key, struct bytes *ret)
{
	struct bytes its_key, value;
	int found = 0;

	skip_space(&object);
	if (!skip_char(&object, '{'))
		return 0;
	while (take_member(&object, &its_key, &value))
		if (string_is(its_key, key) && found++ == 0)
			*ret = value;
	return found;
}

bool scan_integer(struct bytes value, int64_t *ret)
{
	int64_t n = 0;
	bool minus = skip_char(&value, '-');

	if (value.len == 0 || !is_digit(value.at[0]))
		return false;
	for (; value.len > 0 && is_digit(value.at[0]); value = bytes_skip(value, 1))
		if (__builtin_mul_overflow(n, 10, &n) ||
			__builtin_sub_overflow(n, value.at[0] - '0', &n))
			return false;
	skip_space(&value);
	if (value.len > 0 || (!minus && n == INT64_MIN))
		return false;
	*ret = minus ? n : -n;
	return true;
}

bool scan_is_object(struct bytes value)
{
	skip_space(&value);
	return value.len > 0 && value.at[0] == '{';
}

static bool is_surrogate(uint32_t c, uint32_t first)
{
	return c >= first && c < first + 0x400;
}

/* The character of a \u escape, whose backslash and u have been read (RFC 8259, section 7). */
static bool take_unicode(struct bytes *in, uint32_t *ret)
{
	uint32_t high, low;

	if (!take_hex4(in, &high) || high == 0 || is_surrogate(high, 0xdc00))
		return false;
	*ret = high;
	if (!is_surrogate(high, 0xd800))
		return true;
	if (!skip_word(in, "\\u") || !take_hex4(in, &low) || !is_surrogate(low, 0xdc00))
		return false;
	*ret = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
	return true;
}

static size_t encode_utf8(char out[static 4], uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* One character of a string's inside, in UTF-8; its length, 0 if there is none. */
static size_t take_character(struct bytes *in, char out[static 4])
{
	static const char escapes[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	struct bytes start = *in;
	uint32_t c;
	const char *escape;

	if ((unsigned char)in->at[0] >= 0x80) {
		if (!skip_utf8(in))
			return 0;
		memcpy(out, start.at, start.len - in->len);
		return start.len - in->len;
	}
	*in = bytes_skip(*in, 1);
	if (start.at[0] != '\\') {
		out[0] = start.at[0];
		return 1;
	}
	if (skip_char(in, 'u'))
		return take_unicode(in, &c) ? encode_utf8(out, c) : 0;
	escape = in->len > 0 && in->at[0] ? strchr(escapes, in->at[0]) : NULL;
	if (!escape)
		return 0;
	*in = bytes_skip(*in, 1);
	out[0] = values[escape - escapes];
	return 1;
}

int scan_text(struct bytes value, char *buf, size_t size)
{
	struct bytes end = value;
	size_t len = 0, kept = 0;

	if (!skip_string(&end))
		return -EINVAL;
	value.len -= end.len + 1;
	value = bytes_skip(value, 1);
	while (value.len > 0) {
		char c[4];
		size_t n = take_character(&value, c);

		if (n == 0)
			return -EINVAL;
		if (kept == len && len + n < size) {
			memcpy(buf + len, c, n);
			kept += n;
		}
		len += n;
	}
	buf[kept] = '\0';
	return kept == len ? (int)len : (int)(len < size ? size : len);
}

static bool put(char *buf, size_t size, size_t *len, const char *text)
{
	size_t n = strlen(text);

	if (size - *len <= n)
		return false;
	memcpy(buf + *len, text, n + 1);
	*len += n;
	return true;
}

bool scan_put_text(char *buf, size_t size, size_t *len, const char *text)
{
	if (!put(buf, size, len, "\""))
		return false;
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		char piece[8] = { (char)c };

		if (c < 0x20 || c == 0x7f)
			snprintf(piece, sizeof(piece), "\\u%04x", c);
		else if (c == '"' || c == '\\')
			snprintf(piece, sizeof(piece), "\\%c", c);
		if (!put(buf, size, len, piece))
			return false;
	}
	return put(buf, size, len, "\"");
}
