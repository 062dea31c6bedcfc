// SPDX-License-Identifier: Apache-2.0
#include "node/kernel/sched.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "node/kernel/clock.h"
#include "node/kernel/limit.h"

/* include/uapi/linux/sched.h and sched/types.h. */
#define FLAG_RESET_ON_FORK 0x01
#define FLAG_RECLAIM 0x02

struct attr_v0 {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};
_Static_assert(sizeof(struct attr_v0) == 48, "SCHED_ATTR_SIZE_VER0");

static int set(pid_t tid, struct attr_v0 attr)
{
	attr.size = sizeof(attr);
	return syscall(SYS_sched_setattr, tid, &attr, 0) < 0 ? -errno : 0;
}

int sched_get(pid_t tid, struct sched_now *ret)
{
	struct attr_v0 attr = { 0 };

	if (syscall(SYS_sched_getattr, tid, &attr, sizeof(attr), 0) < 0)
		return -errno;
	*ret = (struct sched_now){
		.policy = attr.policy,
		.rt_priority = attr.priority,
		.reset_on_fork = attr.flags & FLAG_RESET_ON_FORK,
		.reclaim = attr.flags & FLAG_RECLAIM,
	};
	if (attr.policy == SCHED_DEADLINE)
		ret->dl = (struct dl_params){ attr.runtime, attr.deadline, attr.period };
	return 0;
}

int sched_set_deadline(pid_t tid, const struct dl_params *p, bool reclaim)
{
	return set(tid, (struct attr_v0){
				.policy = SCHED_DEADLINE,
				.flags = FLAG_RESET_ON_FORK | (reclaim ? FLAG_RECLAIM : 0),
				.runtime = p->runtime_ns,
				.deadline = p->deadline_ns,
				.period = p->period_ns,
			});
}

int sched_set_reset_on_fork(pid_t tid)
{
	struct attr_v0 attr = { 0 };

	if (syscall(SYS_sched_getattr, tid, &attr, sizeof(attr), 0) < 0)
		return -errno;
	attr.flags |= FLAG_RESET_ON_FORK;
	return set(tid, attr);
}

int sched_set_fifo(pid_t tid, unsigned priority)
{
	return set(tid,
		(struct attr_v0){
			.policy = SCHED_FIFO, .flags = FLAG_RESET_ON_FORK, .priority = priority });
}

static const struct dl_params least = { DL_RUNTIME_MIN_NS, DL_PERIOD_MAX_NS, DL_PERIOD_MAX_NS };
static const struct dl_params small = { NSEC_PER_MSEC, 100 * NSEC_PER_MSEC, 100 * NSEC_PER_MSEC };

static bool is_least(const struct dl_params *p)
{
	return p->runtime_ns == least.runtime_ns && p->period_ns == least.period_ns;
}

bool sched_is_leaving(pid_t tid)
{
	struct sched_now now;

	return sched_get(tid, &now) == 0 && now.policy == SCHED_DEADLINE && is_least(&now.dl);
}

void sched_shrink(pid_t tid)
{
	/* Less is refused where the sum is wrong, and a sleeping thread would never give it back. */
	if (sched_set_deadline(tid, &least, false) == -EBUSY) {
		limit_read();
		sched_set_deadline(tid, &least, false);
	}
}

bool sched_budget(pid_t tid, int64_t *ret_left_ns, uint64_t *ret_deadline_ns)
{
	char path[64], line[128];
	cleanup_file FILE *f = NULL;
	bool has_left = false, has_deadline = false;

	snprintf(path, sizeof(path), "/proc/%d/sched", tid ? tid : gettid());
	f = fopen(path, "re");
	/* The thread's name comes first, and may look like any line: the last one counts. */
	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "dl.", 3) != 0)
			continue;
		has_left |= sscanf(line, "dl.runtime : %" SCNd64, ret_left_ns) == 1;
		has_deadline |= sscanf(line, "dl.deadline : %" SCNu64, ret_deadline_ns) == 1;
	}
	return has_left && has_deadline;
}

