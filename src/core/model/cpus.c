// SPDX-License-Identifier: Apache-2.0
#include "core/model/cpus.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

bool cpus_add(struct cpus *c, unsigned cpu)
{
	if (cpu >= CPUS_MAX)
		return false;
	c->words[cpu / 64] |= 1ull << cpu % 64;
	return true;
}

bool cpus_contains(const struct cpus *c, unsigned cpu)
{
	return cpu < CPUS_MAX && (c->words[cpu / 64] >> cpu % 64 & 1);
}

unsigned cpus_count(const struct cpus *c)
{
	unsigned n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(c->words); i++)
		n += __builtin_popcountll(c->words[i]);
	return n;
}

bool cpus_equal(const struct cpus *a, const struct cpus *b)
{
	return memcmp(a->words, b->words, sizeof(a->words)) == 0;
}

bool cpus_subset(const struct cpus *a, const struct cpus *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(a->words); i++)
		if (a->words[i] & ~b->words[i])
			return false;
	return true;
}

struct cpus cpus_without(const struct cpus *a, const struct cpus *b)
{
	struct cpus rest;

	for (size_t i = 0; i < ARRAY_SIZE(a->words); i++)
		rest.words[i] = a->words[i] & ~b->words[i];
	return rest;
}

unsigned cpus_next(const struct cpus *c, unsigned from)
{
	while (from < CPUS_MAX) {
		uint64_t rest = c->words[from / 64] >> from % 64;

		if (rest)
			return from + __builtin_ctzll(rest);
		from = (from / 64 + 1) * 64;
	}
	return CPUS_MAX;
}

/* Moves *at past the digits; CPUS_MAX stands for every number from there on. */
static bool read_number(const char **at, unsigned *ret)
{
	const char *from = *at;
	unsigned n = 0;

	for (; **at >= '0' && **at <= '9'; ++*at)
		if (n < CPUS_MAX)
			n = n * 10 + (**at - '0');
	*ret = n < CPUS_MAX ? n : CPUS_MAX;
	return *at > from;
}

/* One "N" or "N-M", added to *set. */
static int read_range(const char **at, struct cpus *set, struct err *err)
{
	unsigned first, last;

	if (!read_number(at, &first))
		return err_set(err, -EINVAL, "a CPU number is missing");
	last = first;
	if (**at == '-') {
		++*at;
		if (!read_number(at, &last))
			return err_set(err, -EINVAL, "the end of a range is missing");
	}
	if (first >= CPUS_MAX || last >= CPUS_MAX)
		return err_set(err, -EINVAL, "CPUs are numbered 0 to %d here", CPUS_MAX - 1);
	if (last < first)
		return err_set(err, -EINVAL, "the range %u-%u runs backwards", first, last);
	for (unsigned cpu = first; cpu <= last; cpu++)
		cpus_add(set, cpu);
	return 0;
}

static bool at_end(const char *at)
{
	return !*at || strcmp(at, "\n") == 0;
}

static int read_list(const char *at, struct cpus *set, struct err *err)
{
	while (!at_end(at)) {
		int r = read_range(&at, set, err);

		if (r < 0 || at_end(at))
			return r;
		if (*at++ != ',')
			return err_set(err, -EINVAL, "only digits, '-' and ',' belong in it");
		if (at_end(at))
			return err_set(err, -EINVAL, "it ends in a comma");
	}
	return 0;
}

int cpus_parse(const char *text, struct cpus *ret, struct err *err)
{
	struct cpus set = CPUS_NONE;
	char quoted[TEXT_QUOTE_MAX];
	int r = read_list(text, &set, err);

	if (r < 0)
		return err_wrap(
			err, r, "%s is not a list of CPUs as in 0-3,8", text_quote(quoted, text));
	*ret = set;
	return 0;
}

const char *cpus_format(char buf[static CPUS_TEXT_MAX], const struct cpus *c)
{
	unsigned first = cpus_next(c, 0), last;
	size_t n = 0;

	buf[0] = '\0';
	for (; first < CPUS_MAX; first = cpus_next(c, last + 1)) {
		for (last = first; cpus_contains(c, last + 1); last++)
			;
		n += snprintf(buf + n, CPUS_TEXT_MAX - n, n ? ",%u" : "%u", first);
		if (last > first)
			n += snprintf(buf + n, CPUS_TEXT_MAX - n, "-%u", last);
	}
	return buf;
}
