/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's limit on deadline bandwidth: sched_rt_runtime_us in each sched_rt_period_us, sched(7).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/model/resv.h"

struct limit {
	int64_t runtime_us; /* -1: everything is admitted */
	int64_t period_us;
};

/*
 * Reading it is more than a look. Since 6.15 the kernel makes its scheduling domains anew for it and
 * adds up what its deadline threads have (sched_rt_handler(), kernel/sched/rt.c, and
 * dl_rebuild_rd_accounting(), kernel/sched/deadline.c). That mends a sum that was wrong. But what
 * left SCHED_DEADLINE or ended before its 0-lag time is not among them, and is taken off then all
 * the same (inactive_task_timer()): the sum is too low afterwards, and since it is unsigned, a sum
 * below zero admits next to nothing. A cpuset that is made or removed does the same, and on older
 * kernels as well.
 */
struct limit limit_read(void);

/*
 * What periods the kernel takes now (sched_deadline_period_min_us and _max_us, since 5.9); its defaults
 * where it has no such setting.
 */
struct limit_periods {
	nsec_t least_ns, most_ns;
};

struct limit_periods limit_periods_read(void);

static inline bool limit_is_same(const struct limit *a, const struct limit *b)
{
	return a->runtime_us == b->runtime_us && a->period_us == b->period_us;
}
