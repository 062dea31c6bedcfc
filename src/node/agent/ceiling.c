// SPDX-License-Identifier: Apache-2.0
/*
 * What the kernel grants, and who else has of it. It is found by trying how much the placeholders
 * could hold; other programs are looked for only when that differs from what it should be.
 *
 * The kernel's own count can be too low: when a cpuset's scheduling domains are made anew, it adds
 * up the threads that are there, and what ended a moment ago is taken off a second time at its
 * 0-lag time (dl_rebuild_rd_accounting() and inactive_task_timer(), kernel/sched). Seen on 6.18
 * with cgroup v1 cpusets. What it grants by that is not promised, and when it stays so, the kernel is
 * made to count anew (limit.h).
 */
#include "node/agent/agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "node/kernel/affinity.h"
#include "node/kernel/sched.h"
#include "node/monitor/proc.h"

#define ODD_NS NSEC_PER_SEC /* what is so for that long is no thread that has just ended */
#define SCAN_AGAIN_NS (10 * NSEC_PER_SEC)
#define COUNT_AGAIN_MIN_NS (100 * NSEC_PER_MSEC)
#define COUNT_AGAIN_MAX_NS (10 * NSEC_PER_SEC)

/* The kernel's to_ratio() rounds down (kernel/sched/core.c). */
static uint64_t kernel_q20(const struct dl_params *p)
{
	return (uint64_t)(((unsigned __int128)p->runtime_ns << 20) / p->period_ns);
}

