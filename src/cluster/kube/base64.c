// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/base64.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"

static int value_of(char c)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(letters, c) : NULL;

	return at ? (int)(at - letters) : -1;
}

static size_t decode(const char *text, char *to, size_t *ret_letters, size_t *ret_padding)
{
	size_t n = 0, letters = 0, padding = 0;
	uint32_t bits = 0;

	for (; *text; text++) {
		int value = value_of(*text);

		if (strchr(" \t\r\n", *text))
			continue;
		if (*text == '=')
			padding++;
		if (padding && *text != '=')
			break;
		if (padding)
			continue;
		if (value < 0)
			break;
		bits = bits << 6 | (uint32_t)value;
		if (letters++ % 4 != 0)
			to[n++] = (char)(bits >> (6 - 2 * ((letters - 1) % 4)));
	}
	*ret_letters = letters;
	*ret_padding = *text ? SIZE_MAX : padding;
	return n;
}

int kube_base64_decode(const char *text, char **ret, size_t *ret_len)
{
	cleanup_free char *out = malloc(strlen(text) + 1);
	size_t letters, padding, n;

	if (!out)
		return -ENOMEM;
	n = decode(text, out, &letters, &padding);
	if (padding > 2 || (letters + padding) % 4 != 0)
		return -EINVAL;
	out[n] = '\0';
	*ret = TAKE(out);
	*ret_len = n;
	return 0;
}
