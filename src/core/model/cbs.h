/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A constant bandwidth server as the kernel runs it (Abeni and Buttazzo 1998; update_dl_entity() and
 * dl_entity_overflow(), kernel/sched/deadline.c), for a thread that wants to know how much of its
 * own budget is left: the kernel does not say. Used by agent/pace.c.
 */
#pragma once

#include "core/model/units.h"

struct cbs {
	struct dl_params params;
	nsec_t left_ns; /* of the budget; 0: throttled, unless the deadline is over */
	nsec_t deadline_ns; /* CLOCK_MONOTONIC, as every time here */
};

/* The thread came under the server at now_ns. */
void cbs_begin(struct cbs *s, const struct dl_params *p, nsec_t now_ns);

/* The thread slept and woke at now_ns. */
void cbs_wake(struct cbs *s, nsec_t now_ns);

/* The thread ran for ran_ns since the last call, and it is now_ns. */
void cbs_charge(struct cbs *s, nsec_t now_ns, nsec_t ran_ns);
