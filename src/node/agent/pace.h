/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's own reservation. Its loop runs under SCHED_DEADLINE while it needs little; a burst
 * goes on without, because a deadline thread that is out of budget would not run at all, not even
 * on an idle CPU. It goes on under SCHED_FIFO for some budgets' CPU time, then as a fair thread: a
 * fair one waits for a tick on a busy CPU (niceness counts within its session only, sched(7) on
 * autogroup), and a real-time one that goes on for long wakes the kernel's fair server. Used by
 * main.c and wherever the loop works.
 */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "core/model/cbs.h"

struct agent;

struct pace {
	uv_prepare_t prepare;
	uv_timer_t back;
	bool begun;
	bool deadline; /* runs under its reservation now */
	bool fifo; /* in the first part of a burst */
	nsec_t owed_until_ns; /* uv_hrtime(): until then the kernel may never run it again if it came back */
	struct cbs server; /* what the kernel counts for the loop's thread */
	nsec_t now_ns, cpu_ns; /* the last account, or the burst's begin: time, and CPU time */
	bool polled; /* the loop has waited since then */
};

/* The loop's thread takes its reservation; agent.own_why where it cannot. */
void pace_start(struct agent *a);
void pace_stop(struct agent *a);

/*
 * Between two pieces of work: leaves SCHED_DEADLINE for a period when half of the budget is used, so
 * that one piece that takes long does not make the kernel throttle it.
 */
void pace_check(struct agent *a);
/* Before a piece of work that may take more than the budget: leaves it now. */
void pace_burst(struct agent *a);
