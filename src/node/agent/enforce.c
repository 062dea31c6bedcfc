// SPDX-License-Identifier: Apache-2.0
/*
 * Makes the kernel hold and run what is promised. Bandwidth moves between the placeholders and
 * the threads of containers: a thread first gets its own beside the placeholder's, so that in
 * between nobody else can take it; only where the machine is too full for both, the placeholder
 * shrinks first. What the kernel refuses for now is tried again: retry.c.
 */
#include "node/agent/agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "core/model/plan.h"
#include "node/kernel/sched.h"
#include "node/monitor/proc.h"

#define FORK_MS \
	1 /* longer than a fork takes from its copy of the flags to its look at the policy */
#define STUCK_LOOKS 4 /* one look at a thread in so many asks whether it is: a file of /proc */
#define PLANS_MAX 8 /* in a row, of one that goes on to lose the threads that it wants */
#define MANY_THREADS 64 /* their files take a part of taktd's budget */
/* Threads of one container that are looked at; more than any pid limit in use. */
#define THREADS_LOOKED_AT 32768

static struct kern *kern_of(const struct agent *a, const struct promise *p)
{
	return a->kerns[p->placement];
}

static bool carries(const struct agent *a, const struct promise *p)
{
	const struct kern *k = kern_of(a, p);

	return k && k->ops->thread_carries;
}

int enforce_bind(struct agent *a, const struct promise *p, const struct binding *b, struct err *err)
{
	struct kern *k = kern_of(a, p);
	struct kern_container c = { b->pid, b->cgroup, p->request.dl, p->request.cores, p->cpus };

	if (!k || p->n_admitted == 0)
		return err_set(err, -ENOTSUP, "%s", p->unkept);
	return k->ops->bind(k, &c, err);
}

void enforce_unbind(struct agent *a, const struct promise *p, const struct binding *b)
{
	struct kern *k = kern_of(a, p);
	struct kern_container c = { b->pid, b->cgroup, p->request.dl, p->request.cores, p->cpus };

	if (k && !k->ops->unbind(k, &c))
		enforce_start_retry(a);
}

static bw_t promised_and_not_running(const struct agent *a)
{
	struct dl_params own = agent_own(a);
	bw_t sum = { 0 };

	if (a->pace.begun && !a->pace.deadline)
		sum = dl_bandwidth(&own);
	for (const struct promise *p = a->promises.first; p; p = p->next) {
		unsigned idle = p->request.cores;

		if (p->placement == PLACEMENT_PINNED || p->n_admitted == 0)
			continue;
		for (unsigned i = 0; i < p->n_threads; i++)
			if (p->threads[i].on && carries(a, p))
				idle--;
		sum.q20 += idle * promise_server_bandwidth(p).q20;
	}
	return sum;
}

static void note_unheld(struct agent *a)
{
	if (holder_held(a->holder).q20 >= a->holder_wish.q20)
		a->unheld_since_ns = 0;
	else if (!a->unheld_since_ns)
		a->unheld_since_ns = uv_hrtime();
}

static int hold(struct agent *a)
{
	bw_t limit;
	int r;

	if (a->probe.unlimited)
		return 0;
	a->holder_wish = promised_and_not_running(a);
	r = holder_set(a->holder, a->holder_wish);
	if (r == -EBUSY && !ceiling_ending_ms(a) && ceiling_count_anew(a))
		r = holder_set(a->holder, a->holder_wish);
	if (r == 0)
		return 0;
	/* What was missing may have become free meanwhile: never more than the wish. */
	limit = holder_limit(a->holder);
	holder_set(a->holder, limit.q20 < a->holder_wish.q20 ? limit : a->holder_wish);
	enforce_start_retry(a);
	return r;
}

int enforce_hold(struct agent *a)
{
	int r = hold(a);

	note_unheld(a);
	return r;
}

static struct kern_thread kern_thread_of(const struct promise *p, pid_t tid, int cpu)
{
	return (struct kern_thread){
		.tid = tid,
		.dl = p->request.dl,
		.reclaim = p->request.reclaim,
		.cpu = cpu,
	};
}

