/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of CPUs, of fixed size, and the kernel's list format of it. Used wherever an affinity, a
 * cpuset or a root domain is read, compared or written.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CPUS_MAX 1024 /* as glibc's cpu_set_t */
/* The longest list has two of every three CPUs: "0-1,3-4,6-7,...". */
#define CPUS_TEXT_MAX 4096

struct cpus {
	uint64_t words[CPUS_MAX / 64];
};

#define CPUS_NONE ((struct cpus){ 0 })

/*
 * "0-3,8,10-11" (cpuset(7), "List format"), as in cpuset.cpus and in Cpus_allowed_list of
 * /proc/PID/status; one newline may end it, and the empty text is the empty set. -EINVAL with a
 * sentence for anything else, and for a CPU from CPUS_MAX on. *ret changes on success only.
 */
int cpus_parse(const char *text, struct cpus *ret, struct err *err);

/* The same format, ascending, ranges joined, no newline; cpus_parse() reads it back. */
const char *cpus_format(char buf[static CPUS_TEXT_MAX], const struct cpus *c);

/* Out of range is a bug of the caller's: false, and nothing added. */
bool cpus_add(struct cpus *c, unsigned cpu);
bool cpus_contains(const struct cpus *c, unsigned cpu);
unsigned cpus_count(const struct cpus *c);
bool cpus_equal(const struct cpus *a, const struct cpus *b);
/* Every CPU of `a` is in `b`; the empty set is in each. */
bool cpus_subset(const struct cpus *a, const struct cpus *b);
/* Those of `a` that are not in `b`. */
struct cpus cpus_without(const struct cpus *a, const struct cpus *b);

/* The first CPU at or after `from`; CPUS_MAX: none. */
unsigned cpus_next(const struct cpus *c, unsigned from);

#define CPUS_FOREACH(cpu, c) \
	for (unsigned cpu = cpus_next(c, 0); cpu < CPUS_MAX; cpu = cpus_next(c, cpu + 1))
