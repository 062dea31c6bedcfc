// SPDX-License-Identifier: Apache-2.0
#include "node/kernel/probe.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "node/kernel/affinity.h"
#include "node/kernel/clock.h"
#include "node/kernel/sched.h"

#define OVERRUN_PERIODS 20
/* Longer than any interrupt, shorter than any throttling. */
#define GAP_NS (300 * NSEC_PER_USEC)

/* A dummy whose work is done sleeps within its next budget. */
#define SLEEP_TRY_US 100
#define SLEEP_TRIES 1000

/*
 * A thread of the probe's own, so that nothing is tried on the agent's. When it has done its work, or
 * at once where it has none, it sleeps until its end: what a sleeping thread has is free when it is
 * taken from it (sched_set_normal()), what a running one has only later.
 */
struct dummy {
	pthread_t thread;
	pid_t tid;
	void (*work)(void *arg); /* NULL: none */
	void *arg;
	sem_t done, stop;
};

static void wait_for(sem_t *semaphore)
{
	while (sem_wait(semaphore) < 0)
		;
}

static void *be_dummy(void *arg)
{
	struct dummy *d = arg;

	d->tid = gettid();
	if (d->work)
		d->work(d->arg);
	sem_post(&d->done);
	wait_for(&d->stop);
	return NULL;
}

/* Returns when its work is done; false: it could not be started. */
static bool dummy_start(struct dummy *d, void (*work)(void *arg), void *arg)
{
	*d = (struct dummy){ .work = work, .arg = arg };
	sem_init(&d->done, 0, 0);
	sem_init(&d->stop, 0, 0);
	if (pthread_create(&d->thread, NULL, be_dummy, d) != 0)
		return false;
	wait_for(&d->done);
	return true;
}

static void dummy_end(struct dummy *d)
{
	for (int i = 0; i < SLEEP_TRIES && sched_is_runnable(d->tid); i++)
		usleep(SLEEP_TRY_US);
	sched_set_normal(d->tid, NULL);
	sem_post(&d->stop);
	pthread_join(d->thread, NULL);
	sem_destroy(&d->done);
	sem_destroy(&d->stop);
}

/*
 * A CPU belongs to the root domain when a mask without it is refused: EPERM, which the kernel
 * looks for before it looks for room (__sched_setscheduler(), kernel/sched/syscalls.c).
 */
static void find_root_domain(struct probe *p, pid_t tid, const struct dl_params *least)
{
	struct cpus all;

	if (affinity_get(tid, &all) < 0)
		return;
	CPUS_FOREACH(cpu, &all)
	{
		struct cpus without = CPUS_NONE;

		CPUS_FOREACH(other, &all)
		{
			if (other != cpu)
				cpus_add(&without, other);
		}
		if (cpus_count(&without) == 0 || affinity_set(tid, &without) < 0 ||
			sched_set_deadline(tid, least, false) == -EPERM)
			cpus_add(&p->root_domain, cpu);
		sched_set_normal(tid, NULL);
	}
}

static void try_deadline(struct probe *p)
{
	static const struct dl_params least = { 50 * NSEC_PER_USEC, NSEC_PER_SEC, NSEC_PER_SEC };
	struct dummy d;
	int r;

	if (!dummy_start(&d, NULL, NULL)) {
		snprintf(p->deadline_why, sizeof(p->deadline_why), "no thread can be started");
		return;
	}
	r = sched_set_deadline(d.tid, &least, false);
	/* Where all is taken, it works as well: who may not, or cannot, gets another error. */
	p->deadline = r == 0 || r == -EBUSY;
	if (!p->deadline)
		snprintf(p->deadline_why, sizeof(p->deadline_why), "%s", sched_reason(r));
	sched_set_normal(d.tid, NULL);
	if (p->deadline && p->unlimited)
		affinity_get(d.tid, &p->root_domain);
	else if (p->deadline)
		find_root_domain(p, d.tid, &least);
	dummy_end(&d);
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
	*ret = (struct probe){ 0 };
	ret->tick_ns = sched_tick_ns();
	ret->limit = limit_read();
	ret->unlimited = ret->limit.runtime_us < 0;
	try_deadline(ret);
	find_rt_group(ret);
}

struct overrun {
	nsec_t tick_ns, worst_ns;
	bool tried; /* to the end, and nothing else took the CPU meanwhile */
};

/*
 * Spins under a budget of a tick and a quarter; each gap in the wall clock is a throttling. What
 * ran since the start, less a budget for each period begun, is the overrun that is not yet paid
 * back. Alone it is throttled once in each period: a gap too many or too few was somebody else's (a
 * hypervisor's, another deadline thread's), and would hide overruns.
 */
static void spin_over_budget(void *arg)
{
	struct overrun *o = arg;
	struct dl_params p = { .runtime_ns = o->tick_ns + o->tick_ns / 4 };
	nsec_t begun, last, ran_before, end;
	unsigned periods = 0;
	bool alone = true;

	/* Not a multiple of the tick, so that budgets end at every phase of it. */
	p.period_ns = p.deadline_ns = 4 * o->tick_ns + o->tick_ns / 4;
	begun = clock_ns(CLOCK_MONOTONIC);
	if (sched_set_deadline(0, &p, false) < 0)
		return;
	last = clock_ns(CLOCK_MONOTONIC);
	end = last + 2 * OVERRUN_PERIODS * p.period_ns;
	ran_before = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	while (periods < OVERRUN_PERIODS && last < end) {
		nsec_t now = clock_ns(CLOCK_MONOTONIC), ran, granted;

		if (now - last > GAP_NS) {
			periods++;
			alone &= (now - begun) / p.period_ns == periods;
			ran = clock_ns(CLOCK_THREAD_CPUTIME_ID) - ran_before;
			granted = periods * p.runtime_ns;
			if (ran > granted && ran - granted > o->worst_ns)
				o->worst_ns = ran - granted;
		}
		last = now;
	}
	o->tried = periods == OVERRUN_PERIODS && alone;
}

void probe_overrun(nsec_t tick_ns, unsigned tries, struct probe_overrun *ret)
{
	struct overrun o = { 0 };
	struct dummy d;

	for (unsigned i = 0; i < tries && !o.tried; i++) {
		o = (struct overrun){ .tick_ns = tick_ns };
		if (dummy_start(&d, spin_over_budget, &o))
			dummy_end(&d);
	}
	ret->measured = o.tried;
	ret->worst_ns = o.worst_ns;
	ret->granularity_ns = tick_ns;
	if (o.tried && o.worst_ns < tick_ns / 8) {
		nsec_t few = 4 * o.worst_ns;

		ret->granularity_ns = few > 100 * NSEC_PER_USEC ? few : 100 * NSEC_PER_USEC;
	}
}
