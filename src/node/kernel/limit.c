// SPDX-License-Identifier: Apache-2.0
#include "node/kernel/limit.h"

#include "node/kernel/number.h"

struct limit_periods limit_periods_read(void)
{
	static const char least[] = "/proc/sys/kernel/sched_deadline_period_min_us";
	static const char most[] = "/proc/sys/kernel/sched_deadline_period_max_us";

	return (struct limit_periods){
		.least_ns = number_read(least, DL_PERIOD_MIN_NS / NSEC_PER_USEC) * NSEC_PER_USEC,
		.most_ns = number_read(most, DL_PERIOD_MAX_NS / NSEC_PER_USEC) * NSEC_PER_USEC,
	};
}

struct limit limit_read(void)
{
	return (struct limit){
		.runtime_us = number_read("/proc/sys/kernel/sched_rt_runtime_us", 950000),
		.period_us = number_read("/proc/sys/kernel/sched_rt_period_us", 1000000),
	};
}
