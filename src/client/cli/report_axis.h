/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An axis of a plot: where a value is on it, and which values are written beside it. Pure; used by
 * the plots of `takt report`.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define REPORT_TICKS_MAX 16

/* Low to high; with `log`, low is above 0. */
struct report_axis {
	double low, high;
	bool log;
};

/* From 0 at the low end to 1 at the high end; a value beyond an end is at that end. */
double report_axis_place(const struct report_axis *a, double value);

/*
 * Round values for people, within the axis, ascending, as many as fit into `most` (2 to
 * REPORT_TICKS_MAX); returns how many are in `ret`. Linear: multiples of 1, 2 or 5 times a power
 * of ten. Log: powers of ten, or 1, 2, 5 times one, or every so many powers.
 */
size_t report_axis_ticks(
	const struct report_axis *a, size_t most, double ret[static REPORT_TICKS_MAX]);

/* A log axis that holds both values with some room, widened to 1, 2 or 5 times a power of ten. */
struct report_axis report_axis_around(double least, double most);
