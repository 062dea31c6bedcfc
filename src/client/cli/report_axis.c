// SPDX-License-Identifier: Apache-2.0
#include "client/cli/report_axis.h"

#include <math.h>

/* The ends of an axis are met in spite of rounding in the last digits. */
#define SLIP 1e-9

static const double steps[] = { 1, 2, 5 };

#define N_STEPS 3

double report_axis_place(const struct report_axis *a, double value)
{
	double low = a->log ? log10(a->low) : a->low;
	double high = a->log ? log10(a->high) : a->high;

	if (value <= a->low)
		return 0;
	if (value >= a->high)
		return 1;
	return ((a->log ? log10(value) : value) - low) / (high - low);
}

static size_t linear_ticks(const struct report_axis *a, size_t most, double *ret)
{
	double span = a->high - a->low;
	double power = pow(10, floor(log10(span / most)));

	for (int i = 0;; i++) {
		double step = power * steps[i % N_STEPS] * pow(10, i / N_STEPS);
		double first = ceil(a->low / step - SLIP), last = floor(a->high / step + SLIP);
		size_t n = last - first + 1;

		if (n > most)
			continue;
		for (size_t k = 0; k < n; k++)
			ret[k] = (first + k) * step;
		return n;
	}
}

/* Every `nth` power of ten, times the first `n_steps` of `steps`. Returns most + 1 if too many. */
static size_t log_ticks(const struct report_axis *a, int nth, int n_steps, size_t most, double *ret)
{
	int from = floor(log10(a->low)), to = ceil(log10(a->high));
	size_t n = 0;

	for (int power = from; power <= to; power++) {
		for (int i = 0; i < n_steps && power % nth == 0; i++) {
			double value = pow(10, power) * steps[i];

			if (value < a->low * (1 - SLIP) || value > a->high * (1 + SLIP))
				continue;
			if (n == most)
				return most + 1;
			ret[n++] = value;
		}
	}
	return n;
}

size_t report_axis_ticks(
	const struct report_axis *a, size_t most, double ret[static REPORT_TICKS_MAX])
{
	size_t n;

	if (!a->log)
		return linear_ticks(a, most, ret);
	n = log_ticks(a, 1, N_STEPS, most, ret);
	for (int nth = 1; n > most; nth++)
		n = log_ticks(a, nth, 1, most, ret);
	return n;
}

/* The largest 1, 2 or 5 times a power of ten that is not above the value. */
static double round_down(double value)
{
	double power = pow(10, floor(log10(value) + SLIP));
	double best = power;

	for (int i = 0; i < N_STEPS; i++)
		if (power * steps[i] <= value * (1 + SLIP))
			best = power * steps[i];
	return best;
}

struct report_axis report_axis_around(double least, double most)
{
	struct report_axis a = { .low = round_down(least * 0.98), .log = true };

	a.high = round_down(most * 1.02);
	while (a.high < most * 1.02)
		a.high = round_down(a.high * 2.5);
	return a;
}
