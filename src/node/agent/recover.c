// SPDX-License-Identifier: Apache-2.0
/*
 * Starting is always recovering: what the store says was promised, against what the kernel says is
 * so. Events are already subscribed to, so that nothing that happens meanwhile is missed.
 */
#include "node/agent/bind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "core/document/document.h"
#include "node/agent/door.h"
#include "node/cdi/cdi.h"
#include "node/kernel/affinity.h"
#include "node/monitor/proc.h"

struct recovery {
	struct agent *agent;
	int result;
	struct err *err;
};

static const char *known_test(const char *name)
{
	for (enum admit_test t = ADMIT_TEST_NONE; name && t < _ADMIT_TEST_MAX; t++)
		if (strcmp(admit_test_name(t), name) == 0)
			return admit_test_name(t);
	return admit_test_name(ADMIT_TEST_NONE);
}

static int load_promise(struct recovery *rec, const struct store_resv *from)
{
	struct agent *a = rec->agent;
	struct resv_request request = { 0 };
	struct err why = ERR_NULL;
	struct cpus cpus = CPUS_NONE;
	struct promise *p;
	cleanup_json json_t *document = json_loads(from->document, 0, NULL);
	int r = document ? document_from_json(document, &request, NULL, &why) : -EINVAL;

	/* A row of another version stays on disk: somebody was promised it. */
	if (r < 0) {
		agent_log("%s: its document in the store is not understood and left as it is: %s",
			from->name, why.text);
		return r == -ENOMEM ? err_set(rec->err, r, "out of memory") : 0;
	}
	r = promise_create(&p, &request, rec->err);
	resv_request_fini(&request);
	if (r < 0)
		return r;
	p->placement = from->placement;
	p->test = known_test(from->test);
	p->created_ms = from->created_ms;
	p->transient = from->transient;
	p->shareable = from->shareable;
	p->settled = true;
	snprintf(p->reason, sizeof(p->reason), "%s", from->reason ? from->reason : "");
	r = promises_add(&a->promises, p, rec->err);
	if (r < 0) {
		promise_destroy(p);
		return r;
	}
	if (from->cpus && cpus_parse(from->cpus, &cpus, &why) < 0)
		agent_log("%s: its CPUs in the store are not understood: %s", from->name, why.text);
	if (room_retake(a, p, &cpus, &why) < 0) {
		snprintf(p->unkept, sizeof(p->unkept), "%.200s", why.text);
		agent_log("%s: promised, but not to be kept now: %s", p->request.name, why.text);
	}
	return 0;
}

static int each_resv(void *context, const struct store_resv *from)
{
	struct recovery *rec = context;

	rec->result = load_promise(rec, from);
	return rec->result;
}

static int each_binding(void *context, const char *name, const struct store_binding *from)
{
	struct recovery *rec = context;
	struct promise *p = promises_find(&rec->agent->promises, name);
	struct binding *b;

	if (!p)
		return 0;
	rec->result = binding_create(&b, from->container, from->cgroup, rec->err);
	if (rec->result < 0)
		return rec->result;
	b->pid = from->pid;
	b->start = from->pid_start;
	b->program = from->program;
	b->by_attach = from->by_attach;
	b->via = from->via;
	b->prepared = true; /* by the agent before */
	promise_add_binding(p, b);
	return 0;
}

/* The process's own, by its cgroup; of those by hand, and without one, the first. */
static struct binding *holder_of(const struct promise *p, pid_t pid)
{
	char path[PROC_CGROUP_MAX];

	for (struct binding *b = p->bindings; b && proc_cgroup(pid, path) == 0; b = b->next)
		if (b->cgroup && strcmp(b->cgroup, path) == 0)
			return b;
	return p->bindings;
}

/* Pinned: that of its servers on which an earlier agent put the thread. */
static int own_cpu(const struct promise *p, pid_t tid)
{
	struct cpus one;

	if (p->placement == PLACEMENT_PINNED && affinity_get(tid, &one) == 0 &&
		cpus_count(&one) == 1)
		for (unsigned i = 0; i < p->n_admitted; i++)
			if (cpus_contains(&one, p->cpus[i]))
				return p->cpus[i];
	return promise_free_cpu(p);
}

static int each_thread(void *context, const struct store_thread *from)
{
	struct recovery *rec = context;
	struct promise *p = promises_find(&rec->agent->promises, from->name);
	struct promise_thread *t;
	struct proc_stat s;
	pid_t pid;

	if (!p || !p->bindings || p->n_threads == p->request.cores ||
		proc_tgid(from->tid, &pid) < 0 || proc_thread_stat(pid, from->tid, &s) < 0 ||
		s.start != from->start)
		return 0;
	tasks_add(&rec->agent->tasks, p, holder_of(p, pid), pid);
	t = &p->threads[p->n_threads];
	*t = (struct promise_thread){
		.pid = pid,
		.tid = from->tid,
		.start = from->start,
		.by_hand = true,
		.cpu = own_cpu(p, from->tid),
	};
	p->n_threads++;
	return 0;
}