bool sched_is_runnable(pid_t tid)
{
	char path[64], text[512];
	cleanup_file FILE *f = NULL;
	const char *name_end;
	size_t n;

	if (tid == 0 || tid == gettid())
		return true;
	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	f = fopen(path, "re");
	/* All of it: a name may have a newline. */
	n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	text[n] = '\0';
	name_end = strrchr(text, ')');
	return !name_end || strncmp(name_end, ") R", 3) == 0;
}

nsec_t sched_tick_ns(void)
{
	struct timespec tick = { 0 };

	clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
	return tick.tv_nsec;
}

/* What is owed is paid back at the rate of the share. */
static nsec_t pays(nsec_t owed, const struct dl_params *p)
{
	return (nsec_t)((unsigned __int128)owed * p->period_ns / p->runtime_ns);
}

/* At the most: its deadline is a period away, and by now it may owe a tick more than the kernel has
 * charged. */
static nsec_t until_zero_lag(pid_t tid, const struct dl_params *p)
{
	int64_t tick = sched_tick_ns(), left;
	uint64_t deadline;

	if (!sched_budget(tid, &left, &deadline))
		left = -tick;
	return p->period_ns + (left < tick ? pays(tick - left, p) : 0);
}

int sched_set_normal(pid_t tid, nsec_t *ret_late_ns)
{
	struct sched_now now;
	int r = sched_get(tid, &now), nice = getpriority(PRIO_PROCESS, tid);
	struct attr_v0 other = { .policy = SCHED_OTHER, .flags = FLAG_RESET_ON_FORK, .nice = nice };
	const struct dl_params *left_with = &small;
	nsec_t begun = clock_ns(CLOCK_MONOTONIC), late = 0;
	bool shrunk = false;

	if (r == 0 && now.policy == SCHED_DEADLINE) {
		shrunk = !sched_is_runnable(tid);
		if (shrunk)
			sched_shrink(tid);
		/* Whoever shrank it was killed, and it woke: it would owe for hours. */
		else if (is_least(&now.dl) && sched_set_deadline(tid, &small, false) == 0)
			late = least.period_ns + until_zero_lag(tid, &small);
		else
			late = until_zero_lag(tid, left_with = &now.dl);
	}
	fault_point("sched.least");
	if (r == 0)
		r = set(tid, other);
	/* It may have woken while it was shrunk: the same. */
	if (r == 0 && shrunk && sched_is_runnable(tid) &&
		sched_set_deadline(tid, &small, false) == 0) {
		late = least.period_ns + until_zero_lag(tid, &small);
		r = set(tid, other);
	}
	/* A hypervisor may have taken the CPU for more than a tick before it was out: charged, too. */
	if (late > 0)
		late += pays(clock_ns(CLOCK_MONOTONIC) - begun, left_with);
	/* The flag goes last: a fork that copies the thread just now must not see it gone and
	 * the policy still there (kernel/sched/core.c, sched_fork: EAGAIN). */
	other.flags = 0;
	if (r == 0)
		r = set(tid, other);
	if (ret_late_ns)
		*ret_late_ns = late;
	return r == -ESRCH ? 0 : r;
}

int sched_set_normal_asleep(pid_t tid)
{
	sched_shrink(tid);
	fault_point("sched.least");
	return set(tid, (struct attr_v0){ .policy = SCHED_OTHER });
}

const char *sched_reason(int code)
{
	switch (code) {
	case -EBUSY:
		return "no deadline bandwidth is left on the CPUs this thread may use";
	case -EPERM:
		return "CAP_SYS_NICE is missing, or the thread's CPUs are fewer than those of its "
		       "root domain";
	case -EINVAL:
		return "the kernel does not take these numbers (sched_deadline_period_min_us and "
		       "_max_us, or no SCHED_DEADLINE)";
	case -ESRCH:
		return "the thread has ended";
	default:
		return strerror(-code);
	}
}
