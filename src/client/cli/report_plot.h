/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plots of the report as HTML with inline SVG: response over time, distribution, bound beside
 * the worst. Used by the report's page.
 *
 * Lines and dots are SVG that stretches with the page; labels are HTML beside it, so that they
 * keep their size on a phone.
 */
#pragma once

#include <stdio.h>

#include "client/cli/report_stat.h"

/* One plot a run, all on the same axes. All of these take at least one measured run. */
void report_plot_times(FILE *f, const struct report_run *runs, size_t n);

/* All runs in one plot: which share of the jobs took longer than a time. */
void report_plot_shares(FILE *f, const struct report_run *runs, size_t n);

/* A bar a run from 0 to the worst, with deadline and bound. */
void report_plot_bounds(FILE *f, const struct report_run *runs, size_t n);
