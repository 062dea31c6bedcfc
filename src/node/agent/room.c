// SPDX-License-Identifier: Apache-2.0
/*
 * What fits: the promises, the agent's own thread and the deadline threads of other programs,
 * judged together. What the kernel grants is found by trying how much the placeholders could
 * hold; other programs are looked for only when that differs from what it should be.
 */
#include "node/agent/agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "core/model/cpus.h"
#include "node/kernel/sched.h"
#include "node/monitor/proc.h"

/* The kernel's to_ratio() rounds down (kernel/sched/core.c). */
static uint64_t kernel_q20(const struct dl_params *p)
{
	return (uint64_t)(((unsigned __int128)p->runtime_ns << 20) / p->period_ns);
}

static struct admit_machine machine(const struct agent *a)
{
	unsigned n = cpus_count(&a->probe.root_domain);

	return (struct admit_machine){
		.n_cpus = n,
		.ceiling = { a->limit.q20 / n },
		.granularity_ns = a->overrun.granularity_ns,
	};
}

/* Other programs' deadline threads are counted as soft: nobody asked what they need. */
static struct admit_task foreign_task(const struct dl_params *dl)
{
	return (struct admit_task){ .dl = *dl, .cores = 1, .guarantee = GUARANTEE_SOFT };
}

struct scan {
	struct agent *agent;
	struct foreign found;
	size_t capacity;
	pid_t pid;
	int result;
};

static bool is_ours(const struct agent *a, pid_t pid, pid_t tid)
{
	const struct task *t = tasks_find(&a->tasks, pid);

	if (pid == getpid())
		return true;
	if (t)
		return promise_thread(t->promise, tid) != NULL;
	for (const struct promise *p = a->promises.first; p; p = p->next)
		if (p->binding && p->binding->by_attach && promise_thread(p, tid))
			return true;
	return false;
}

static int scan_thread(void *context, pid_t tid)
{
	struct scan *s = context;
	struct foreign_thread *t;
	struct proc_stat stat;
	struct sched_now now;

	if (sched_get(tid, &now) < 0 || now.policy != SCHED_DEADLINE ||
		is_ours(s->agent, s->pid, tid) || proc_thread_stat(s->pid, tid, &stat) < 0)
		return 0;
	/* The kernel's own (schedutil's) have no parameters and no bandwidth. */
	if (now.dl.period_ns == 0 || now.dl.runtime_ns == 0)
		return 0;
	if (s->found.n == s->capacity) {
		size_t more = s->capacity ? 2 * s->capacity : 16;
		void *grown = realloc(s->found.threads, more * sizeof(*t));

		if (!grown)
			return s->result = -ENOMEM;
		s->found.threads = grown;
		s->capacity = more;
	}
	t = &s->found.threads[s->found.n++];
	*t = (struct foreign_thread){ .pid = s->pid, .tid = tid, .dl = now.dl };
	memcpy(t->name, stat.comm, sizeof(t->name));
	s->found.sum.q20 += kernel_q20(&now.dl);
	return 0;
}

static int scan_process(void *context, pid_t pid)
{
	struct scan *s = context;

	s->pid = pid;
	proc_each_thread(pid, scan_thread, s);
	return s->result;
}

static struct foreign scan_foreign(struct agent *a)
{
	struct scan s = { .agent = a };

	proc_each_process(scan_process, &s);
	return s.found;
}

static void forget_foreign(struct agent *a)
{
	for (size_t i = 0; i < a->foreign.n; i++)
		admit_release(a->shared, a->foreign.threads[i].admit_id);
	free(a->foreign.threads);
	a->foreign = (struct foreign){ 0 };
}

static void count_foreign(struct agent *a, struct foreign found)
{
	forget_foreign(a);
	a->foreign = found;
	for (size_t i = 0; i < found.n; i++) {
		struct admit_task t = foreign_task(&found.threads[i].dl);

		if (admit_hold(a->shared, &t, &found.threads[i].admit_id, NULL) < 0) {
			a->foreign.n = i; /* out of memory: the kernel's own count still holds */
			return;
		}
	}
}

