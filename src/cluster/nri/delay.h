/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long answers took: counts by size, and the worst. Used by takt-dra for what it answers to a
 * container runtime, under whose lock it does.
 */
#pragma once

#include <stdint.h>

#define DELAY_SIZES 24 /* the i-th: up to 2^i us; the last: all above */
#define DELAY_TEXT_MAX 256

struct delay {
	uint64_t n, counts[DELAY_SIZES];
	uint64_t worst_ns;
};

void delay_add(struct delay *d, uint64_t ns);

/* The smallest size that at least `percent` of them do not pass, in us; 0: there are none. */
uint64_t delay_percentile_us(const struct delay *d, unsigned percent);

/* "812 answers: p50 <= 64 us, p99 <= 256 us, worst 301 us". */
const char *delay_text(char buf[static DELAY_TEXT_MAX], const struct delay *d);
