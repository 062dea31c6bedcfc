// SPDX-License-Identifier: Apache-2.0
/*
 * Bind: which container or program a promise is for. What callers say of a process is looked up
 * in /proc.
 */
#include "node/agent/bind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/params.h"
#include "base/cleanup.h"
#include "base/fault.h"
#include "node/agent/calls.h"
#include "node/kernel/sched.h"
#include "node/monitor/proc.h"

/* Containers that share a reservation start at the same time: they wait for each other's row. */
#define SHARED_MS 1

void bind_check_running(struct binding *b)
{
	uint64_t program;

	if (!b->running && proc_program(b->pid, &program) == 0 && program != b->program)
		b->running = true;
}

int bind_prepare(struct agent *a, struct promise *p, struct binding *b, struct err *err)
{
	int r = enforce_bind(a, p, b, err);

	b->prepared |= r == 0;
	fault_point("bind.prepared");
	if (r == 0 && !p->listener)
		r = door_listen_own(a, p, err);
	fault_point("bind.listening");
	return r;
}

/* A cgroup that the runtime itself is in is not the container's own. */
static bool own_cgroup(pid_t pid, char ret[static PROC_CGROUP_MAX])
{
	char parents[PROC_CGROUP_MAX];
	struct proc_stat s;

	if (proc_cgroup(pid, ret) < 0 || proc_stat(pid, &s) < 0)
		return false;
	return proc_cgroup(s.ppid, parents) < 0 || strcmp(parents, ret) != 0;
}

int bind_create(struct binding **ret, const struct api_bind *asked, struct err *err)
{
	char cgroup[PROC_CGROUP_MAX];
	struct proc_stat s;
	struct binding *b;
	int r = proc_stat(asked->pid, &s);

	if (r < 0 || s.state == 'Z')
		return err_set(err, -ESRCH, "process %d is not there", asked->pid);
	r = binding_create(&b, asked->container,
		asked->container && own_cgroup(asked->pid, cgroup) ? cgroup : NULL, err);
	if (r < 0)
		return r;
	b->pid = asked->pid;
	b->start = s.start;
	b->via = asked->via;
	b->running = asked->running;
	/* Of one that runs already, no program is the runtime's: recovery sees that it has begun. */
	r = asked->running ? 0 : proc_program(b->pid, &b->program);
	if (r < 0) {
		binding_destroy(b);
		return err_set_errno(err, r, "read the program of process %d", asked->pid);
	}
	*ret = b;
	return 0;
}

void bind_end(struct agent *a, struct promise *p, struct binding *b)
{
	if (b->prepared)
		enforce_unbind(a, p, b);
	tasks_remove_all(&a->tasks, b);
	promise_remove_binding(p, b);
	binding_destroy(b);
	if (p->bindings)
		return;
	door_unlisten(TAKE(p->listener));
	follow_listen(a);
	if (p->state != RESV_HELD)
		promise_event(p, RESV_EV_UNBIND);
}

static void bound(struct agent *a, struct commit *c, int r)
{
	struct door_call *call = c->context;
	struct promise *p = promises_find(&a->promises, c->name);
	struct change change = { agent_now_ms(), c->name, change_name(CHANGE_BOUND), c->why };
	struct binding *b = promise_binding(p, c->binding.pid, c->binding.pid_start);

	p->settled = true;
	if (r < 0) {
		if (b)
			bind_end(a, p, b);
		enforce_threads(a, p); /* of other containers, what was told meanwhile */
		intake_expire(a, p);
		door_error(call, API_FAILED, c->name, c->err.text);
		return;
	}
	agent_announce(a, &change);
	if (b && b->running)
		follow_running(a, p, b);
	enforce_threads(a, p); /* its program may have begun meanwhile */
	b = promise_binding(p, c->binding.pid, c->binding.pid_start);
	if (b)
		await_runtime(a, p, b);
	fault_point("bind.reply");
	if (b)
		calls_reply_reservation(call, p);
	else {
		door_error(call, API_NOT_APPLICABLE, c->name, "the process ended meanwhile");
		intake_expire(a, p);
	}
}

static struct commit *bind_commit(struct agent *a, const struct promise *p, const struct binding *b)
{
	struct commit *c = commit_create(a, COMMIT_BIND, p->request.name);

	if (!c)
		return NULL;
	c->container = b->container ? strdup(b->container) : NULL;
	c->cgroup = b->cgroup ? strdup(b->cgroup) : NULL;
	if ((b->container && !c->container) || (b->cgroup && !c->cgroup)) {
		commit_destroy(c);
		return NULL;
	}
	c->binding = (struct store_binding){
		.container = c->container,
		.cgroup = c->cgroup,
		.pid = b->pid,
		.pid_start = b->start,
		.program = b->program,
		.by_attach = b->by_attach,
		.via = b->via,
	};
	c->change = CHANGE_BOUND;
	snprintf(c->why, sizeof(c->why), "process %d%s%.64s", b->pid,
		b->container ? " of container " : "", b->container ? b->container : "");
	return c;
}