/* Other programs' deadline threads are counted as soft: nobody asked what they need. */
static struct admit_task foreign_task(const struct foreign_thread *t)
{
	return (struct admit_task){
		.dl = t->dl, .cores = 1, .guarantee = GUARANTEE_SOFT, .reclaim = t->reclaim
	};
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
		if (promise_by_attach(p) && promise_thread(p, tid))
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
	*t = (struct foreign_thread){
		.pid = s->pid, .tid = tid, .dl = now.dl, .reclaim = now.reclaim
	};
	if (affinity_get(tid, &t->cpus) < 0)
		t->cpus = s->agent->probe.root_domain;
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

static void uncount(struct agent *a, struct foreign_thread *t)
{
	if (!t->admit_ids)
		return;
	if (a->probe.unlimited) {
		CPUS_FOREACH(cpu, &a->probe.root_domain)
		{
			admit_release(a->per_cpu[cpu], t->admit_ids[cpu]);
		}
	} else {
		admit_release(a->shared, t->admit_ids[0]);
	}
	free(TAKE(t->admit_ids));
}

/* On each CPU that it may use, as it may be there all the time. */
static int count_on_cpus(struct agent *a, struct foreign_thread *t, const struct admit_task *task)
{
	int r = 0;

	CPUS_FOREACH(cpu, &a->probe.root_domain)
	{
		if (r == 0 && cpus_contains(&t->cpus, cpu))
			r = admit_hold(a->per_cpu[cpu], task, &t->admit_ids[cpu], NULL);
	}
	return r;
}

static int count(struct agent *a, struct foreign_thread *t)
{
	struct admit_task task = foreign_task(t);

	t->admit_ids = calloc(a->probe.unlimited ? CPUS_MAX : 1, sizeof(*t->admit_ids));
	if (!t->admit_ids)
		return -ENOMEM;
	return a->probe.unlimited ? count_on_cpus(a, t, &task)
				  : admit_hold(a->shared, &task, &t->admit_ids[0], NULL);
}

void ceiling_fini(struct agent *a)
{
	for (size_t i = 0; i < a->foreign.n; i++)
		uncount(a, &a->foreign.threads[i]);
	free(a->foreign.threads);
	a->foreign = (struct foreign){ 0 };
}

static void count_foreign(struct agent *a, struct foreign found)
{
	ceiling_fini(a);
	a->foreign = found;
	a->foreign.seen_ns = uv_hrtime();
	for (size_t i = 0; i < found.n; i++)
		if (count(a, &a->foreign.threads[i]) < 0) {
			/* Out of memory: the kernel's own count still holds. */
			a->foreign.n = i + 1;
			return;
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

/* Called before anything of ours runs under SCHED_DEADLINE but what an earlier agent left. */
void ceiling_find(struct agent *a)
{
	struct ceiling *c = &a->ceiling;
	struct foreign all;

	c->limit = a->probe.limit;
	c->count_again_ns = COUNT_AGAIN_MIN_NS;
	c->granted.q20 = cpus_count(&a->probe.root_domain) * PINNED_CEILING_Q20;
	c->settling = !a->probe.unlimited;
	if (c->settling) {
		all = scan_foreign(a);
		c->granted.q20 = holder_limit(a->holder).q20 + all.sum.q20;
		free(all.threads);
	}
	c->most = c->granted;
}

void ceiling_note_ending(struct agent *a, nsec_t period_ns)
{
	uint64_t until = uv_hrtime() + period_ns;

	if (until > a->ceiling.ending_until_ns)
		a->ceiling.ending_until_ns = until;
}

uint64_t ceiling_ending_ms(const struct agent *a)
{
	uint64_t now = uv_hrtime(), until = a->ceiling.ending_until_ns;

	return now < until ? (until - now) / NSEC_PER_MSEC + 1 : 0;
}

/* As taktd found it, on all CPUs: more is not granted while it counts. */
static uint64_t first_limit_q20(const struct agent *a)
{
	const struct limit *l = &a->probe.limit;
	uint64_t cpus = cpus_count(&a->probe.root_domain);

	return (cpus * (uint64_t)l->runtime_us << 20) / (uint64_t)l->period_us;
}

bool ceiling_count_anew(struct agent *a)
{
	struct ceiling *c = &a->ceiling;
	uint64_t now = uv_hrtime();

	if (now - c->counted_ns < c->count_again_ns)
		return false;
	c->limit = limit_read();
	c->counted_ns = now;
	c->count_again_ns *= 2;
	if (c->count_again_ns > COUNT_AGAIN_MAX_NS)
		c->count_again_ns = COUNT_AGAIN_MAX_NS;
	return true;
}

static void find_granted(struct agent *a)
{
	struct ceiling *c = &a->ceiling;
	uint64_t foreign = a->foreign.sum.q20, ours = running_q20(a), granted;
	bool ending = ceiling_ending_ms(a) > 0; /* before the burst, which ends something, too */

	if (ours + foreign <= c->granted.q20 &&
		limit_is(a->holder, c->granted.q20 - ours - foreign))
		return;
	granted = ours + holder_limit(a->holder).q20;
	ceiling_scan(a);
	granted += a->foreign.sum.q20;
	if (granted == c->granted.q20 || (granted < c->granted.q20 && ending))
		return;
	c->granted.q20 = granted;
	c->changed_ns = uv_hrtime();
	c->count_again_ns = COUNT_AGAIN_MIN_NS;
}

static bool is_as_at_first(const struct agent *a)
{
	const struct ceiling *c = &a->ceiling;

	return c->granted.q20 == c->most.q20 && limit_is_same(&c->limit, &a->probe.limit);
}

void ceiling_scan(struct agent *a)
{
	pace_burst(a);
	count_foreign(a, scan_foreign(a));
}

void ceiling_look(struct agent *a)
{
	struct ceiling *c = &a->ceiling;

	if (a->probe.unlimited) {
		if (uv_hrtime() - a->foreign.seen_ns > SCAN_AGAIN_NS)
			ceiling_scan(a);
		return;
	}
	find_granted(a);
	if (is_as_at_first(a) || uv_hrtime() - c->changed_ns < ODD_NS || ceiling_ending_ms(a) ||
		!ceiling_count_anew(a))
		return;
	find_granted(a);
	/* A limit that was lifted grants more than there was, and none of that is to be promised. */
	if (c->settling && c->granted.q20 > c->most.q20 && c->granted.q20 <= first_limit_q20(a))
		c->most = c->granted;
}

bw_t ceiling_limit(const struct agent *a)
{
	const struct ceiling *c = &a->ceiling;

	return c->granted.q20 < c->most.q20 ? c->granted : c->most;
}
