// SPDX-License-Identifier: Apache-2.0
/*
 * `shared`: SCHED_DEADLINE threads under global EDF over the root domain. The kernel refuses a
 * thread whose CPUs are fewer than the root domain's (kernel/sched/syscalls.c, EPERM), so a
 * container with a narrower cpuset is refused before it starts.
 */
#include "node/kernel/kern.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "core/model/cpus.h"
#include "node/kernel/affinity.h"
#include "node/kernel/sched.h"

struct kern_shared {
	struct kern kern;
	struct cpus root_domain;
};

static int shared_bind(struct kern *k, const struct kern_container *c, struct err *err)
{
	struct kern_shared *s = container_of(k, struct kern_shared, kern);
	char have[CPUS_TEXT_MAX], need[CPUS_TEXT_MAX];
	struct cpus allowed;
	int r = affinity_get(c->pid, &allowed);

	if (r < 0)
		return err_set_errno(err, r, "read the CPUs of process %d", c->pid);
	if (cpus_subset(&s->root_domain, &allowed))
		return 0;
	return err_set(err, -ENOTSUP,
		"the container may use CPUs %s only, and SCHED_DEADLINE takes none but all of its "
		"root domain (%s): start it without a cpuset",
		cpus_format(have, &allowed), cpus_format(need, &s->root_domain));
}

static bool shared_unbind(struct kern *k, const struct kern_container *c)
{
	return true;
}

static int shared_thread_on(struct kern *k, const struct kern_thread *t)
{
	return sched_set_deadline(t->tid, &t->dl, t->reclaim);
}

static int shared_thread_off(struct kern *k, pid_t tid, nsec_t *ret_late_ns)
{
	return sched_set_normal(tid, ret_late_ns);
}

static bool shared_thread_is_on(struct kern *k, const struct kern_thread *t)
{
	struct sched_now now;

	return sched_get(t->tid, &now) == 0 && now.policy == SCHED_DEADLINE &&
	       now.dl.runtime_ns == t->dl.runtime_ns && now.dl.deadline_ns == t->dl.deadline_ns &&
	       now.dl.period_ns == t->dl.period_ns;
}

static bool shared_thread_is_confined(struct kern *k, const struct kern_thread *t)
{
	struct kern_shared *s = container_of(k, struct kern_shared, kern);
	struct cpus allowed;

	return affinity_get(t->tid, &allowed) == 0 && !cpus_subset(&s->root_domain, &allowed);
}

static void shared_destroy(struct kern *k)
{
	free(container_of(k, struct kern_shared, kern));
}

static const struct kern_ops shared_ops = {
	.placement = PLACEMENT_SHARED,
	.bind = shared_bind,
	.unbind = shared_unbind,
	.thread_on = shared_thread_on,
	.thread_off = shared_thread_off,
	.thread_is_on = shared_thread_is_on,
	.thread_is_confined = shared_thread_is_confined,
	.thread_carries = true,
	.destroy = shared_destroy,
};

int kern_shared_create(struct kern **ret, const struct cpus *root_domain, struct err *err)
{
	struct kern_shared *s = calloc(1, sizeof(*s));

	if (!s)
		return err_set(err, -ENOMEM, "out of memory");
	s->kern.ops = &shared_ops;
	s->root_domain = *root_domain;
	*ret = &s->kern;
	return 0;
}
