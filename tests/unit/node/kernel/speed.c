// SPDX-License-Identifier: Apache-2.0
#include "test.h"
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "node/kernel/speed.h"

static struct cpus new_machine(unsigned n)
{
	struct cpus all = CPUS_NONE;

	new_root();
	for (unsigned cpu = 0; cpu < n; cpu++) {
		char path[128];

		cpus_add(&all, cpu);
		snprintf(path, sizeof(path), "%s/cpu%u", root, cpu);
		mkdir(path, 0755);
		strcat(path, "/cpufreq");
		mkdir(path, 0755);
	}
	return all;
}

static void put(unsigned cpu, const char *file, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/cpu%u/%s", root, cpu, file);
	f = fopen(path, "we");
	if (!f || fputs(text, f) < 0 || fclose(f) != 0)
		abort();
}

TEST(a_machine_that_says_nothing_is_at_full_speed)
{
	struct cpus all = new_machine(2);
	struct speed s = speed_read(root, &all);

	CHECK_EQ(s.permille, SPEED_FULL);
	CHECK(!s.unequal);
}

TEST(the_cpu_that_may_slow_down_most_is_named)
{
	struct cpus all = new_machine(3);
	struct speed s;

	for (unsigned cpu = 0; cpu < 3; cpu++) {
		put(cpu, "cpufreq/cpuinfo_max_freq", "4000000\n");
		put(cpu, "cpufreq/scaling_min_freq", "4000000\n");
	}
	CHECK_EQ(speed_read(root, &all).permille, SPEED_FULL);
	put(1, "cpufreq/scaling_min_freq", "800000\n");
	put(2, "cpufreq/scaling_min_freq", "2000000\n");
	s = speed_read(root, &all);
	CHECK_EQ(s.cpu, 1);
	CHECK_EQ(s.permille, 200);
	CHECK(!s.unequal);
}

TEST(cpus_of_two_sizes_are_unequal_and_the_frequency_counts_too)
{
	struct cpus all = new_machine(2);
	struct speed s;

	put(0, "cpu_capacity", "1024\n");
	put(1, "cpu_capacity", "512\n");
	s = speed_read(root, &all);
	CHECK(s.unequal);
	CHECK_EQ(s.cpu, 1);
	CHECK_EQ(s.permille, 500);
	put(1, "cpufreq/cpuinfo_max_freq", "1000\n");
	put(1, "cpufreq/scaling_min_freq", "500\n");
	CHECK_EQ(speed_read(root, &all).permille, 250);
}

TEST(what_is_no_number_is_not_believed)
{
	struct cpus all = new_machine(1);

	put(0, "cpu_capacity", "big\n");
	put(0, "cpufreq/cpuinfo_max_freq", "0\n");
	put(0, "cpufreq/scaling_min_freq", "<unsupported>\n");
	CHECK_EQ(speed_read(root, &all).permille, SPEED_FULL);
}
