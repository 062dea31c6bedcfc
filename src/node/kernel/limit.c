// SPDX-License-Identifier: Apache-2.0
#include "node/kernel/limit.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"

static int64_t read_number(const char *path, int64_t otherwise)
{
	cleanup_file FILE *f = fopen(path, "re");
	int64_t value;

	return f && fscanf(f, "%" SCNd64, &value) == 1 ? value : otherwise;
}

struct limit_periods limit_periods_read(void)
{
	static const char least[] = "/proc/sys/kernel/sched_deadline_period_min_us";
	static const char most[] = "/proc/sys/kernel/sched_deadline_period_max_us";

	return (struct limit_periods){
		.least_ns = read_number(least, DL_PERIOD_MIN_NS / NSEC_PER_USEC) * NSEC_PER_USEC,
		.most_ns = read_number(most, DL_PERIOD_MAX_NS / NSEC_PER_USEC) * NSEC_PER_USEC,
	};
}

struct limit limit_read(void)
{
	return (struct limit){
		.runtime_us = read_number("/proc/sys/kernel/sched_rt_runtime_us", 950000),
		.period_us = read_number("/proc/sys/kernel/sched_rt_period_us", 1000000),
	};
}
