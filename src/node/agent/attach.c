// SPDX-License-Identifier: Apache-2.0
/*
 * Attach and Detach: threads that somebody puts in by hand. Of a container on its own socket only
 * the peer's pid, which the kernel gave, is believed; its thread numbers are its own namespace's.
 */
#include "node/agent/bind.h"

#include <errno.h>
#include <string.h>

#include "api/params.h"
#include "base/fault.h"
#include "node/agent/calls.h"
#include "node/monitor/proc.h"

/* The threads that a call names, as this machine numbers them, and their process. */
struct named_threads {
	struct promise *promise;
	struct {
		pid_t pid, tid;
		uint64_t start;
	} threads[API_TIDS_MAX];
	size_t n;
};

static int find_thread(
	const struct door_call *call, pid_t asked, struct named_threads *t, struct err *err)
{
	struct proc_stat s;
	pid_t pid = call->pid, tid = asked;
	int r;

	if (call->own[0])
		r = proc_find_inner(pid, asked, &tid);
	else
		r = proc_tgid(asked, &pid);
	if (r == 0)
		r = proc_thread_stat(pid, tid, &s);
	if (r < 0)
		return err_set(err, r,
			call->own[0] ? "thread %d is not one of the caller's own"
				     : "thread %d is not there",
			asked);
	t->threads[t->n].pid = pid;
	t->threads[t->n].tid = tid;
	t->threads[t->n].start = s.start;
	t->n++;
	return 0;
}

/* Answers the call itself when it returns false. */
static bool name_threads(struct agent *a, struct door_call *call, struct named_threads *ret)
{
	struct api_threads asked;
	struct err err = ERR_NULL;
	const char *name;

	*ret = (struct named_threads){ 0 };
	if (api_threads_decode(call->message.parameters, &asked, &err) < 0) {
		door_error(call, API_BAD_ARGUMENT, NULL, err.text);
		return false;
	}
	name = call->own[0] ? call->own : asked.name;
	if (!name || (call->own[0] && asked.name && strcmp(asked.name, name) != 0)) {
		door_error(call, name ? API_NOT_PERMITTED : API_BAD_ARGUMENT, NULL,
			name ? "this socket is for its own reservation only"
			     : "name: which reservation?");
		return false;
	}
	ret->promise = calls_find(call, name);
	if (!ret->promise)
		return false;
	for (size_t i = 0; i < asked.n; i++)
		if (find_thread(call, asked.tids[i], ret, &err) < 0) {
			door_error(call, API_BAD_ARGUMENT, NULL, err.text);
			return false;
		}
	return true;
}

/* Its event may still be on the way. */
static bool thread_has_ended(const struct promise_thread *t)
{
	return proc_thread_gone(t->pid, t->tid);
}

static bool may_attach(struct agent *a, struct door_call *call, const struct named_threads *t)
{
	struct promise *p = t->promise;
	unsigned by_hand = 0;
	char text[PROMISE_REASON_MAX];

	if (!p->settled || p->state == RESV_DRAINING) {
		bind_refuse_held(call, p);
		return false;
	}
	for (size_t i = 0; i < t->n; i++) {
		struct task *task = tasks_find(&a->tasks, t->threads[i].pid);
		const struct promise_thread *known = promise_thread(p, t->threads[i].tid);

		by_hand += !known || !known->by_hand;
		if ((p->bindings && !promise_by_attach(p) && (!task || task->promise != p)) ||
			(task && task->promise != p)) {
			snprintf(text, sizeof(text),
				"thread %d does not belong to the container that holds it",
				t->threads[i].tid);
			door_error(call, API_NOT_APPLICABLE, p->request.name, text);
			return false;
		}
	}
	for (unsigned i = 0; i < p->n_threads; i++)
		by_hand += p->threads[i].by_hand && !thread_has_ended(&p->threads[i]);
	if (by_hand > p->request.cores) {
		snprintf(text, sizeof(text),
			"it has %u server%s and %s held by hand already: detach a thread first",
			p->request.cores, p->request.cores == 1 ? "" : "s",
			p->request.cores == 1 ? "it is" : "they are");
		door_error(call, API_BUSY, p->request.name, text);
		return false;
	}
	return true;
}

/* Makes room for threads by hand: those that came by the rule give way. */
static void add_by_hand(struct agent *a, struct promise *p, pid_t pid, pid_t tid, uint64_t start)
{
	struct promise_thread *t = promise_thread(p, tid);

	if (t) {
		t->by_hand = true;
		return;
	}
	for (unsigned i = p->n_threads; i-- > 0 && p->n_threads == p->request.cores;)
		if (!p->threads[i].by_hand || thread_has_ended(&p->threads[i]))
			follow_lose_thread(a, p, i);
	if (p->n_threads == p->request.cores)
		return;
	t = &p->threads[p->n_threads];
	*t = (struct promise_thread){
		.pid = pid, .tid = tid, .start = start, .by_hand = true, .cpu = promise_free_cpu(p)
	};
	p->n_threads++;
}

static void answer_attached(struct agent *a, struct door_call *call, struct promise *p)
{
	follow_attached(a, p);
	fault_point("attach.reply");
	if (!p->bindings)
		door_error(call, API_NOT_APPLICABLE, p->request.name, "its threads have ended");
	else if (p->owing)
		door_error(call, API_BUSY, p->request.name,
			"a thread left SCHED_DEADLINE a moment ago and cannot come back yet: it will, as "
			"soon as the kernel can take it");
	else if (p->refused[0])
		door_error(call, API_NOT_APPLICABLE, p->request.name, p->refused);
	else
		calls_reply_reservation(call, p);
}

