// SPDX-License-Identifier: Apache-2.0
#include "node/kernel/affinity.h"

#include <errno.h>
#include <sched.h>

_Static_assert(CPUS_MAX <= CPU_SETSIZE, "cpu_set_t holds every CPU of struct cpus");

int affinity_get(pid_t tid, struct cpus *ret)
{
	cpu_set_t set;

	if (sched_getaffinity(tid, sizeof(set), &set) < 0)
		return -errno;
	*ret = (struct cpus){ 0 };
	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
		if (CPU_ISSET(cpu, &set))
			cpus_add(ret, cpu);
	return 0;
}

int affinity_set(pid_t tid, const struct cpus *cpus)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
		if (cpus_contains(cpus, cpu))
			CPU_SET(cpu, &set);
	return sched_setaffinity(tid, sizeof(set), &set) < 0 ? -errno : 0;
}