static bool is_dead(const struct proc_stat *s)
{
	return s->state == 'Z' || s->state == 'X';
}

/*
 * The kernel gives bandwidth to a thread that has ended and was not waited for yet, and would
 * never take it back (sched_setattr(2) does not look; only a thread that runs its last gives back).
 */
static int undo_on_dead(struct kern *k, const struct promise_thread *t)
{
	struct proc_stat s;
	int r = proc_thread_stat(t->pid, t->tid, &s);

	if (r < 0)
		return r == -ESRCH ? r : 0; /* what cannot be read has not ended because of that */
	if (!is_dead(&s))
		return 0;
	/* At once: when somebody has waited for it, it is too late. */
	if (k->ops->thread_carries)
		sched_shrink(t->tid);
	else
		k->ops->thread_off(k, t->tid, NULL);
	return -ESRCH;
}

static int turn_on(struct agent *a, struct promise *p, struct promise_thread *t)
{
	struct kern *k = kern_of(a, p);
	struct kern_thread kt = kern_thread_of(p, t->tid, t->cpu);
	uint64_t share = promise_server_bandwidth(p).q20;
	int r;

	if (waits_left_ns(&a->unpaid, t->tid) > 0)
		return -EAGAIN;
	fault_point("thread.on");
	r = k->ops->thread_on(k, &kt);
	if (r == -EBUSY && k->ops->thread_carries && !a->probe.unlimited) {
		uint64_t held = holder_held(a->holder).q20;

		holder_set(a->holder, (bw_t){ held > share ? held - share : 0 });
		fault_point("thread.room");
		r = k->ops->thread_on(k, &kt);
		if (r == -EBUSY && ceiling_count_anew(a))
			r = k->ops->thread_on(k, &kt);
	}
	if (r == 0) {
		r = undo_on_dead(k, t);
		if (r < 0)
			ceiling_note_ending(a, p->request.dl.period_ns);
	}
	fault_point("thread.is-on");
	t->on = r == 0;
	return r;
}

static void turn_off(struct agent *a, struct kern *k, pid_t tid)
{
	nsec_t late = 0;

	k->ops->thread_off(k, tid, &late);
	unpaid_note(a, tid, late);
}

static void announce_thread(
	struct agent *a, const struct promise *p, enum change_kind kind, pid_t tid, const char *how)
{
	char why[64];
	struct change c = { agent_now_ms(), p->request.name, change_name(kind), why };

	snprintf(why, sizeof(why), "thread %d%s", tid, how);
	agent_announce(a, &c);
}

static void update_state(struct promise *p)
{
	bool any = false;

	for (unsigned i = 0; i < p->n_threads; i++)
		any |= p->threads[i].on;
	if (any && p->state == RESV_BOUND)
		promise_event(p, RESV_EV_THREAD);
	if (!any && p->state == RESV_ACTIVE)
		promise_event(p, RESV_EV_IDLE);
}

static void drop(struct promise *p, size_t index)
{
	p->n_threads--;
	memmove(&p->threads[index], &p->threads[index + 1],
		(p->n_threads - index) * sizeof(p->threads[0]));
}

/* It may belong to a stranger by now; what cannot be read has not ended because of that. */
static bool has_its_number(const struct promise_thread *t)
{
	struct proc_stat s;
	int r = proc_thread_stat(t->pid, t->tid, &s);

	return r == 0 ? s.start == t->start : r != -ESRCH;
}

void enforce_forget(struct agent *a, struct promise *p, size_t index)
{
	struct promise_thread t = p->threads[index];
	struct kern *k = kern_of(a, p);

	fault_point("thread.off");
	if (t.on && k && has_its_number(&t))
		turn_off(a, k, t.tid);
	else if (t.on && carries(a, p))
		ceiling_note_ending(a, p->request.dl.period_ns);
	fault_point("thread.is-off");
	drop(p, index);
	enforce_hold(a);
	update_state(p);
	announce_thread(a, p, CHANGE_THREAD_OFF, t.tid, "");
}

