// SPDX-License-Identifier: Apache-2.0
#include "cluster/nri/delay.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"

#define NS_PER_US 1000

void delay_add(struct delay *d, uint64_t ns)
{
	unsigned i = 0;

	while (i < DELAY_SIZES - 1 && ns > (UINT64_C(1) << i) * NS_PER_US)
		i++;
	d->counts[i]++;
	d->n++;
	if (ns > d->worst_ns)
		d->worst_ns = ns;
}

uint64_t delay_percentile_us(const struct delay *d, unsigned percent)
{
	uint64_t seen = 0;

	for (unsigned i = 0; i < DELAY_SIZES && d->n > 0; i++) {
		seen += d->counts[i];
		if (seen * 100 >= d->n * percent)
			return UINT64_C(1) << i;
	}
	return 0;
}

const char *delay_text(char buf[static DELAY_TEXT_MAX], const struct delay *d)
{
	char worst[TEXT_NUMBER_MAX];

	snprintf(buf, DELAY_TEXT_MAX,
		"%" PRIu64 " answers: p50 <= %" PRIu64 " us, p99 <= %" PRIu64 " us, worst %s", d->n,
		delay_percentile_us(d, 50), delay_percentile_us(d, 99),
		duration_words(worst, d->worst_ns));
	return buf;
}
