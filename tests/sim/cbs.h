/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An exact simulator of (global) EDF with CBS servers as Linux has them, in integer time, one unit
 * a step. The oracle tests of admission use it; it knows nothing of the code that it judges.
 *
 * After kernel/sched/deadline.c: a server runs until its runtime is used up and at most `overrun`
 * units longer (the throttle granularity), is then throttled until its next period, and gets its
 * runtime with the debt taken off and the deadline moved on (replenish_dl_entity); late by more
 * than that it starts afresh. A server that wakes when its deadline has passed starts afresh; one
 * that wakes before keeps its budget if its density allows (dl_entity_overflow).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define CBS_SERVERS_MAX 32

/* How long a server runs past its budget, each time. */
enum cbs_overrun {
	CBS_OVERRUN_NEVER,
	CBS_OVERRUN_ALWAYS, /* by all of the granularity */
	CBS_OVERRUN_RANDOM,
};

struct cbs_server {
	int64_t runtime, deadline, period; /* 0 < runtime <= deadline <= period */
	int64_t offset; /* when its thread first wakes */
	enum cbs_overrun overrun;
	/*
	 * 0: its thread never yields. Otherwise the thread sleeps now and then when its budget is
	 * had, or before, and wakes at a random time after its next period has begun.
	 */
	unsigned sleep_percent;
	/* It may wake within its period, and may fall asleep while it owes an overrun. */
	bool naps;
};

struct cbs_setup {
	unsigned n_cpus, n;
	struct cbs_server servers[CBS_SERVERS_MAX];
	int64_t granularity;
	int64_t until;
	uint64_t seed; /* ties between deadlines, overruns, sleep */
};

struct cbs_result {
	int64_t lateness[CBS_SERVERS_MAX]; /* worst: when a budget was had, less its deadline */
	int64_t ran[CBS_SERVERS_MAX]; /* CPU time had in all */
};

uint64_t cbs_random(uint64_t *state); /* a small generator of its own, so that a seed says all */
struct cbs_result cbs_run(const struct cbs_setup *setup);
