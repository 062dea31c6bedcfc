// SPDX-License-Identifier: Apache-2.0
#include "cluster/dra/quantity.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/text.h"

/* Without leading zeros; as many as 2^63 has. Times 2^60 that fits into 128 bits. */
#define DIGITS_MAX 19

static const struct suffix {
	const char *text;
	int ten, two; /* powers */
} suffixes[] = {
	{ "", 0, 0 },
	{ "n", -9, 0 },
	{ "u", -6, 0 },
	{ "m", -3, 0 },
	{ "k", 3, 0 },
	{ "M", 6, 0 },
	{ "G", 9, 0 },
	{ "T", 12, 0 },
	{ "P", 15, 0 },
	{ "E", 18, 0 },
	{ "Ki", 0, 10 },
	{ "Mi", 0, 20 },
	{ "Gi", 0, 30 },
	{ "Ti", 0, 40 },
	{ "Pi", 0, 50 },
	{ "Ei", 0, 60 },
};

static bool scale_of(const char *text, struct suffix *ret)
{
	unsigned power = 0;
	int sign = 1;

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
		if (strcmp(text, suffixes[i].text) == 0) {
			*ret = suffixes[i];
			return true;
		}
	if (*text != 'e' && *text != 'E')
		return false;
	text++;
	if (*text == '-' || *text == '+')
		sign = *text++ == '-' ? -1 : 1;
	if (!isdigit((unsigned char)*text))
		return false;
	for (; isdigit((unsigned char)*text) && power < 100; text++)
		power = 10 * power + (*text - '0');
	*ret = (struct suffix){ "", sign * (int)power, 0 };
	return *text == '\0';
}

/* The digits as one number, and how many of them stand behind the point. False: not a number. */
static bool digits_of(const char **text, unsigned __int128 *ret, int *ret_behind)
{
	const char *at = *text;
	bool point = false, any = false;
	int n = 0;

	*ret = 0;
	*ret_behind = 0;
	if (*at == '+')
		at++;
	for (; isdigit((unsigned char)*at) || (*at == '.' && !point); at++) {
		if (*at == '.') {
			point = true;
			continue;
		}
		any = true;
		*ret = 10 * *ret + (*at - '0');
		*ret_behind += point;
		if (*ret && ++n > DIGITS_MAX)
			return false;
	}
	*text = at;
	return any;
}

int quantity_parse(const char *text, uint64_t *ret, struct err *err)
{
	char quoted[TEXT_QUOTE_MAX];
	unsigned __int128 value;
	struct suffix scale;
	const char *at = text;
	bool rest = false;
	int behind;

	if (!digits_of(&at, &value, &behind) || !scale_of(at, &scale))
		return err_set(err, -EINVAL, "%s is not a quantity as \"200000\" or \"200k\"",
			text_quote(quoted, text));
	value <<= scale.two;
	for (scale.ten -= behind; scale.ten < 0 && value; scale.ten++) {
		rest |= value % 10 != 0;
		value /= 10;
	}
	for (; scale.ten > 0 && value && value <= INT64_MAX; scale.ten--)
		value *= 10;
	value += rest;
	if (value > INT64_MAX)
		return err_set(err, -EINVAL, "%s is too large", text_quote(quoted, text));
	*ret = (uint64_t)value;
	return 0;
}
