/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's scheduling calls, one thread at a time. Used by the placements, the placeholders
 * and the probe; nothing else changes a thread's policy.
 */
#pragma once

#include <sched.h>
#include <sys/types.h>

#include "base/err.h"
#include "core/model/units.h"

/* include/uapi/linux/sched.h; glibc before 2.41 does not have it. */
#ifndef SCHED_DEADLINE
#define SCHED_DEADLINE 6
#endif

/* sched_getattr(2), what of it matters here. */
struct sched_now {
	int policy; /* SCHED_OTHER, SCHED_FIFO, ..., SCHED_DEADLINE */
	unsigned rt_priority; /* SCHED_FIFO and SCHED_RR */
	bool reset_on_fork;
	bool reclaim; /* SCHED_DEADLINE: GRUB */
	struct dl_params dl; /* SCHED_DEADLINE */
};

int sched_get(pid_t tid, struct sched_now *ret);

/*
 * Puts a thread under SCHED_DEADLINE, always with SCHED_FLAG_RESET_ON_FORK: a deadline thread
 * without it cannot fork (sched(7), EAGAIN). Negative errno as sched_setattr(2); no sentence is
 * built on the fast path, sched_reason() tells it afterwards.
 */
int sched_set_deadline(pid_t tid, const struct dl_params *p, bool reclaim);

/*
 * The flag alone, for a thread that is to come under SCHED_DEADLINE: a fork that runs while both
 * change at once copies the flag from before and finds the policy from after
 * (kernel/sched/core.c, sched_fork), and ends with EAGAIN.
 */
int sched_set_reset_on_fork(pid_t tid);

/* SCHED_FIFO, with RESET_ON_FORK. */
int sched_set_fifo(pid_t tid, unsigned priority);

/*
 * Back to SCHED_OTHER, as nice as it is. Of a deadline thread the bandwidth comes free at its 0-lag
 * time (kernel/sched/deadline.c, switched_from_dl). One that sleeps is shrunk to next to nothing
 * first, and it is free when this returns. One that runs may be out of budget, and must not: the
 * kernel remembers that it is throttled (dl_throttled) until the 0-lag time, which goes by the last
 * parameters, and who comes under SCHED_DEADLINE again before that is never run again. So
 * *ret_late_ns (may be NULL) is for how long at the most it still counts, and must not come back.
 * A thread that is gone is a success.
 */
int sched_set_normal(pid_t tid, nsec_t *ret_late_ns);

/* The same of a deadline thread that sleeps for certain, which is not looked at first. */
int sched_set_normal_asleep(pid_t tid);

/*
 * To next to nothing. Of a thread that has ended: the kernel took it under SCHED_DEADLINE all the
 * same, and would never take back what it has.
 */
void sched_shrink(pid_t tid);

/* 1/HZ: what clock_getres(2) says of CLOCK_MONOTONIC_COARSE. */
nsec_t sched_tick_ns(void);

/* Not asleep: on a run queue, or throttled. */
bool sched_is_runnable(pid_t tid);

/*
 * What a deadline thread has left of its budget (negative: it owes), as of its last tick or switch,
 * and its deadline, by a clock that is the scheduler's own (proc_pid_sched). False: not known.
 */
bool sched_budget(pid_t tid, int64_t *ret_left_ns, uint64_t *ret_deadline_ns);

/* Whether whoever took it out was killed in the middle of that. */
bool sched_is_leaving(pid_t tid);

/* Why the kernel refused, in words; `code` is negative. */
const char *sched_reason(int code);
