// SPDX-License-Identifier: Apache-2.0
/*
 * The methods of rt.takt.varlink: who may call which, and the short ones. Reserve and Release
 * stand in intake.c, Bind, Attach and Detach in bind.c.
 */
#include "node/agent/calls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/encode.h"
#include "api/params.h"
#include "base/cleanup.h"
#include "core/model/cpus.h"
#include "node/agent/agent.h"
#include "node/monitor/proc.h"

#define CHECKS_MAX 64

struct resv_info calls_info(
	const struct agent *a, const struct promise *p, struct resv_thread *threads)
{
	struct resv_info info = {
		.request = &p->request,
		.state = p->state,
		.placement = p->placement,
		.test = p->test,
		.reason = p->reason,
		.container = p->bindings ? p->bindings->container : NULL,
		.cgroup = p->bindings ? p->bindings->cgroup : NULL,
		.via = p->bindings ? p->bindings->via : VIA_NONE,
		.trouble = p->trouble[0] ? p->trouble : NULL,
		.threads = threads,
	};

	if (p->placement == PLACEMENT_PINNED) {
		info.cpus = p->cpus;
		info.n_cpus = p->n_admitted;
	}
	info.has_bound = room_bound(a, p, &info.bound_ns);
	for (unsigned i = 0; i < p->n_threads; i++) {
		struct proc_stat s;

		if (!p->threads[i].on ||
			proc_thread_stat(p->threads[i].pid, p->threads[i].tid, &s) < 0)
			continue;
		threads[info.n_threads].tid = p->threads[i].tid;
		memcpy(threads[info.n_threads].name, s.comm, sizeof(s.comm));
		info.n_threads++;
	}
	return info;
}

json_t *calls_encode(const struct agent *a, const struct promise *p)
{
	cleanup_free struct resv_thread *threads = calloc(p->request.cores, sizeof(*threads));
	cleanup_free const char **containers = NULL;
	struct resv_info info;
	size_t n = 0;

	for (const struct binding *b = p->bindings; b; b = b->next)
		n++;
	containers = calloc(n + 1, sizeof(*containers));
	if (!threads || !containers)
		return NULL;
	info = calls_info(a, p, threads);
	info.containers = containers;
	for (const struct binding *b = p->bindings; b; b = b->next)
		if (b->container)
			containers[info.n_containers++] = b->container;
	return api_reservation_encode(&info);
}

void calls_reply_reservation(struct door_call *call, const struct promise *p)
{
	door_reply(call, json_pack("{s:o}", "reservation", calls_encode(call->agent, p)));
}

struct promise *calls_find(struct door_call *call, const char *name)
{
	struct promise *p = promises_find(&call->agent->promises, name);

	if (!p)
		door_error(call, API_NO_SUCH_RESERVATION, name,
			"no reservation has this name: see `takt ps`");
	return p;
}

static bool is_asked(const struct promise *p, const char *name, const char *prefix)
{
	if (prefix)
		return strncmp(p->request.name, prefix, strlen(prefix)) == 0;
	return !name || strcmp(p->request.name, name) == 0;
}

static void call_list(struct agent *a, struct door_call *call)
{
	cleanup_json json_t *list = json_array();
	struct err err = ERR_NULL;
	struct api_list asked;
	const char *name;

	if (api_list_decode(call->message.parameters, &asked, &err) < 0) {
		door_error(call, API_BAD_ARGUMENT, NULL, err.text);
		return;
	}
	name = asked.name;
	if (call->own[0] && (asked.prefix || (name && strcmp(name, call->own) != 0))) {
		door_error(call, API_NOT_PERMITTED, NULL,
			"this socket tells of its own reservation only");
		return;
	}
	if (call->own[0])
		name = call->own;
	if (name && !calls_find(call, name))
		return;
	room_see_cpus(a);
	for (struct promise *p = a->promises.first; p; p = p->next) {
		if (!is_asked(p, name, asked.prefix))
			continue;
		/* Who asks so is about to end them; the event may still be on the way. */
		if (asked.prefix && p->state != RESV_HELD)
			follow_forget_ended(a, p);
		trouble_look(a, p);
		if (json_array_append_new(list, calls_encode(a, p)) < 0) {
			door_error(call, API_FAILED, NULL, "taktd is out of memory");
			return;
		}
	}
	door_reply(call, json_pack("{s:O}", "reservations", list));
}

