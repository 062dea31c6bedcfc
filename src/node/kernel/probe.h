/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this kernel can do and really grants: never asked by version, always tried, looked at and
 * undone. Used by the agent when it starts and by its doctor.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "core/model/cpus.h"
#include "core/model/units.h"
#include "node/kernel/limit.h"

#define PROBE_PATH_MAX 256

struct probe {
	bool deadline; /* SCHED_DEADLINE can be set */
	char deadline_why[ERR_TEXT_MAX]; /* why not */
	struct cpus root_domain; /* the CPUs that a deadline thread must be allowed */
	nsec_t tick_ns; /* sched_tick_ns() */
	bool unlimited; /* sched_rt_runtime_us is -1: the kernel admits everything */
	struct limit limit; /* as it was then */
	char rt_group_root[PROBE_PATH_MAX]; /* v1 cpu controller with RT groups; "": none */
};

/* Takes a few hundred microseconds; nothing stays. */
void probe_run(struct probe *ret);

/* The worst overrun of a budget, measured: what throttling adds on this kernel. */
struct probe_overrun {
	bool measured; /* false: no bandwidth was free to try with, or something else took the CPU */
	nsec_t worst_ns; /* of the periods watched */
	nsec_t granularity_ns; /* g: what to count with */
};

/*
 * Runs a thread that never yields against a small budget for some 20 periods (about 0.3 s). A
 * worst that is a good part of a tick means that throttling waits for the tick: g is the tick.
 * Otherwise a timer ends budgets (HRTICK_DL) and g is a few times the worst seen. Where none of
 * the tries gives a figure, g is the tick, which is always safe.
 */
void probe_overrun(nsec_t tick_ns, unsigned tries, struct probe_overrun *ret);