int bind_tie(struct agent *a, struct promise *p, struct binding *b, commit_done_fn *done,
	void *context, struct err *err)
{
	struct commit *c;
	int r;

	promise_add_binding(p, b);
	follow_listen(a);
	r = tasks_add(&a->tasks, p, b, b->pid);
	if (r == -EBUSY)
		r = err_set(err, -EBUSY, "process %d holds another reservation already", b->pid);
	else if (r < 0)
		r = err_set(err, r, "process %d is not there", b->pid);
	if (r == 0)
		r = bind_prepare(a, p, b, err);
	c = r == 0 ? bind_commit(a, p, b) : NULL;
	if (!c) {
		bind_end(a, p, b);
		return r < 0 ? r : err_set(err, -ENOMEM, "taktd is out of memory");
	}
	sched_set_reset_on_fork(b->pid);
	if (p->state == RESV_HELD)
		promise_event(p, RESV_EV_BIND);
	p->settled = false;
	fault_point("bind.tied");
	c->done = done;
	c->context = context;
	commit_start(c);
	return 0;
}

void bind_refuse_held(struct door_call *call, const struct promise *p)
{
	const struct binding *b = p->bindings;
	char text[PROMISE_REASON_MAX];

	if (p->state == RESV_DRAINING)
		snprintf(text, sizeof(text), "it is being released: reserve it again first");
	else if (!b)
		snprintf(text, sizeof(text), "it is being changed at this moment: ask again");
	else
		snprintf(text, sizeof(text),
			"held by %s%.64s (process %d): stop that first, or make "
			"another reservation",
			b->container ? "container " : "another program",
			b->container ? b->container : "", b->pid);
	door_error(call, API_BUSY, p->request.name, text);
}

enum api_error bind_error(int code)
{
	return code == -EBUSY ? API_BUSY : code == -ENOMEM ? API_FAILED : API_NOT_APPLICABLE;
}

bool bind_can_follow(const struct agent *a, struct door_call *call, const char *name)
{
	static const char elsewhere[] =
		"the caller is in a PID namespace of its own, and process numbers are this machine's: "
		"ask from the PID namespace that taktd is in";
	const char *why = a->events_why;

	if (!why[0] && !call->own[0] && proc_is_nested(call->pid))
		why = elsewhere;
	if (why[0])
		door_error(call, API_NOT_APPLICABLE, name, why);
	return !why[0];
}

/* A group has its share in the container's own cgroup: two of them would have it twice. */
static bool is_free(const struct promise *p)
{
	if (!p->settled || p->state == RESV_DRAINING)
		return false;
	return !p->bindings ||
	       (p->shareable && !promise_by_attach(p) && p->placement != PLACEMENT_GROUP);
}

static void renamed(struct agent *a, struct commit *c, int r)
{
	struct promise *p = promises_find(&a->promises, c->name);

	if (r < 0)
		door_error(c->context, API_FAILED, c->name, c->err.text);
	else if (!p || !promise_binding(p, c->binding.pid, c->binding.pid_start))
		door_error(c->context, API_NOT_APPLICABLE, c->name, "the process ended meanwhile");
	else
		calls_reply_reservation(c->context, p);
}

/* Who knows the pod knows a better name than the container's id. */
static bool rename_container(struct agent *a, const struct promise *p, struct binding *b,
	const char *container, struct door_call *call)
{
	char *name = strdup(container);
	struct commit *c;

	if (!name)
		return false;
	free(b->container);
	b->container = name;
	c = bind_commit(a, p, b);
	if (!c)
		return false;
	c->change = CHANGE_NONE;
	c->done = renamed;
	c->context = call;
	commit_start(c);
	return true;
}

/* The same process again: an answer was lost, or more is known of it now. */
static void bind_again(struct agent *a, struct promise *p, struct binding *b,
	const struct api_bind *asked, struct door_call *call)
{
	if (asked->running && !b->running) {
		b->running = true;
		enforce_threads(a, p);
	}
	if (!asked->running || !asked->container || !b->container ||
		strcmp(asked->container, b->container) == 0)
		calls_reply_reservation(call, p);
	else if (!rename_container(a, p, b, asked->container, call))
		door_error(call, API_FAILED, NULL, "taktd is out of memory");
}

static struct binding *bound_before(const struct promise *p, pid_t pid)
{
	struct proc_stat s;

	if (!p->settled || proc_stat(pid, &s) < 0 || proc_gone(pid, s.start))
		return NULL;
	return promise_binding(p, pid, s.start);
}

void call_bind(struct agent *a, struct door_call *call)
{
	struct api_bind asked;
	struct binding *b;
	struct err err = ERR_NULL;
	struct promise *p;
	int r;

	if (api_bind_decode(call->message.parameters, &asked, &err) < 0) {
		door_error(call, API_BAD_ARGUMENT, NULL, err.text);
		return;
	}
	p = calls_find(call, asked.name);
	if (!p)
		return;
	b = bound_before(p, asked.pid);
	if (b) {
		bind_again(a, p, b, &asked, call);
		return;
	}
	if (p->shareable && !p->settled && p->state != RESV_DRAINING) {
		later_ask(a, call, SHARED_MS);
		return;
	}
	if (!is_free(p)) {
		follow_forget_ended(a, p); /* the event may still be on the way */
		p = calls_find(call, asked.name);
		if (!p)
			return;
	}
	if (!is_free(p)) {
		bind_refuse_held(call, p);
		return;
	}
	if (!bind_can_follow(a, call, asked.name))
		return;
	r = bind_create(&b, &asked, &err);
	if (r == 0)
		r = bind_tie(a, p, b, bound, call, &err);
	if (r < 0)
		door_error(call, bind_error(r), asked.name, err.text);
}