/* What our threads have in the kernel beside the placeholders. */
static uint64_t running_q20(const struct agent *a)
{
	struct dl_params own = agent_own(a);
	uint64_t sum = a->pace.deadline ? kernel_q20(&own) : 0;

	for (const struct promise *p = a->promises.first; p; p = p->next)
		for (unsigned i = 0; i < p->n_threads; i++)
			if (p->threads[i].on && p->placement == PLACEMENT_SHARED)
				sum += kernel_q20(&p->request.dl);
	return sum;
}

/* The placeholders could hold exactly this much: two tries instead of a search. */
static bool limit_is(struct holder *h, uint64_t q20)
{
	bw_t held = holder_held(h);
	bool is = holder_set(h, (bw_t){ q20 }) == 0;

	is = holder_set(h, (bw_t){ q20 + 1 }) < 0 && is;
	holder_set(h, held);
	return is;
}

void room_refresh_foreign(struct agent *a)
{
	uint64_t ours, could;

	if (a->probe.unlimited)
		return;
	ours = running_q20(a) + a->foreign.sum.q20;
	if (ours <= a->limit.q20 && limit_is(a->holder, a->limit.q20 - ours))
		return;
	ours = running_q20(a);
	count_foreign(a, scan_foreign(a));
	could = holder_limit(a->holder).q20;
	if (could + ours + a->foreign.sum.q20 != a->limit.q20) {
		struct admit_machine m;

		a->limit.q20 = could + ours + a->foreign.sum.q20;
		m = machine(a);
		admit_set_machine(a->shared, &m);
	}
}

static int create_sets(struct agent *a, struct err *err)
{
	struct admit_machine m = machine(a);
	int r = admit_set_create(&a->shared, &m, err);

	if (r < 0 || !a->probe.unlimited)
		return r;
	a->per_cpu = calloc(m.n_cpus, sizeof(*a->per_cpu));
	if (!a->per_cpu)
		return err_set(err, -ENOMEM, "out of memory");
	for (unsigned i = 0; r == 0 && i < m.n_cpus; i++) {
		struct admit_machine one = { 1, { BW_ONE_CPU }, m.granularity_ns };

		r = admit_set_create(&a->per_cpu[i], &one, err);
	}
	return r;
}

/* Called before anything of ours runs under SCHED_DEADLINE but what an earlier agent left. */
int room_init(struct agent *a, struct err *err)
{
	struct admit_task own = { .cores = 1, .guarantee = GUARANTEE_SOFT };
	unsigned n = cpus_count(&a->probe.root_domain);
	int r;

	a->limit.q20 = n * BW_ONE_CPU;
	if (!a->probe.unlimited) {
		struct foreign all = scan_foreign(a);

		a->limit.q20 = holder_limit(a->holder).q20 + all.sum.q20;
		free(all.threads);
	}
	r = create_sets(a, err);
	if (r < 0)
		return r;
	own.dl = agent_own(a);
	return admit_hold(a->probe.unlimited ? a->per_cpu[0] : a->shared, &own, &a->own_id, err);
}

void room_fini(struct agent *a)
{
	if (a->shared)
		forget_foreign(a);
	for (unsigned i = 0; a->per_cpu && i < cpus_count(&a->probe.root_domain); i++)
		admit_set_destroy(a->per_cpu[i]);
	free(a->per_cpu);
	admit_set_destroy(a->shared);
}

static struct admit_task task_of(const struct promise *p)
{
	return (struct admit_task){
		.dl = p->request.dl,
		.cores = p->placement == PLACEMENT_PINNED ? 1 : p->request.cores,
		.guarantee = p->request.guarantee,
		.reclaim = p->request.reclaim,
	};
}

