// SPDX-License-Identifier: Apache-2.0
/*
 * `pinned`: SCHED_DEADLINE threads with one CPU each, partitioned EDF. The kernel takes a narrow
 * mask only where its own admission is off (sched_rt_runtime_us = -1); then Takt's is the only
 * one, and nothing needs a placeholder.
 */
#include "node/kernel/kern.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "node/kernel/affinity.h"
#include "node/kernel/sched.h"

static int pinned_bind(struct kern *k, const struct kern_container *c, struct err *err)
{
	char have[CPUS_TEXT_MAX];
	struct cpus allowed;
	struct sched_now now;
	int r = affinity_get(c->pid, &allowed);

	if (r < 0)
		return err_set_errno(err, r, "read the CPUs of process %d", c->pid);
	/* Taken over from an earlier agent: what it may use now is what was given to it. */
	if (sched_get(c->pid, &now) == 0 && now.policy == SCHED_DEADLINE)
		return 0;
	for (unsigned i = 0; i < c->cores; i++)
		if (!cpus_contains(&allowed, c->cpus[i]))
			return err_set(err, -ENOTSUP,
				"it is promised on CPU %d, and the container may use CPUs %s only: "
				"start it without a cpuset",
				c->cpus[i], cpus_format(have, &allowed));
	return 0;
}

static bool pinned_unbind(struct kern *k, const struct kern_container *c)
{
	return true;
}

/* The kernel narrows a full mask to the thread's cpuset by itself (sched_setaffinity(2)). */
static void widen(pid_t tid)
{
	struct cpus all = { 0 };

	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
		cpus_add(&all, cpu);
	affinity_set(tid, &all);
}

static int pinned_thread_on(struct kern *k, const struct kern_thread *t)
{
	struct cpus one = { 0 };
	int r;

	cpus_add(&one, t->cpu);
	r = affinity_set(t->tid, &one);
	fault_point("pinned.moved");
	if (r == 0)
		r = sched_set_deadline(t->tid, &t->dl, t->reclaim);
	if (r < 0)
		widen(t->tid);
	return r;
}

static int pinned_thread_off(struct kern *k, pid_t tid, nsec_t *ret_late_ns)
{
	int r = sched_set_normal(tid, ret_late_ns);

	widen(tid);
	return r;
}

/* RESET_ON_FORK takes the policy from what a thread starts, and leaves it the mask. */
static void pinned_thread_began(struct kern *k, pid_t tid, int cpu)
{
	struct sched_now now;
	struct cpus has;

	if (sched_get(tid, &now) == 0 && now.policy != SCHED_DEADLINE &&
		affinity_get(tid, &has) == 0 && cpus_count(&has) == 1 && cpus_contains(&has, cpu))
		widen(tid);
}

static bool pinned_thread_is_on(struct kern *k, const struct kern_thread *t)
{
	struct sched_now now;
	struct cpus cpus;

	return sched_get(t->tid, &now) == 0 && now.policy == SCHED_DEADLINE &&
	       now.dl.runtime_ns == t->dl.runtime_ns && now.dl.period_ns == t->dl.period_ns &&
	       now.dl.deadline_ns == t->dl.deadline_ns && affinity_get(t->tid, &cpus) == 0 &&
	       cpus_count(&cpus) == 1 && cpus_contains(&cpus, t->cpu);
}

static void pinned_destroy(struct kern *k)
{
	free(k);
}

static const struct kern_ops pinned_ops = {
	.placement = PLACEMENT_PINNED,
	.bind = pinned_bind,
	.unbind = pinned_unbind,
	.thread_on = pinned_thread_on,
	.thread_off = pinned_thread_off,
	.thread_is_on = pinned_thread_is_on,
	.thread_began = pinned_thread_began,
	.thread_carries = true,
	.destroy = pinned_destroy,
};

int kern_pinned_create(struct kern **ret, struct err *err)
{
	struct kern *k = calloc(1, sizeof(*k));

	if (!k)
		return err_set(err, -ENOMEM, "out of memory");
	k->ops = &pinned_ops;
	*ret = k;
	return 0;
}
