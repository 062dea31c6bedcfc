// SPDX-License-Identifier: Apache-2.0
#include "node/kernel/sched.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fault.h"
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

bool sched_is_leaving(pid_t tid)
{
	struct sched_now now;

	return sched_get(tid, &now) == 0 && now.policy == SCHED_DEADLINE &&
	       now.dl.runtime_ns == least.runtime_ns && now.dl.period_ns == least.period_ns;
}

/* With so little a running thread may not live to make the second call: for hours. */
static void shrink(pid_t tid)
{
	/* Less is refused where the sum is wrong, and a sleeping thread would never give it back. */
	if (sched_set_deadline(tid, &least, false) == -EBUSY) {
		limit_read();
		sched_set_deadline(tid, &least, false);
	}
}

int sched_set_normal(pid_t tid)
{
	struct sched_now now;
	int r = sched_get(tid, &now);
	bool self = tid == 0 || tid == gettid();
	int nice = getpriority(PRIO_PROCESS, tid);

	if (r == 0 && now.policy == SCHED_DEADLINE && !self)
		shrink(tid);
	fault_point("sched.least");
	/* The flag goes last: a fork that copies the thread just now must not see it gone and
	 * the policy still there (kernel/sched/core.c, sched_fork: EAGAIN). */
	if (r == 0)
		r = set(tid,
			(struct attr_v0){
				.policy = SCHED_OTHER, .flags = FLAG_RESET_ON_FORK, .nice = nice });
	if (r == 0)
		r = set(tid, (struct attr_v0){ .policy = SCHED_OTHER, .nice = nice });
	return r == -ESRCH ? 0 : r;
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
