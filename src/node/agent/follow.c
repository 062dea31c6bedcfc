// SPDX-License-Identifier: Apache-2.0
/*
 * Follows the processes of containers by the kernel's events. Events may come late, in another
 * order or not at all, so each is only a reason to look: what is done depends on /proc and on
 * sched_getattr(2), never on the event's word.
 */
#include "node/agent/agent.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "core/model/plan.h"
#include "node/agent/bind.h"
#include "node/agent/door.h"
#include "node/kernel/sched.h"
#include "node/monitor/proc.h"

#define CATCH_UP_MAX 4096 /* reads: more than is buffered, and a bound where events go on */
#define REPLAN_LOOKS \
	8 /* one in so many makes the plan anew where a server is free: files of /proc */

static struct agent *agent_of(struct event_handler *h)
{
	return container_of(h, struct agent, handler);
}

/* Threads that begin or rename matter only to these two rules. */
static bool follows_threads(const struct promise *p, const struct binding *b)
{
	return b->running && !b->by_attach &&
	       (p->request.threads == THREADS_ALL || p->request.threads == THREADS_MATCH);
}

static void on_forked(struct event_handler *h, pid_t parent, pid_t pid, pid_t tid)
{
	struct agent *a = agent_of(h);
	struct task *t = tasks_find(&a->tasks, pid == tid ? parent : pid);
	struct promise *p = t ? t->promise : NULL;

	if (!p)
		return;
	if (pid == tid)
		tasks_add_forked(&a->tasks, p, t->binding, pid);
	enforce_began(a, p, t->pid, tid);
	if (follows_threads(p, t->binding) && p->n_threads < p->request.cores)
		enforce_threads(a, p);
}