/* Not on this machine: the sentence; "": it can be. */
static const char *placement_refusal(const struct agent *a, const struct promise *p)
{
	switch (p->placement) {
	case PLACEMENT_SHARED:
		return a->probe.unlimited
			       ? "sched_rt_runtime_us is -1, so the kernel admits everything and only placement "
				 "pinned can be kept: use placement auto or pinned"
			       : "";
	case PLACEMENT_PINNED:
		return a->probe.unlimited
			       ? ""
			       : "placement pinned needs a machine whose administrator runs "
				 "sched_rt_runtime_us = -1: use placement auto or shared";
	case PLACEMENT_GROUP:
		if (!a->kerns[PLACEMENT_GROUP])
			return "placement group needs a kernel with RT_GROUP_SCHED and the v1 cpu "
			       "controller: use placement auto";
		return p->request.guarantee == GUARANTEE_HARD
			       ? "placement group throttles and proves no deadline on this kernel: ask for "
				 "guarantee soft, or placement auto"
			       : "";
	default:
		return "placement exclusive is not in this version: use placement auto";
	}
}

static bool judge(struct agent *a, struct admit_set *set, struct promise *p)
{
	struct admit_task t = task_of(p);
	struct admit_machine m = machine(a);
	struct admit_verdict v = admit_evaluate(set, &t);

	if (p->placement == PLACEMENT_PINNED)
		m.n_cpus = 1;
	admit_explain(&v, &t, &m, p->reason, sizeof(p->reason));
	p->test = admit_test_name(v.test);
	return v.yes;
}

static int take_one(struct admit_set *set, struct promise *p, int cpu, struct err *err)
{
	struct admit_task t = task_of(p);
	int r = admit_hold(set, &t, &p->admit_ids[p->n_admitted], err);

	if (r < 0)
		return r;
	p->cpus[p->n_admitted++] = cpu;
	return 0;
}

/* First fit, one CPU a server. */
static bool take_pinned(struct agent *a, struct promise *p)
{
	unsigned at = 0;

	CPUS_FOREACH(cpu, &a->probe.root_domain)
	{
		if (p->n_admitted < p->request.cores && judge(a, a->per_cpu[at], p) &&
			take_one(a->per_cpu[at], p, cpu, NULL) < 0)
			break;
		at++;
	}
	if (p->n_admitted == p->request.cores)
		return true;
	room_give_back(a, p);
	return false;
}

bool room_take(struct agent *a, struct promise *p)
{
	const char *no;

	p->placement = p->request.placement;
	if (p->placement == PLACEMENT_AUTO)
		p->placement = a->probe.unlimited ? PLACEMENT_PINNED : PLACEMENT_SHARED;
	no = placement_refusal(a, p);
	if (*no) {
		snprintf(p->reason, sizeof(p->reason), "%s", no);
		return false;
	}
	if (p->placement == PLACEMENT_PINNED)
		return take_pinned(a, p);
	return judge(a, a->shared, p) && take_one(a->shared, p, -1, NULL) == 0;
}

/* The CPU's place among those of the root domain, which is its set's. */
static struct admit_set *set_of(const struct agent *a, const struct promise *p, unsigned i)
{
	unsigned at = 0;

	if (p->placement != PLACEMENT_PINNED)
		return a->shared;
	CPUS_FOREACH(cpu, &a->probe.root_domain)
	{
		if ((int)cpu == p->cpus[i])
			break;
		at++;
	}
	return a->per_cpu[at];
}

int room_retake(struct agent *a, struct promise *p, struct err *err)
{
	const char *no = placement_refusal(a, p);

	if (*no)
		return err_set(err, -ENOTSUP, "%s", no);
	if (p->placement == PLACEMENT_PINNED)
		return take_pinned(a, p) ? 0 : err_set(err, -ENOSPC, "%s", p->reason);
	return take_one(a->shared, p, -1, err);
}

void room_give_back(struct agent *a, struct promise *p)
{
	while (p->n_admitted > 0) {
		p->n_admitted--;
		admit_release(set_of(a, p, p->n_admitted), p->admit_ids[p->n_admitted]);
	}
}

bool room_bound(const struct agent *a, const struct promise *p, nsec_t *ret_ns)
{
	if (p->placement == PLACEMENT_GROUP || p->n_admitted == 0)
		return false;
	return admit_bound(set_of(a, p, 0), p->admit_ids[0], ret_ns);
}
