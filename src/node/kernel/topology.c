// SPDX-License-Identifier: Apache-2.0
/* Files: Documentation/admin-guide/cputopology.rst; nodeN links stand in each CPU's folder. */
#include "node/kernel/topology.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "node/kernel/affinity.h"
#include "node/kernel/number.h"

#define CPU_FOLDER "/sys/devices/system/cpu"

static int read_id(unsigned cpu, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), CPU_FOLDER "/cpu%u/topology/%s", cpu, name);
	return number_read(path, -1);
}

static int numa_node(unsigned cpu)
{
	char path[128];
	cleanup_dir DIR *dir = NULL;
	struct dirent *entry;
	int node;

	snprintf(path, sizeof(path), CPU_FOLDER "/cpu%u", cpu);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (sscanf(entry->d_name, "node%d", &node) == 1)
			return node;
	return -1;
}

void topology_read(const struct cpus *cpus, struct cpu_info *ret)
{
	CPUS_FOREACH(cpu, cpus)
	{
		*ret++ = (struct cpu_info){
			.cpu = cpu,
			.core = read_id(cpu, "core_id"),
			.socket = read_id(cpu, "physical_package_id"),
			.numa_node = numa_node(cpu),
			.usable = true,
		};
	}
}

/* Missing where the kernel has no hotplug and one CPU. */
static bool read_online(struct cpus *ret)
{
	cleanup_file FILE *f = fopen(CPU_FOLDER "/online", "re");
	char text[CPUS_TEXT_MAX];

	return f && fgets(text, sizeof(text), f) && cpus_parse(text, ret, NULL) == 0;
}

struct cpus topology_usable(const struct cpus *cpus)
{
	struct cpus online, allowed, usable = CPUS_NONE;
	bool know_online = read_online(&online), know_allowed = affinity_get(0, &allowed) == 0;

	CPUS_FOREACH(cpu, cpus)
	{
		if ((!know_online || cpus_contains(&online, cpu)) &&
			(!know_allowed || cpus_contains(&allowed, cpu)))
			cpus_add(&usable, cpu);
	}
	return usable;
}