/* As this agent sees it: one in another cgroup namespace had another path for the same one. */
static void refresh_cgroup(struct binding *b)
{
	char path[PROC_CGROUP_MAX];
	char *now = b->cgroup && proc_cgroup(b->pid, path) == 0 ? strdup(path) : NULL;

	if (!now)
		return;
	free(b->cgroup);
	b->cgroup = now;
}

/* Who belongs to it without doubt; only then is it asked whose the others are. */
static void find_members(struct agent *a, struct promise *p, struct binding *b)
{
	if (!proc_gone(b->pid, b->start)) {
		refresh_cgroup(b);
		tasks_add(&a->tasks, p, b, b->pid);
	}
	follow_find(a, p, b);
}

/* The container as it is now; without a process left, it is no more. */
static void take_over(struct agent *a, struct promise *p, struct binding *b)
{
	struct err err = ERR_NULL;

	/* Tied to attach threads, and killed before there was one. */
	if (!follow_find(a, p, b) || (b->by_attach && p->n_threads == 0)) {
		follow_unbind(a, p, b);
		return;
	}
	bind_check_running(b);
	/* Of a first process that is gone, children are left: its program has run. So it has
	 * where a thread of it is on, though the program may be the one that it was before. */
	if (!tasks_find(&a->tasks, b->pid) || enforce_finds_on(a, p, b->pid))
		b->running = true;
	if (bind_prepare(a, p, b, &err) < 0) {
		snprintf(b->trouble, sizeof(b->trouble), "%.200s", err.text);
		agent_log("%s: %s", p->request.name, err.text);
	}
}

/* Threads come under it when all its containers are known: they share its servers. */
static void take_over_all(struct agent *a, struct promise *p)
{
	struct binding *next;

	if (!p->bindings)
		return;
	promise_event(p, RESV_EV_BIND);
	p->settled = false;
	for (struct binding *b = p->bindings; b; b = next) {
		next = b->next;
		take_over(a, p, b);
	}
	p->settled = true;
	enforce_threads(a, p);
}

static int write_cdi(struct agent *a, const struct promise *p, struct err *err)
{
	char folder[CONFIG_PATH_MAX];
	struct cdi_spec spec = {
		.name = p->request.name,
		.socket = a->config.socket,
		.hook_path = a->config.hook,
		.resv_socket_dir = folder,
	};

	config_own_dir(&a->config, p->request.name, folder);
	if (mkdir(folder, 0755) < 0 && errno != EEXIST)
		return err_set_errno(err, errno, "make %s", folder);
	return cdi_spec_write(a->config.cdi_dir, &spec, err);
}

static bool is_promised(void *context, const char *name)
{
	struct agent *a = context;

	return promises_find(&a->promises, name);
}

int recover(struct agent *a, struct err *err)
{
	static const struct store_reader reader = { each_resv, each_binding, each_thread };
	struct recovery rec = { .agent = a, .err = err };
	struct promise *next;
	struct err why = ERR_NULL;
	int r = store_load(a->store, &reader, &rec, err);

	if (r < 0)
		return r;
	fault_point("recover.loaded");
	for (struct promise *p = a->promises.first; p; p = p->next)
		for (struct binding *b = p->bindings; b; b = b->next)
			find_members(a, p, b);
	a->recovering = true;
	for (struct promise *p = a->promises.first; p; p = next) {
		next = p->next;
		take_over_all(a, p);
		fault_point("recover.taken-over");
	}
	a->recovering = false;
	follow_listen(a);
	if (enforce_hold(a) < 0)
		agent_log("not all that is promised is held in the kernel yet: trying on");
	fault_point("recover.held");
	await_nobody(a);
	for (struct promise *p = a->promises.first; p; p = p->next)
		if (write_cdi(a, p, &why) < 0)
			agent_log("%s: %s", p->request.name, why.text);
	fault_point("recover.written");
	if (cdi_specs_sweep(a->config.cdi_dir, a->config.socket, is_promised, a, &why) < 0)
		agent_log("%s", why.text);
	/* Their owners' connections ended with the agent that had them. */
	for (struct promise *p = a->promises.first; p; p = p->next)
		intake_expire(a, p);
	if (a->promises.n)
		agent_log("%zu reservation%s taken over", a->promises.n,
			a->promises.n == 1 ? "" : "s");
	return 0;
}
