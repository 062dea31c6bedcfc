// SPDX-License-Identifier: Apache-2.0
#include "client/cli/report_stat.h"

#include <errno.h>
#include <stdlib.h>

void report_run_fini(struct report_run *run)
{
	if (!run)
		return;
	report_log_fini(&run->log);
	free(run->sorted);
	*run = (struct report_run){ 0 };
}

static int compare_ns(const void *x, const void *y)
{
	nsec_t a = *(const nsec_t *)x, b = *(const nsec_t *)y;

	return (a > b) - (a < b);
}

nsec_t report_percentile(const nsec_t *sorted, size_t n, unsigned percent)
{
	size_t rank = (n * percent + 99) / 100;

	return sorted[rank ? rank - 1 : 0];
}

size_t report_count_above(const nsec_t *sorted, size_t n, nsec_t limit_ns)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (sorted[middle] > limit_ns)
			high = middle;
		else
			low = middle + 1;
	}
	return n - low;
}

int report_run_measure(struct report_run *run, struct err *err)
{
	size_t n = run->log.n;
	nsec_t *sorted = calloc(n, sizeof(*sorted));

	if (!sorted)
		return err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++)
		sorted[i] = run->log.jobs[i].response_ns;
	qsort(sorted, n, sizeof(*sorted), compare_ns);
	free(run->sorted);
	run->sorted = sorted;
	run->stat = (struct report_stat){
		.jobs = n,
		.misses = report_count_above(sorted, n, run->deadline_ns),
		.p50_ns = report_percentile(sorted, n, 50),
		.p99_ns = report_percentile(sorted, n, 99),
		.worst_ns = sorted[n - 1],
	};
	return 0;
}

static void find_extremes(
	const struct report_job *jobs, size_t from, size_t to, size_t *ret_min, size_t *ret_max)
{
	size_t min = from, max = from;

	for (size_t i = from + 1; i < to; i++) {
		if (jobs[i].response_ns < jobs[min].response_ns)
			min = i;
		if (jobs[i].response_ns > jobs[max].response_ns)
			max = i;
	}
	*ret_min = min;
	*ret_max = max;
}

size_t report_pick(const struct report_log *log, size_t ret[static REPORT_POINTS_MAX])
{
	size_t slices = log->n > REPORT_POINTS_MAX ? REPORT_POINTS_MAX / 2 : log->n, n = 0;

	for (size_t s = 0; s < slices; s++) {
		size_t from = s * log->n / slices, to = (s + 1) * log->n / slices, min, max;

		find_extremes(log->jobs, from, to, &min, &max);
		ret[n++] = min < max ? min : max;
		if (min != max)
			ret[n++] = min < max ? max : min;
	}
	return n;
}
