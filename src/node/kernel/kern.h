/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ways to put a reservation on this machine, behind one interface: `shared`, `pinned`,
 * `group` (and `exclusive`, when it comes, as a fourth file). Used by the agent only.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "core/model/resv.h"

struct kern;

/* A container that took a reservation; strings are the caller's. */
struct kern_container {
	pid_t pid; /* its first process */
	const char *cgroup; /* relative path as in /proc/PID/cgroup; NULL: none of its own */
	struct dl_params dl;
	unsigned cores;
	const int *cpus; /* pinned: of each server; else -1 */
};

/* A thread that comes under a reservation. */
struct kern_thread {
	pid_t tid;
	struct dl_params dl;
	bool reclaim;
	int cpu; /* pinned: where; else -1 */
};

struct kern_ops {
	enum placement placement;

	/*
	 * The container may run under this placement: its CPUs, its cgroup. Makes what its threads
	 * will need. -ENOTSUP and the sentence where it cannot.
	 */
	int (*bind)(struct kern *k, const struct kern_container *c, struct err *err);
	/* Whether all that bind made is taken back; else settle() is to try again. */
	bool (*unbind)(struct kern *k, const struct kern_container *c);
	/*
	 * What unbind could not take back yet: a cgroup still counts for a moment after its
	 * rmdir(2). False: there is still something. What stays for good is said in `gave_up`, the
	 * last of several. NULL: unbind always can.
	 */
	bool (*settle)(struct kern *k, struct err *gave_up);

	/* -EBUSY: the kernel has no room; -ESRCH: the thread is gone. No sentence: see sched.h. */
	int (*thread_on)(struct kern *k, const struct kern_thread *t);
	/* *ret_late_ns: as sched_set_normal() says. */
	int (*thread_off)(struct kern *k, pid_t tid, nsec_t *ret_late_ns);
	/* The kernel's own word on whether the thread has what thread_on gives. */
	bool (*thread_is_on)(struct kern *k, const struct kern_thread *t);

	/*
	 * A thread or process was started in a process that has a thread on (pinned: at that CPU):
	 * takes from it what it inherited of that. NULL: RESET_ON_FORK does.
	 */
	void (*thread_began)(struct kern *k, pid_t tid, int cpu);

	/*
	 * A thread that is on may not use all CPUs that its promise counts on any more: a cpuset can
	 * be narrowed under it. NULL: thread_is_on says that too, or it does not matter.
	 */
	bool (*thread_is_confined)(struct kern *k, const struct kern_thread *t);

	/* A running thread carries its bandwidth itself, so that no placeholder must. */
	bool thread_carries;

	void (*destroy)(struct kern *k);
};

/* The head of each placement's own struct. */
struct kern {
	const struct kern_ops *ops;
};

struct cpus;

/* `root_domain` is copied. Each returns a kern to be ended by kern_destroy(). */
int kern_shared_create(struct kern **ret, const struct cpus *root_domain, struct err *err);
int kern_pinned_create(struct kern **ret, struct err *err);
/* `root` is the mount point of the v1 cpu controller. */
int kern_group_create(struct kern **ret, const char *root, struct err *err);

static inline void kern_destroy(struct kern *k)
{
	if (k)
		k->ops->destroy(k);
}