void enforce_stop_binding(struct agent *a, struct promise *p, const struct binding *b)
{
	for (unsigned i = p->n_threads; i-- > 0;) {
		const struct task *t = tasks_find(&a->tasks, p->threads[i].pid);

		if (!t || t->binding == b)
			enforce_forget(a, p, i);
	}
}

void enforce_stop(struct agent *a, struct promise *p)
{
	while (p->n_threads > 0)
		enforce_forget(a, p, p->n_threads - 1);
	p->refused[0] = '\0';
	p->owing = p->confined = false;
	trouble_look(a, p);
}

static bool rule_holds(const struct binding *b)
{
	return (b->running || b->early) && !b->by_attach;
}

/* The candidates for the plan: threads of all processes of the bindings, and those by hand. */
struct candidates {
	struct agent *agent;
	struct promise *promise;
	const struct binding *binding; /* whose they are */
	struct plan_thread *threads;
	pid_t *pids;
	size_t n, capacity;
	pid_t pid;
};

static bool grow(struct candidates *c)
{
	size_t more = c->capacity ? 2 * c->capacity : 16;
	void *threads = realloc(c->threads, more * sizeof(*c->threads));
	void *pids;

	if (threads)
		c->threads = threads;
	pids = threads ? realloc(c->pids, more * sizeof(*c->pids)) : NULL;
	if (!pids)
		return false;
	c->pids = pids;
	c->capacity = more;
	return true;
}

/* The kernel's word on one thread; a thread that an earlier agent put in is taken over. */
static bool is_on(struct candidates *c, const struct proc_stat *s)
{
	struct promise *p = c->promise;
	struct kern *k = kern_of(c->agent, p);
	struct promise_thread *known = promise_thread(p, s->pid);
	unsigned choices = p->placement == PLACEMENT_PINNED ? p->n_admitted : 1;

	for (unsigned i = 0; i < choices; i++) {
		int cpu = known ? known->cpu : p->cpus[i];
		struct kern_thread kt = kern_thread_of(p, s->pid, cpu);
		bool on = k->ops->thread_is_on(k, &kt);

		if (known) {
			known->on = on;
			return on;
		}
		if (on && p->n_threads < p->request.cores)
			p->threads[p->n_threads++] = (struct promise_thread){
				.pid = c->pid,
				.tid = s->pid,
				.start = s->start,
				.on = true,
				.cpu = cpu,
			};
		if (on && !known && !c->agent->recovering)
			announce_thread(c->agent, p, CHANGE_THREAD_ON, s->pid, "");
		if (on)
			return true;
	}
	/* An agent was killed while it took it out. */
	if (c->agent->recovering && tasks_find(&c->agent->tasks, c->pid) &&
		sched_is_leaving(s->pid))
		turn_off(c->agent, k, s->pid);
	return false;
}

static int find_on(void *context, pid_t tid)
{
	struct candidates *c = context;
	struct proc_stat s;

	return !promise_thread(c->promise, tid) && proc_thread_stat(c->pid, tid, &s) == 0 &&
	       is_on(c, &s);
}

void enforce_began(struct agent *a, const struct promise *p, pid_t in, pid_t tid)
{
	struct kern *k = kern_of(a, p);

	for (unsigned i = 0; k && k->ops->thread_began && i < p->n_threads; i++)
		if (p->threads[i].on && p->threads[i].pid == in)
			k->ops->thread_began(k, tid, p->threads[i].cpu);
}

