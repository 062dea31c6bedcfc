/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's own reservation. Its loop runs under SCHED_DEADLINE while it needs little; a burst
 * goes on as a fair thread of the highest priority, because a deadline thread that is out of
 * budget would not run at all, not even on an idle CPU. Used by main.c and wherever the loop works.
 */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "core/model/units.h"

struct agent;

struct pace {
	uv_prepare_t prepare;
	uv_timer_t back;
	bool begun;
	bool deadline; /* runs under its reservation now */
	nsec_t since_ns, used_ns; /* when this period began, and the CPU time used until then */
};

/* The loop's thread takes its reservation; agent.own_why where it cannot. */
void pace_start(struct agent *a);
void pace_stop(struct agent *a);

/*
 * Between two pieces of work: leaves SCHED_DEADLINE for a period when nine tenths of the budget are
 * used, so that the kernel need not throttle it.
 */
void pace_check(struct agent *a);
/* Before a piece of work that may take more than the budget: leaves it now. */
void pace_burst(struct agent *a);
