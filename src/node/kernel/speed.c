// SPDX-License-Identifier: Apache-2.0
#include "node/kernel/speed.h"

#include <stdint.h>
#include <stdio.h>

#include "node/kernel/number.h"

#define CAPACITY_FULL 1024 /* SCHED_CAPACITY_SCALE */

static uint64_t read_number(const char *root, unsigned cpu, const char *name, uint64_t missing)
{
	char path[256];
	int64_t n;

	snprintf(path, sizeof(path), "%s/cpu%u/%s", root, cpu, name);
	n = number_read(path, 0);
	return n > 0 ? (uint64_t)n : missing;
}

struct speed speed_read(const char *root, const struct cpus *cpus)
{
	struct speed s = { .permille = SPEED_FULL };
	uint64_t first = 0;

	CPUS_FOREACH(cpu, cpus)
	{
		uint64_t capacity = read_number(root, cpu, "cpu_capacity", CAPACITY_FULL);
		uint64_t most = read_number(root, cpu, "cpufreq/cpuinfo_max_freq", 1);
		uint64_t least = read_number(root, cpu, "cpufreq/scaling_min_freq", most);
		uint64_t permille = SPEED_FULL * capacity / CAPACITY_FULL * least / most;

		s.unequal |= first && capacity != first;
		first = capacity;
		if (permille < s.permille) {
			s.permille = permille;
			s.cpu = cpu;
		}
	}
	return s;
}