bool enforce_audit(struct agent *a, struct promise *p, bool *ret_ended)
{
	struct kern *k = kern_of(a, p);
	bool on, left = false, confined = false;

	*ret_ended = false;
	if (!p->settled || !k)
		return false;
	for (unsigned i = 0; i < p->n_threads; i++) {
		struct promise_thread *t = &p->threads[i];
		struct kern_thread kt = kern_thread_of(p, t->tid, t->cpu);

		if (!t->on)
			continue;
		/* A zombie has no server any more, but its priority in a group. */
		on = k->ops->thread_is_on(k, &kt) &&
		     (k->ops->thread_carries || !proc_thread_gone(t->pid, t->tid));
		/* Those that came together do not all have their turn at once. */
		if (on && (t->looks++ + (unsigned)t->tid) % STUCK_LOOKS == 0 &&
			unpaid_is_stuck(t, p->request.dl.period_ns)) {
			left = true;
			turn_off(a, k, t->tid);
			announce_thread(a, p, CHANGE_THREAD_OFF, t->tid, " was never run by it");
		} else if (on) {
			confined |=
				k->ops->thread_is_confined && k->ops->thread_is_confined(k, &kt);
		} else {
			left = true;
			if (proc_thread_gone(t->pid, t->tid))
				*ret_ended = true;
			else
				announce_thread(
					a, p, CHANGE_THREAD_OFF, t->tid, " left it by itself");
		}
	}
	p->confined = confined;
	return left;
}

bool enforce_finds_on(struct agent *a, struct promise *p, pid_t pid)
{
	struct candidates c = { .agent = a, .promise = p, .pid = pid };

	return kern_of(a, p) && proc_each_thread(c.pid, find_on, &c) > 0;
}

static int add_candidate(void *context, pid_t tid)
{
	struct candidates *c = context;
	const struct binding *b = c->binding;
	struct promise_thread *known = promise_thread(c->promise, tid);
	struct plan_thread *t;
	struct proc_stat s;

	if (c->n >= THREADS_LOOKED_AT || (c->n == c->capacity && !grow(c)))
		return -ENOMEM;
	if (c->n % MANY_THREADS == MANY_THREADS - 1) {
		pace_burst(c->agent);
		pace_check(c->agent);
	}
	if (proc_thread_stat(c->pid, tid, &s) < 0 || is_dead(&s))
		return 0;
	t = &c->threads[c->n];
	*t = (struct plan_thread){
		.tid = tid,
		.main = tid == c->pid && c->pid == b->pid && rule_holds(b),
		.by_hand = known && known->by_hand,
		.on = is_on(c, &s),
		.waits = !rule_holds(b),
	};
	memcpy(t->name, s.comm, sizeof(t->name));
	c->pids[c->n++] = c->pid;
	return 0;
}

static void collect_binding(struct candidates *c, const struct binding *b)
{
	const struct promise *p = c->promise;
	bool rule = rule_holds(b);

	c->binding = b;
	for (const struct task *t = b->tasks; t; t = t->next) {
		c->pid = t->pid;
		if (rule && p->request.threads == THREADS_MAIN) {
			if (t->pid == b->pid)
				add_candidate(c, t->pid);
		} else if (rule || c->agent->recovering) {
			proc_each_thread(t->pid, add_candidate, c);
		}
	}
}

static void collect(struct candidates *c)
{
	const struct promise *p = c->promise;

	for (const struct binding *b = p->bindings; b; b = b->next)
		collect_binding(c, b);
	/* Those by hand that are not among them yet. */
	for (unsigned i = 0; i < p->n_threads; i++) {
		bool there = false;

		for (size_t k = 0; k < c->n; k++)
			there |= c->threads[k].tid == p->threads[i].tid;
		c->pid = p->threads[i].pid;
		c->binding = p->bindings;
		if (!there)
			add_candidate(c, p->threads[i].tid);
	}
}

static void forget_dead(struct agent *a, struct promise *p)
{
	for (unsigned i = p->n_threads; i-- > 0;)
		if (proc_thread_gone(p->threads[i].pid, p->threads[i].tid))
			follow_lose_thread(a, p, i);
}

static void step_off(struct agent *a, struct promise *p, pid_t tid)
{
	struct kern *k = kern_of(a, p);

	for (unsigned i = 0; i < p->n_threads; i++)
		if (p->threads[i].tid == tid) {
			enforce_forget(a, p, i);
			return;
		}
	turn_off(a, k, tid);
}

