// SPDX-License-Identifier: Apache-2.0
#include "node/kernel/probe.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "node/kernel/affinity.h"
#include "node/kernel/sched.h"

#define OVERRUN_PERIODS 20
/* Longer than any interrupt, shorter than any throttling. */
#define GAP_NS (300 * NSEC_PER_USEC)

static nsec_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}

/* A thread of the probe's own, so that nothing is tried on the agent's. */
static void run_apart(void *(*body)(void *), void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, body, arg) == 0)
		pthread_join(thread, NULL);
}

/*
 * A CPU belongs to the root domain when a mask without it is refused: EPERM, which the kernel
 * looks for before it looks for room (__sched_setscheduler(), kernel/sched/syscalls.c).
 */
static void find_root_domain(struct probe *p, const struct dl_params *least)
{
	struct cpus all;

	if (affinity_get(0, &all) < 0)
		return;
	CPUS_FOREACH(cpu, &all)
	{
		struct cpus without = CPUS_NONE;

		CPUS_FOREACH(other, &all)
		{
			if (other != cpu)
				cpus_add(&without, other);
		}
		if (cpus_count(&without) == 0 || affinity_set(0, &without) < 0 ||
			sched_set_deadline(0, least, false) == -EPERM)
			cpus_add(&p->root_domain, cpu);
		sched_set_normal(0);
	}
	affinity_set(0, &all);
}

static void *try_deadline(void *arg)
{
	/* Small, but more than a try takes: an overrun here would be paid back for minutes. */
	static const struct dl_params least = { 50 * NSEC_PER_USEC, NSEC_PER_SEC, NSEC_PER_SEC };
	struct probe *p = arg;
	int r = sched_set_deadline(0, &least, false);

	/* Where all is taken, it works as well: who may not, or cannot, gets another error. */
	p->deadline = r == 0 || r == -EBUSY;
	if (!p->deadline) {
		snprintf(p->deadline_why, sizeof(p->deadline_why), "%s", sched_reason(r));
		return NULL;
	}
	sched_set_normal(0);
	if (p->unlimited)
		affinity_get(0, &p->root_domain);
	else
		find_root_domain(p, &least);
	return NULL;
}

static void find_rt_group(struct probe *p)
{
	static const char *const roots[] = { "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct" };
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
		char file[PROBE_PATH_MAX];

		snprintf(file, sizeof(file), "%s/cpu.rt_runtime_us", roots[i]);
		if (stat(file, &st) == 0) {
			snprintf(p->rt_group_root, sizeof(p->rt_group_root), "%s", roots[i]);
			return;
		}
	}
}

void probe_run(struct probe *ret)
{
	struct timespec tick = { 0 };

	*ret = (struct probe){ 0 };
	clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
	ret->tick_ns = tick.tv_nsec;
	ret->limit = limit_read();
	ret->unlimited = ret->limit.runtime_us < 0;
	run_apart(try_deadline, ret);
	find_rt_group(ret);
}

struct overrun {
	nsec_t tick_ns, worst_ns;
	bool tried;
};

/*
 * Spins under a budget of a tick and a quarter; each gap in the wall clock is a throttling. What
 * ran since the start, less a budget for each period begun, is the overrun that is not yet paid
 * back.
 */
static void *spin_over_budget(void *arg)
{
	struct overrun *o = arg;
	struct dl_params p = { .runtime_ns = o->tick_ns + o->tick_ns / 4 };
	nsec_t last, ran_before, end;
	unsigned periods = 0;

	/* Not a multiple of the tick, so that budgets end at every phase of it. */
	p.period_ns = p.deadline_ns = 4 * o->tick_ns + o->tick_ns / 4;
	if (sched_set_deadline(0, &p, false) < 0)
		return NULL;
	last = clock_ns(CLOCK_MONOTONIC);
	end = last + 2 * OVERRUN_PERIODS * p.period_ns;
	ran_before = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	while (periods < OVERRUN_PERIODS && last < end) {
		nsec_t now = clock_ns(CLOCK_MONOTONIC), ran, granted;

		if (now - last > GAP_NS) {
			periods++;
			ran = clock_ns(CLOCK_THREAD_CPUTIME_ID) - ran_before;
			granted = periods * p.runtime_ns;
			if (ran > granted && ran - granted > o->worst_ns)
				o->worst_ns = ran - granted;
		}
		last = now;
	}
	o->tried = periods == OVERRUN_PERIODS;
	sched_set_normal(0);
	return NULL;
}

void probe_overrun(nsec_t tick_ns, struct probe_overrun *ret)
{
	struct overrun o = { .tick_ns = tick_ns };

	run_apart(spin_over_budget, &o);
	ret->measured = o.tried;
	ret->worst_ns = o.worst_ns;
	ret->granularity_ns = tick_ns;
	if (o.tried && o.worst_ns < tick_ns / 8) {
		nsec_t few = 4 * o.worst_ns;

		ret->granularity_ns = few > 100 * NSEC_PER_USEC ? few : 100 * NSEC_PER_USEC;
	}
}
