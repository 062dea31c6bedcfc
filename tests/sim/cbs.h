/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An exact simulator of (global) EDF with CBS servers as Linux has them, in integer time, one
 * unit a step. The oracle tests of admission use it; it knows nothing of the code that it judges.
 *
 * After kernel/sched/deadline.c. A server runs until its runtime is used up and at most `overrun`
 * units longer (the throttle granularity), is then throttled until its next period begins, and
 * gets its runtime with the debt taken off and the deadline moved on (replenish_dl_entity, also
 * while its thread sleeps: dl_task_timer); late by more than that it starts afresh. A thread that
 * wakes (update_dl_entity) after the deadline starts afresh, or, with D < P, waits for its next
 * period if that is still to come (dl_check_constrained_dl). One that wakes before keeps budget
 * and deadline if they fit its density (dl_entity_overflow); if not it starts afresh, or, with D
 * < P, its budget is cut until it fits (update_dl_revised_wakeup).
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

/* When a thread sleeps, if it does. */
enum cbs_sleep {
	CBS_SLEEP_LONG, /* with budget left, until its next period has begun or later */
	/*
	 * At any time, also in an overrun, and until any time: at random, or so that what is left is
	 * just kept, or just not, when the server `aims_at` gets its next budget.
	 */
	CBS_SLEEP_NAPS,
};

struct cbs_server {
	int64_t runtime, deadline, period; /* 0 < runtime <= deadline <= period */
	int64_t offset; /* when its thread first wakes */
	enum cbs_overrun overrun;
	enum cbs_sleep sleep;
	unsigned sleep_percent; /* of its budgets; 0: its thread never sleeps */
	unsigned aims_at;
	/* Of one that naps; 0: none. Before this it sleeps when `brings` is left, and until this. */
	int64_t meets_at, brings;
};

struct cbs_setup {
	unsigned n_cpus, n;
	struct cbs_server servers[CBS_SERVERS_MAX];
	int64_t granularity;
	int64_t until;
	uint64_t seed; /* ties between deadlines, overruns, sleep */
};

/* At worst; INT64_MIN: no budget yet. A budget is had when it is used up or its thread sleeps. */
struct cbs_result {
	int64_t lateness[CBS_SERVERS_MAX]; /* when a budget was had, less its deadline */
	/* The same, less that or D after the wake-up or replenishment that gave it, if later. */
	int64_t overdue[CBS_SERVERS_MAX];
	int64_t ran[CBS_SERVERS_MAX]; /* CPU time had in all */
};

uint64_t cbs_random(uint64_t *state); /* a small generator of its own, so that a seed says all */
struct cbs_result cbs_run(const struct cbs_setup *setup);