static void call_node(struct agent *a, struct door_call *call)
{
	struct check checks[CHECKS_MAX];
	struct dl_params own;
	struct node_info n = {
		.cpus = cpus_count(&a->probe.root_domain),
		.granularity_ns = a->overrun.granularity_ns,
		.checks = checks,
		.topology = look_topology(a),
	};

	n.n_topology = n.cpus;
	look_now(a);
	own = agent_own(a);
	n.promised = n.own = dl_bandwidth(&own);
	n.ceiling.q20 = ceiling_limit(a).q20 / n.cpus;
	look_limits(a, &n.limit_ppm, &n.first_limit_ppm);
	n.foreign = a->foreign.sum;
	for (const struct promise *p = a->promises.first; p; p = p->next)
		n.promised.q20 += p->request.cores * promise_server_bandwidth(p).q20;
	n.placements[PLACEMENT_SHARED] = !a->probe.unlimited;
	n.placements[PLACEMENT_PINNED] = a->probe.unlimited;
	n.placements[PLACEMENT_GROUP] = a->kerns[PLACEMENT_GROUP];
	n.n_checks = doctor_checks(a, checks, CHECKS_MAX);
	n.n_checks = told_checks(a, checks, n.n_checks, CHECKS_MAX);
	door_reply(call, api_node_encode(&n));
}

static void call_watch(struct agent *a, struct door_call *call)
{
	if (call->message.more) {
		door_watch(call);
		look_start(a);
	} else
		door_error(call, API_EXPECTED_MORE, NULL, NULL);
}

static void history_read(struct agent *a, struct commit *c, int r)
{
	if (r < 0)
		door_error(c->context, API_FAILED, NULL, c->err.text);
	else
		door_reply(c->context, json_pack("{s:O}", "changes", c->history));
}

static void call_history(struct agent *a, struct door_call *call)
{
	struct err err = ERR_NULL;
	struct commit *c;
	const char *name;

	if (api_name_decode(call->message.parameters, &name, &err) < 0) {
		door_error(call, API_BAD_ARGUMENT, NULL, err.text);
		return;
	}
	c = commit_create(a, COMMIT_HISTORY, name);
	if (!c) {
		door_error(call, API_FAILED, NULL, "taktd is out of memory");
		return;
	}
	c->done = history_read;
	c->context = call;
	commit_start(c);
}

/* `own`: may also come by a reservation's own socket, where it can reach that one only. */
static const struct method {
	const char *name;
	void (*run)(struct agent *a, struct door_call *call);
	bool own;
} methods[] = {
	{ "rt.takt.Reserve", call_reserve, false },
	{ "rt.takt.Release", call_release, false },
	{ "rt.takt.Bind", call_bind, false },
	{ "rt.takt.Attach", call_attach, true },
	{ "rt.takt.Detach", call_detach, true },
	{ "rt.takt.List", call_list, true },
	{ "rt.takt.Node", call_node, false },
	{ "rt.takt.Tell", call_tell, false },
	{ "rt.takt.Watch", call_watch, false },
	{ "rt.takt.History", call_history, false },
};

void calls_dispatch(struct agent *a, struct door_call *call)
{
	pace_check(a);
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		if (strcmp(methods[i].name, call->message.method) != 0)
			continue;
		if (call->own[0] && !methods[i].own)
			door_error(call, API_NOT_PERMITTED, NULL,
				"a container's own socket can attach and detach its threads and "
				"read its reservation, nothing else");
		else
			methods[i].run(a, call);
		return;
	}
	door_error(call, API_METHOD_NOT_FOUND, call->message.method, NULL);
}
