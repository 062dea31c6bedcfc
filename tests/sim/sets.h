/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of servers in small integers, and the arrival patterns to try them with. Used by the oracle
 * tests.
 */
#pragma once

#include "core/admit/admit_private.h"
#include "sim/cbs.h"

#define SET_MAX 12

struct task_set {
	unsigned n_cpus, n;
	int64_t granularity;
	int64_t hyperperiod;
	struct admit_task tasks[SET_MAX]; /* one core each, hard */
};

enum pattern {
	PATTERN_PERIODIC, /* all from 0, no overrun: the classical synchronous case */
	PATTERN_GREEDY, /* all from 0, every budget overrun by all of g */
	PATTERN_VICTIM, /* as GREEDY, but one server does not overrun */
	PATTERN_OFFSET, /* random offsets and overruns */
	PATTERN_SPORADIC, /* threads sleep for long */
	PATTERN_AIMED, /* one never sleeps and does not overrun; all others nap and aim at it */
	/* The same, and the others all wake once at its first release, with a leftover just kept. */
	PATTERN_MEETING,
	PATTERN_NAPS, /* all nap */
	_PATTERN_MAX,
};

struct task_set set_random(uint64_t *random); /* 1 to 4 CPUs, U from 0.1 to 1.1 per CPU */
void set_print(const struct task_set *set);
struct cbs_result set_run(const struct task_set *set, enum pattern pattern, uint64_t seed);

/* Is a budget had later than D after what gave it, in any of so many runs with naps? */
bool set_missed_in_naps(const struct task_set *set, unsigned runs, uint64_t seed);

/* Holds tasks [0, n) of the set, unjudged, on whole CPUs. NULL: out of memory. */
struct admit_set *set_hold(const struct task_set *set, unsigned n);
struct admit_machine set_machine(const struct task_set *set);
