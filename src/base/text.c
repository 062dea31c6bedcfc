// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

struct unit {
	const char *name;
	uint64_t ns;
};

static const struct unit units[] = {
	{ "s", 1000000000 },
	{ "ms", 1000000 },
	{ "us", 1000 },
	{ "ns", 1 },
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const struct unit *unit_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (strcmp(units[i].name, name) == 0)
			return &units[i];
	return NULL;
}

/* The largest that is not above `ns`; for 0 the smallest. */
static const struct unit *unit_for(uint64_t ns)
{
	const struct unit *u = units;

	while (u->ns > ns && u->ns > 1)
		u++;
	return u;
}

static const char *skip_digits(const char *at)
{
	while (is_digit(*at))
		at++;
	return at;
}

static int wrong_form(struct err *err, const char *text)
{
	char quoted[TEXT_QUOTE_MAX];

	return err_set(err, -EINVAL,
		"%s is not a duration: write one number and one unit (ns, us, ms or s), as in 4ms, "
		"1.5ms or 500us",
		text_quote(quoted, text));
}

/*
 * The digits before the unit, of which a '.' may be one, as nanoseconds. -ERANGE: more than
 * 2^63-1. -EDOM: finer than 1 ns.
 */
static int digits_to_ns(const char *from, const char *end, uint64_t unit_ns, uint64_t *ret)
{
	unsigned __int128 sum = 0;
	uint64_t weight = unit_ns;
	bool fraction = false;

	for (; from < end; from++) {
		if (*from == '.') {
			fraction = true;
			continue;
		}
		if (fraction) {
			if (weight < 10 && *from != '0')
				return -EDOM;
			weight /= 10;
			sum += weight * (*from - '0');
		} else {
			sum = sum * 10 + (uint64_t)(*from - '0') * unit_ns;
		}
		if (sum > INT64_MAX)
			return -ERANGE;
	}
	*ret = sum;
	return 0;
}

int duration_parse(const char *text, uint64_t *ret_ns, struct err *err)
{
	const char *end = skip_digits(text);
	char quoted[TEXT_QUOTE_MAX];
	const struct unit *unit;
	int r;

	if (end == text)
		return wrong_form(err, text);
	if (*end == '.') {
		if (!is_digit(end[1]))
			return wrong_form(err, text);
		end = skip_digits(end + 1);
	}
	if (!*end)
		return err_set(err, -EINVAL,
			"%s has no unit: write ns, us, ms or s right after the number, as in 20ms",
			text_quote(quoted, text));
	unit = unit_find(end);
	if (!unit)
		return wrong_form(err, text);
	r = digits_to_ns(text, end, unit->ns, ret_ns);
	if (r == -EDOM)
		return err_set(err, -EINVAL, "%s is finer than 1ns, the smallest step",
			text_quote(quoted, text));
	if (r < 0)
		return err_set(err, -EINVAL, "%s is too long: a duration is at most 2^63-1 ns",
			text_quote(quoted, text));
	return 0;
}

/* Prints value / 10^decimals without trailing zeros; returns what snprintf would. */
static int print_decimal(char *buf, size_t size, uint64_t value, unsigned decimals)
{
	uint64_t scale = 1;

	while (decimals > 0 && value % 10 == 0) {
		value /= 10;
		decimals--;
	}
	if (decimals == 0)
		return snprintf(buf, size, "%" PRIu64, value);
	for (unsigned i = 0; i < decimals; i++)
		scale *= 10;
	return snprintf(
		buf, size, "%" PRIu64 ".%0*" PRIu64, value / scale, (int)decimals, value % scale);
}

const char *duration_format(char buf[static TEXT_NUMBER_MAX], uint64_t ns)
{
	const struct unit *u = unit_for(ns);
	unsigned decimals;
	uint64_t step;
	int n;

	/* Only seconds can need more than six. */
	if (u->ns == 1000000000 && ns % 1000 != 0)
		u++;
	decimals = u->ns == 1 ? 0 : u->ns == 1000 ? 3 : 6;
	step = u->ns == 1000000000 ? 1000 : 1;
	n = print_decimal(buf, TEXT_NUMBER_MAX, ns / step, decimals);
	snprintf(buf + n, TEXT_NUMBER_MAX - n, "%s", u->name);
	return buf;
}

const char *duration_words(char buf[static TEXT_NUMBER_MAX], uint64_t ns)
{
	const struct unit *u = unit_for(ns);
	uint64_t whole = ns / u->ns, scale = 1, step = 1, rounded;
	unsigned decimals = 0;
	int n;

	for (; whole * scale < 100 && u->ns > 1; decimals++)
		scale *= 10;
	while (whole / step >= 1000)
		step *= 10;
	step *= u->ns;
	rounded = (uint64_t)(((unsigned __int128)ns * scale + step / 2) / step) * (step / u->ns);
	if (rounded == 1000 && decimals == 0 && u > units) {
		rounded = 1;
		u--;
	}
	n = print_decimal(buf, TEXT_NUMBER_MAX, rounded, decimals);
	snprintf(buf + n, TEXT_NUMBER_MAX - n, " %s", u->name);
	return buf;
}

const char *text_quote(char buf[static TEXT_QUOTE_MAX], const char *text)
{
	size_t room = TEXT_QUOTE_MAX - sizeof("\\xNN...\""), n = 1;

	buf[0] = '"';
	for (; *text && n < room; text++) {
		unsigned char c = *text;

		if (c >= ' ' && c < 127)
			buf[n++] = c;
		else
			n += snprintf(buf + n, TEXT_QUOTE_MAX - n, "\\x%02x", c);
	}
	snprintf(buf + n, TEXT_QUOTE_MAX - n, "%s", *text ? "...\"" : "\"");
	return buf;
}
