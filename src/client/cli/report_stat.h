/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the response times of one run come to: percentiles, worst, misses; and which of its jobs
 * are drawn. Pure; used by `takt report`.
 */
#pragma once

#include "client/cli/report_log.h"

/* Points drawn of one run at most, in each plot. */
#define REPORT_POINTS_MAX 2000

struct report_stat {
	size_t jobs;
	size_t misses; /* jobs whose response is above the deadline */
	nsec_t p50_ns, p99_ns, worst_ns;
};

/* One run and what is known of it. Owns `log` and `sorted`; `label` belongs to the caller. */
struct report_run {
	const char *label;
	struct report_log log;
	nsec_t *sorted; /* the responses, ascending */
	nsec_t deadline_ns;
	nsec_t bound_ns; /* promised; 0: none */
	nsec_t steal_ns; /* had by the hypervisor during the run, all CPUs together */
	bool has_steal;
	struct report_stat stat;
};

void report_run_fini(struct report_run *run); /* accepts NULL and a zeroed run */

/* Fills `sorted` and `stat` from `log` and `deadline_ns`. -ENOMEM. */
int report_run_measure(struct report_run *run, struct err *err);

/*
 * The smallest value that at least `percent` of the `n` > 0 ascending values do not exceed: rank
 * ceil(percent * n / 100), counted from 1 ("nearest rank").
 */
nsec_t report_percentile(const nsec_t *sorted, size_t n, unsigned percent);

/* Jobs among the `n` ascending responses that are above `limit_ns`. */
size_t report_count_above(const nsec_t *sorted, size_t n, nsec_t limit_ns);

/*
 * Picks at most REPORT_POINTS_MAX jobs: of each equally long slice of the log the first smallest
 * and the first largest response, so that the worst is never lost. Returns how many indexes are
 * in `ret`, ascending.
 */
size_t report_pick(const struct report_log *log, size_t ret[static REPORT_POINTS_MAX]);