/* One of several threads is enough that the answer is no yes; the last one answers. */
static void note_failure(struct door_call *call, const struct commit *c, int r)
{
	if (r < 0 && !call->failed[0])
		snprintf(call->failed, sizeof(call->failed), "%s", c->err.text);
}

static void attached(struct agent *a, struct commit *c, int r)
{
	struct door_call *call = c->context;
	struct promise *p = promises_find(&a->promises, c->name);

	note_failure(call, c, r);
	if (r == 0 && p && p->bindings && p->state != RESV_DRAINING) {
		/* A process that is known keeps the binding that it has. */
		tasks_add(&a->tasks, p, p->bindings, c->pid);
		add_by_hand(a, p, c->pid, c->thread.tid, c->thread.start);
	}
	if (c->more)
		return;
	if (p)
		p->settled = true;
	if (call->failed[0]) {
		if (p)
			follow_attached(a, p); /* what was told meanwhile */
		door_error(call, API_FAILED, c->name, call->failed);
	} else if (!p || !p->bindings) {
		door_error(call, API_NOT_APPLICABLE, c->name, "its processes have ended");
		if (p)
			intake_expire(a, p);
	} else
		answer_attached(a, call, p);
}

/* One row each; the last one answers. */
static void write_threads(struct agent *a, struct door_call *call, const struct named_threads *t,
	enum commit_kind kind, commit_done_fn *done)
{
	struct commit *commits[API_TIDS_MAX] = { 0 };
	bool whole = true;

	for (size_t i = 0; i < t->n; i++) {
		struct commit *c = commit_create(a, kind, t->promise->request.name);

		commits[i] = c;
		whole &= c != NULL;
		if (!c)
			continue;
		c->pid = t->threads[i].pid;
		c->thread.tid = t->threads[i].tid;
		c->thread.start = t->threads[i].start;
		c->done = done;
		c->context = call;
		c->more = i + 1 < t->n;
	}
	for (size_t i = 0; i < t->n; i++)
		if (whole)
			commit_start(commits[i]);
		else
			commit_destroy(commits[i]);
	if (whole)
		t->promise->settled = false;
	else
		door_error(call, API_FAILED, NULL, "taktd is out of memory");
}

static void attach_tied(struct agent *a, struct commit *c, int r)
{
	struct promise *p = promises_find(&a->promises, c->name);

	if (r < 0 && p->bindings)
		bind_end(a, p, p->bindings);
}

/* A reservation that nobody holds is bound to the process of the first thread. */
static int tie_to_process(struct agent *a, const struct named_threads *t, struct err *err)
{
	struct api_bind asked = { .name = t->promise->request.name, .pid = t->threads[0].pid };
	struct binding *b;
	int r;

	if (t->promise->bindings)
		return 0;
	r = bind_create(&b, &asked, err);
	if (r < 0)
		return r;
	b->by_attach = true;
	return bind_tie(a, t->promise, b, attach_tied, NULL, err);
}

/* Whoever left a moment ago may not come back yet; who asks waits for that. */
static bool put_off(struct agent *a, struct door_call *call, const struct named_threads *t)
{
	nsec_t left = 0;

	for (size_t i = 0; i < t->n; i++) {
		nsec_t its = waits_left_ns(&a->unpaid, t->threads[i].tid);

		left = its > left ? its : left;
	}
	return left > 0 && later_put_off(a, call, left / NSEC_PER_MSEC + 1);
}

void call_attach(struct agent *a, struct door_call *call)
{
	struct named_threads t;
	struct err err = ERR_NULL;
	int r;

	if (!name_threads(a, call, &t))
		return;
	/*
	 * The event may still be on the way. Who comes by the reservation's own socket is a member of what
	 * is there, and would lose that socket with it.
	 */
	if (!call->own[0] && promise_by_attach(t.promise))
		follow_forget_ended(a, t.promise);
	if (!may_attach(a, call, &t) || !bind_can_follow(a, call, t.promise->request.name) ||
		put_off(a, call, &t))
		return;
	r = tie_to_process(a, &t, &err);
	if (r < 0) {
		door_error(call, bind_error(r), t.promise->request.name, err.text);
		return;
	}
	write_threads(a, call, &t, COMMIT_ATTACH, attached);
}

static void detached(struct agent *a, struct commit *c, int r)
{
	struct door_call *call = c->context;
	struct promise *p = promises_find(&a->promises, c->name);

	note_failure(call, c, r);
	/* Still on disk, so it still is under it. */
	if (r < 0 && p->bindings)
		add_by_hand(a, p, c->pid, c->thread.tid, c->thread.start);
	if (c->more)
		return;
	p->settled = true;
	follow_attached(a, p);
	fault_point("detach.reply");
	if (call->failed[0])
		door_error(call, API_FAILED, c->name, call->failed);
	else
		calls_reply_reservation(call, p);
}

void call_detach(struct agent *a, struct door_call *call)
{
	struct named_threads t;
	struct promise *p;

	if (!name_threads(a, call, &t))
		return;
	p = t.promise;
	if (!p->settled || p->state == RESV_DRAINING) {
		bind_refuse_held(call, p);
		return;
	}
	for (size_t i = 0; i < t.n; i++) {
		struct promise_thread *held = promise_thread(p, t.threads[i].tid);

		if (!held || !held->by_hand) {
			door_error(call, API_BAD_ARGUMENT, NULL,
				"only threads that were attached by hand can be detached");
			return;
		}
	}
	for (size_t i = 0; i < t.n; i++)
		enforce_forget(a, p, promise_thread(p, t.threads[i].tid) - p->threads);
	fault_point("detach.stopped");
	write_threads(a, call, &t, COMMIT_DETACH, detached);
}
