/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The quantities of the house: time in nanoseconds, CPU share in the kernel's fixed point, and
 * the three numbers of a SCHED_DEADLINE server. Everybody uses it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef uint64_t nsec_t; /* every duration and instant; names end in _ns */

#define NSEC_PER_USEC 1000ull
#define NSEC_PER_MSEC 1000000ull
#define NSEC_PER_SEC 1000000000ull

/* CPU share in the kernel's own fixed point (BW_SHIFT 20, kernel/sched/sched.h). */
typedef struct {
	uint64_t q20;
} bw_t;

#define BW_ONE_CPU (1ull << 20)
#define PPM_ONE_CPU 1000000ull

/* The kernel refuses a runtime below 2^DL_SCALE ns (kernel/sched/deadline.c, __checkparam_dl). */
#define DL_RUNTIME_MIN_NS 1024ull
/* Defaults of kernel.sched_deadline_period_{min,max}_us: 100 us and 2^22 us. */
#define DL_PERIOD_MIN_NS (100ull * NSEC_PER_USEC)
#define DL_PERIOD_MAX_NS ((1ull << 22) * NSEC_PER_USEC)

/* sched_setattr(2): runtime within each period, to be had by deadline after its start. */
struct dl_params {
	nsec_t runtime_ns, deadline_ns, period_ns;
};

/* Rounds up where the kernel's to_ratio() rounds down: a sum that fits here also fits there. */
static inline bw_t dl_bandwidth(const struct dl_params *p)
{
	unsigned __int128 scaled = (unsigned __int128)p->runtime_ns << 20;

	return (bw_t){ (uint64_t)((scaled + p->period_ns - 1) / p->period_ns) };
}

/* For people and formats; rounds up, as a promise that is counted. */
static inline uint64_t bw_to_ppm(bw_t bw)
{
	return (bw.q20 * PPM_ONE_CPU + BW_ONE_CPU - 1) >> 20;
}

/* For ceilings; rounds down. */
static inline bw_t bw_from_ppm(uint64_t ppm)
{
	return (bw_t){ (ppm << 20) / PPM_ONE_CPU };
}