/*
 * A fork that is under way when both the flag and the policy change fails, see
 * sched_set_reset_on_fork(). So a thread that may be in one has the flag for a moment first.
 */
static bool forks_safely(struct agent *a, const struct promise *p, pid_t tid)
{
	struct sched_now now;

	if (!carries(a, p) || sched_get(tid, &now) < 0)
		return true;
	if (now.reset_on_fork)
		return waits_left_ns(&a->forking, tid) == 0;
	waits_add(&a->forking, tid, FORK_MS * NSEC_PER_MSEC);
	sched_set_reset_on_fork(tid);
	return false;
}

static void on_flagged(uv_timer_t *timer)
{
	struct agent *a = container_of(timer, struct agent, flagged);

	for (struct promise *p = a->promises.first; p; p = p->next)
		if (p->flagged) {
			p->flagged = false;
			enforce_threads(a, p);
		}
}

static void wait_flagged(struct agent *a, struct promise *p)
{
	p->flagged = true;
	if (!uv_is_active((uv_handle_t *)&a->flagged))
		uv_timer_start(&a->flagged, on_flagged, FORK_MS, 0);
}

/* Returns what the kernel said; -ESRCH: the thread has ended. */
static int step_on(struct agent *a, struct promise *p, pid_t pid, pid_t tid)
{
	struct promise_thread *t = promise_thread(p, tid);
	struct proc_stat s;
	int r;

	if (!t) {
		if (p->n_threads == p->request.cores)
			return 0;
		r = proc_thread_stat(pid, tid, &s);
		if (r < 0 || is_dead(&s))
			return r < 0 ? r : -ESRCH;
		if (!forks_safely(a, p, tid)) {
			wait_flagged(a, p);
			return 0;
		}
		t = &p->threads[p->n_threads];
		*t = (struct promise_thread){
			.pid = pid, .tid = tid, .start = s.start, .cpu = promise_free_cpu(p)
		};
		p->n_threads++;
	}
	r = turn_on(a, p, t);
	if (r == 0)
		announce_thread(a, p, CHANGE_THREAD_ON, tid, "");
	if (r < 0 && !t->by_hand)
		drop(p, t - p->threads);
	return r;
}

/* Returns whether a thread that was to come under it has ended meanwhile. */
static bool plan_and_step(struct agent *a, struct promise *p)
{
	struct candidates c = { .agent = a, .promise = p };
	cleanup_free struct plan_step *steps = NULL;
	bool ended = false;
	size_t n = 0;

	forget_dead(a, p);
	collect(&c);
	steps = calloc(c.n + 1, sizeof(*steps));
	if (steps)
		n = plan_threads(&p->request, c.threads, c.n, steps);
	p->refused[0] = '\0';
	p->owing = false;
	for (size_t i = 0; i < n; i++) {
		pid_t tid = c.threads[steps[i].thread].tid;
		int r = 0;

		if (steps[i].kind == PLAN_THREAD_OFF)
			step_off(a, p, tid);
		else
			r = step_on(a, p, c.pids[steps[i].thread], tid);
		if (r == -ESRCH)
			ended = true;
		else if (r == -EAGAIN)
			p->owing = true;
		else if (r < 0)
			snprintf(p->refused, sizeof(p->refused), "thread %d is not under it: %s",
				tid, sched_reason(r));
	}
	free(c.threads);
	free(c.pids);
	return ended;
}

void enforce_threads(struct agent *a, struct promise *p)
{
	unsigned plans = 0;

	/* What is not on disk is not done: a crash would leave threads that nobody knows of. */
	if (!p->bindings || !p->settled || !kern_of(a, p))
		return;
	while (plan_and_step(a, p) && ++plans < PLANS_MAX)
		; /* another one may be waiting for its server */
	enforce_hold(a);
	update_state(p);
	trouble_look(a, p);
	if (p->refused[0] || p->owing)
		enforce_start_retry(a);
}