static bool in_cgroup(const char *path, const char *group)
{
	size_t n = strlen(group);

	return strncmp(path, group, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* A process that came from outside (podman exec) is known by its cgroup. */
static struct task *adopt_by_cgroup(struct agent *a, pid_t pid)
{
	char path[PROC_CGROUP_MAX];
	bool read = false;

	for (struct promise *p = a->promises.first; p; p = p->next)
		for (struct binding *b = p->bindings; b; b = b->next) {
			if (!b->cgroup)
				continue;
			if (!read && proc_cgroup(pid, path) < 0)
				return NULL;
			read = true;
			if (in_cgroup(path, b->cgroup))
				return tasks_add(&a->tasks, p, b, pid) == 0
					       ? tasks_find(&a->tasks, pid)
					       : NULL;
		}
	return NULL;
}

bool follow_is_member(struct agent *a, const char *name, pid_t pid)
{
	struct promise *p = promises_find(&a->promises, name);
	struct task *t = tasks_find(&a->tasks, pid);

	if (t && proc_gone(pid, t->start))
		return false; /* another process may have its number by now */
	if (!t)
		t = adopt_by_cgroup(a, pid);
	return p && t && t->promise == p;
}

/* The first program begins: what was said of the runtime is true only if the kernel says so. */
static void begin(const struct promise *p, struct binding *b)
{
	struct sched_now now;

	if (!b->running && b->via == VIA_NRI &&
		(sched_get(b->pid, &now) < 0 || now.policy != SCHED_DEADLINE)) {
		agent_log("%s: the runtime did not put process %d under it: taktd does",
			p->request.name, b->pid);
		b->via = VIA_HOOK;
	}
	b->running = true;
}

static void on_execed(struct event_handler *h, pid_t pid)
{
	struct agent *a = agent_of(h);
	struct task *t = tasks_find(&a->tasks, pid);

	if (!t)
		t = adopt_by_cgroup(a, pid);
	if (!t)
		return;
	if (pid == t->binding->pid)
		begin(t->promise, t->binding);
	enforce_threads(a, t->promise);
}

static void on_named(
	struct event_handler *h, pid_t pid, pid_t tid, const char name[THREAD_NAME_LEN])
{
	struct agent *a = agent_of(h);
	struct task *t = tasks_find(&a->tasks, pid);
	struct plan_thread thread = { .tid = tid };

	if (!t || !follows_threads(t->promise, t->binding) ||
		t->promise->request.threads != THREADS_MATCH)
		return;
	memcpy(thread.name, name, sizeof(thread.name));
	if (plan_wants(&t->promise->request, &thread) != !!promise_thread(t->promise, tid))
		enforce_threads(a, t->promise);
}

void follow_listen(struct agent *a)
{
	bool any = false;

	for (const struct promise *p = a->promises.first; p && !any; p = p->next)
		any = p->bindings;
	if (a->events)
		event_source_listen(a->events, any);
	if (any)
		look_start(a);
}

void follow_unbind(struct agent *a, struct promise *p, struct binding *b)
{
	struct commit *commit = commit_create(a, COMMIT_UNBIND, p->request.name);
	struct change change = { agent_now_ms(), p->request.name, change_name(CHANGE_UNBOUND),
		"its processes have ended" };

	if (commit)
		commit->binding = (struct store_binding){ .pid = b->pid, .pid_start = b->start };
	fault_point("unbind.begin");
	if (p->bindings == b && !b->next)
		enforce_stop(a, p);
	else
		enforce_stop_binding(a, p, b);
	fault_point("unbind.stopped");
	bind_end(a, p, b);
	enforce_hold(a);
	enforce_threads(a, p); /* of the containers that are left */
	agent_announce(a, &change);
	if (!commit)
		return; /* the store is mended by recovery: the process is gone there too */
	commit->change = CHANGE_UNBOUND;
	snprintf(commit->why, sizeof(commit->why), "%s", change.why);
	fault_point("unbind.told");
	commit_start(commit);
	intake_expire(a, p);
}

void follow_unbind_ended(struct agent *a, struct promise *p)
{
	struct binding *next;

	for (struct binding *b = p->bindings; b; b = next) {
		next = b->next;
		if (b->n_tasks == 0)
			follow_unbind(a, p, b);
	}
}

void follow_attached(struct agent *a, struct promise *p)
{
	bool any = false;

	enforce_threads(a, p);
	for (unsigned i = 0; i < p->n_threads; i++)
		any |= p->threads[i].by_hand;
	if (promise_by_attach(p) && !any)
		follow_unbind(a, p, p->bindings);
}

void follow_lose_thread(struct agent *a, struct promise *p, size_t index)
{
	struct promise_thread t = p->threads[index];
	struct commit *c = t.by_hand ? commit_create(a, COMMIT_DETACH, p->request.name) : NULL;

	enforce_forget(a, p, index);
	if (c) {
		c->thread.tid = t.tid;
		commit_start(c);
	}
}

/*
 * It is removed when no event waits any more: one of its threads may have begun a process after
 * another one of them ended, and whom it began is known by it.
 */
static void mark_ended(struct agent *a, struct task *t)
{
	t->ended = true;
	t->binding->some_ended = true;
	a->some_ended = true;
}

static void on_exited(struct event_handler *h, pid_t pid, pid_t tid)
{
	struct agent *a = agent_of(h);
	struct task *t = tasks_find(&a->tasks, pid);
	struct promise *p = t ? t->promise : NULL;
	bool lost = false;

	if (!p)
		return;
	for (unsigned i = 0; i < p->n_threads && !lost; i++)
		if (p->threads[i].tid == tid && proc_thread_gone(pid, tid)) {
			follow_lose_thread(a, p, i);
			lost = true;
		}
	/* Another thread, of another container too, may be waiting for what it had. */
	if (p->settled && (promise_by_attach(p) || lost))
		follow_attached(a, p);
	/* By then the promise may be free, and its tasks with it. */
	t = tasks_find(&a->tasks, pid);
	if (t && proc_gone(pid, t->start))
		mark_ended(a, t);
}

static void let_go(struct agent *a, struct promise *p)
{
	for (struct binding *b = p->bindings, *next; b; b = next) {
		next = b->next;
		if (!b->some_ended)
			continue;
		b->some_ended = false;
		for (struct task *t = b->tasks, *after; t; t = after) {
			after = t->next;
			if (t->ended)
				tasks_remove(&a->tasks, t);
		}
		if (b->n_tasks == 0 && p->state != RESV_DRAINING)
			follow_unbind(a, p, b);
	}
}

static void on_caught_up(struct event_handler *h)
{
	struct agent *a = agent_of(h);

	if (!a->some_ended)
		return;
	a->some_ended = false;
	for (struct promise *p = a->promises.first, *next; p; p = next) {
		next = p->next;
		let_go(a, p);
	}
}

struct search {
	struct agent *agent;
	struct promise *promise;
	struct binding *binding;
	uint64_t begun; /* proc_now() */
	size_t added;
};

/* Who began after the search is told of by an event: else a program that forks on had no end. */
static void count_added(struct search *s, const struct proc_stat *stat)
{
	s->added += stat->start <= s->begun;
}

/*
 * Of a program without a cgroup of its own, a process whose parent has ended is known only by
 * what an earlier agent made of it, and by the session that it shares with those that are known.
 */
static bool is_orphan(
	struct agent *a, struct promise *p, const struct binding *b, const struct proc_stat *s)
{
	struct proc_stat member;

	if (!a->recovering || b->cgroup || b->by_attach || s->start < b->start)
		return false;
	if (b->tasks && (proc_stat(b->tasks->pid, &member) < 0 || member.session != s->session))
		return false;
	return enforce_finds_on(a, p, s->pid);
}

static int find_member(void *context, pid_t pid)
{
	struct search *s = context;
	struct binding *b = s->binding;
	char path[PROC_CGROUP_MAX];
	struct task *parent;
	struct proc_stat stat;

	pace_check(s->agent);
	if (tasks_find(&s->agent->tasks, pid) || proc_stat(pid, &stat) < 0 ||
		proc_gone(pid, stat.start))
		return 0;
	parent = tasks_find(&s->agent->tasks, stat.ppid);
	if ((parent && parent->binding == b) ||
		(b->cgroup && proc_cgroup(pid, path) == 0 && in_cgroup(path, b->cgroup)) ||
		is_orphan(s->agent, s->promise, b, &stat))
		if (tasks_add(&s->agent->tasks, s->promise, b, pid) == 0)
			count_added(s, &stat);
	return 0;
}

static void forget_gone(struct agent *a, struct binding *b)
{
	struct task *next;

	for (struct task *t = b->tasks; t; t = next) {
		next = t->next;
		if (proc_gone(t->pid, t->start))
			tasks_remove(&a->tasks, t);
	}
}

/* Until no process has a parent that was just found. */
static void search(struct search *s, int (*find)(void *context, pid_t pid))
{
	pace_burst(s->agent);
	s->begun = proc_now();
	do {
		s->added = 0;
		proc_each_process(find, s);
	} while (s->added > 0);
}

void follow_running(struct agent *a, struct promise *p, struct binding *b)
{
	struct search s = { .agent = a, .promise = p, .binding = b };

	search(&s, find_member);
}

bool follow_find(struct agent *a, struct promise *p, struct binding *b)
{
	forget_gone(a, b);
	follow_running(a, p, b);
	return b->n_tasks > 0;
}

/* Returns whether one was found that no event has told of. */
static bool mark_gone(struct agent *a, struct promise *p, struct binding *b)
{
	bool any = false, left = false;

	for (struct task *t = b->tasks; t; t = t->next) {
		pace_check(a);
		if (!t->ended && proc_gone(t->pid, t->start)) {
			mark_ended(a, t);
			any = true;
		}
		left |= !t->ended;
	}
	if (!left && b->cgroup)
		follow_running(a, p, b);
	if (!b->tasks)
		b->some_ended = a->some_ended = true;
	return any;
}

void follow_forget_ended(struct agent *a, struct promise *p)
{
	bool any = false;

	/* A look before the events: a process that it finds gone has begun no other since. */
	for (struct binding *b = p->bindings; b; b = b->next)
		any |= mark_gone(a, p, b);
	for (unsigned i = 0; a->events && i < CATCH_UP_MAX && event_source_read(a->events); i++)
		pace_check(a);
	if (!a->events)
		on_caught_up(&a->handler);
	if (any && p->bindings && p->settled)
		follow_attached(a, p);
}

static bool binding_has_ended(struct agent *a, const struct binding *b)
{
	for (const struct task *t = b->tasks; t; t = t->next) {
		pace_check(a);
		if (kill(t->pid, 0) < 0 && errno == ESRCH)
			return true;
	}
	return !b->tasks;
}

/*
 * Where the kernel has no memory for an event it is lost without a word (GFP_NOWAIT in
 * cn_netlink_send_mult()); before Linux 5.15 none tells of a name that another thread gave, and a
 * thread that ends while a process's are listed can end the list (next_tid()).
 */
void follow_audit(struct agent *a, struct promise *p)
{
	bool ended, wants = false; /* ended: of a zombie only its threads tell */

	if (enforce_audit(a, p, &ended))
		follow_attached(a, p);
	for (struct binding *b = p->bindings; b; b = b->next) {
		ended |= binding_has_ended(a, b);
		wants |= follows_threads(p, b);
	}
	/* Those that came together do not all have their turn at once. */
	if (wants && p->n_threads < p->request.cores &&
		(++p->looks + (uint64_t)p->created_ms) % REPLAN_LOOKS == 0)
		enforce_threads(a, p);
	if (ended)
		follow_forget_ended(a, p);
}

/* Of whichever binding. */
static int find_any_member(void *context, pid_t pid)
{
	struct search *s = context;
	struct agent *a = s->agent;
	struct task *parent;
	struct proc_stat stat;

	pace_check(a);
	if (tasks_find(&a->tasks, pid) || proc_stat(pid, &stat) < 0 || proc_gone(pid, stat.start))
		return 0;
	parent = tasks_find(&a->tasks, stat.ppid);
	if (parent) {
		if (tasks_add(&a->tasks, parent->promise, parent->binding, pid) < 0)
			return 0;
		enforce_began(a, parent->promise, parent->pid, pid);
		count_added(s, &stat);
	} else if (adopt_by_cgroup(a, pid))
		count_added(s, &stat);
	return 0;
}

static void find_all(struct agent *a)
{
	struct search s = { .agent = a };

	for (struct promise *p = a->promises.first; p; p = p->next)
		for (struct binding *b = p->bindings; b; b = b->next)
			forget_gone(a, b);
	search(&s, find_any_member);
}

static void on_lost(struct event_handler *h)
{
	struct agent *a = agent_of(h);
	struct promise *next;

	agent_log("events of the kernel were lost: looking at every container again");
	find_all(a);
	for (struct promise *p = a->promises.first; p; p = next) {
		next = p->next;
		if (p->state == RESV_DRAINING)
			continue;
		for (struct binding *b = p->bindings, *after; b; b = after) {
			after = b->next;
			if (b->n_tasks > 0)
				bind_check_running(b);
			else
				follow_unbind(a, p, b);
		}
		if (p->bindings && p->settled)
			follow_attached(a, p);
	}
}

void follow_init(struct agent *a)
{
	a->handler = (struct event_handler){
		.forked = on_forked,
		.execed = on_execed,
		.named = on_named,
		.exited = on_exited,
		.caught_up = on_caught_up,
		.lost = on_lost,
	};
}
