// SPDX-License-Identifier: Apache-2.0
/*
 * Sums of fractions against a whole number of CPUs. In fixed point, rounded both ways; only where
 * the two straddle the limit are the fractions added exactly, over their common denominator.
 */
#include "core/admit/admit_private.h"

/* Entries added exactly, one 128 bit division each: bounds the time of a verdict. */
#define SHARE_EXACT_MAX 1024u
/* A common denominator above this is given up; below, numerators fit 128 bits. */
#define SHARE_DENOMINATOR_MAX ((admit_wide)1 << 100)

uint64_t share_up(nsec_t part, nsec_t whole)
{
	return (uint64_t)((((admit_wide)part << SHARE_SHIFT) + whole - 1) / whole);
}

static struct share_sum share_of(nsec_t part, nsec_t whole, unsigned count)
{
	admit_wide scaled = (admit_wide)part << SHARE_SHIFT;
	admit_wide floor = scaled / whole;

	return (struct share_sum){ floor * count, floor * whole == scaled ? 0 : count };
}

void share_sum_add(struct share_sum *sum, nsec_t part, nsec_t whole, unsigned count)
{
	struct share_sum one = share_of(part, whole, count);

	sum->floor_q60 += one.floor_q60;
	sum->inexact += one.inexact;
}

void share_sum_sub(struct share_sum *sum, nsec_t part, nsec_t whole, unsigned count)
{
	struct share_sum one = share_of(part, whole, count);

	sum->floor_q60 -= one.floor_q60;
	sum->inexact -= one.inexact;
}

admit_wide share_sum_up(const struct share_sum *sum)
{
	return sum->floor_q60 + sum->inexact;
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

struct rational {
	admit_wide num, den;
};

/* Each growth of the denominator at least doubles it, so that there are no more than 100. */
static bool rational_add(struct rational *r, uint64_t num, nsec_t den)
{
	uint64_t rest = (uint64_t)(r->den % den);

	if (rest) {
		uint64_t grow = den / gcd(den, rest);

		if (r->den > SHARE_DENOMINATOR_MAX / grow)
			return false;
		r->num *= grow;
		r->den *= grow;
	}
	r->num += (r->den / den) * num;
	return true;
}

typedef nsec_t (*share_whole_fn)(const struct admit_entry *e);

static nsec_t whole_period(const struct admit_entry *e)
{
	return e->period_ns;
}

static nsec_t whole_deadline(const struct admit_entry *e)
{
	return e->deadline_ns;
}

/* num <= cpus * den < 2^116 before each addition of at most cores * den < 2^120. */
static bool sum_exactly(const struct admit_load *l, share_whole_fn whole, unsigned cpus)
{
	struct rational r = { 0, 1 };

	if (l->n > SHARE_EXACT_MAX)
		return false;
	for (size_t i = 0; i < l->n; i++) {
		const struct admit_entry *e = &l->entries[i];

		if (!rational_add(&r, e->runtime_ns * e->cores, whole(e)) || r.num > cpus * r.den)
			return false;
	}
	return true;
}

static bool at_most(const struct admit_load *l, const struct share_sum *sum, share_whole_fn whole,
	unsigned cpus)
{
	admit_wide limit = cpus * SHARE_ONE;

	if (share_sum_up(sum) <= limit)
		return true;
	if (sum->floor_q60 >= limit)
		return false;
	return sum_exactly(l, whole, cpus);
}

bool share_utilisation_at_most(const struct admit_load *l, unsigned cpus)
{
	return at_most(l, &l->sums.utilisation, whole_period, cpus);
}

bool share_density_at_most(const struct admit_load *l, unsigned cpus)
{
	return at_most(l, &l->sums.density, whole_deadline, cpus);
}
