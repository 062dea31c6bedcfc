/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this machine is, without asking the agent: kernel, CPU model, how many CPUs. Used by
 * `takt report`.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#define REPORT_FACT_MAX 160

struct report_facts {
	char kernel[REPORT_FACT_MAX]; /* "Linux 6.18.4 x86_64, PREEMPT_DYNAMIC" */
	char cpu_model[REPORT_FACT_MAX]; /* "": not told */
	unsigned cpus; /* online */
	bool is_virtual; /* a hypervisor says that it is there */
};

/* Never fails: what cannot be read stays empty. */
void report_facts_read(struct report_facts *ret);

/*
 * Model and hypervisor out of /proc/cpuinfo (proc(5)); the form depends on the architecture: x86
 * has "model name" and "flags", others one of "cpu model", "cpu" and "Hardware", or nothing.
 */
void report_facts_parse_cpuinfo(FILE *f, struct report_facts *ret);
