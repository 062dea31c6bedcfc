/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far CPUs may be from full speed. SCHED_DEADLINE counts a budget in time of the largest CPU at its
 * full speed, where the kernel knows how fast a CPU runs (dl_scaled_delta_exec(),
 * kernel/sched/deadline.c): a slower one runs it for longer. Elsewhere a budget is wall time, and
 * less is done in it.
 */
#pragma once

#include <stdbool.h>

#include "core/model/cpus.h"

#define SPEED_ROOT "/sys/devices/system/cpu"
#define SPEED_FULL 1000

struct speed {
	unsigned cpu; /* the slowest of them */
	unsigned permille; /* of full speed, at the lowest frequency that it may have */
	bool unequal; /* the CPUs differ in size */
};

/*
 * From cpu_capacity and cpufreq (Documentation/admin-guide/pm/cpufreq.rst) below `root`, a folder
 * as SPEED_ROOT. What is not there is at full speed.
 */
struct speed speed_read(const char *root, const struct cpus *cpus);
