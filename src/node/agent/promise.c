// SPDX-License-Identifier: Apache-2.0
#include "node/agent/promise.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "node/agent/agent.h"

int promise_create(struct promise **ret, struct resv_request *request, struct err *err)
{
	struct promise *p = calloc(1, sizeof(*p));

	if (!p)
		return err_set(err, -ENOMEM, "out of memory");
	p->threads = calloc(request->cores, sizeof(*p->threads));
	p->admit_ids = calloc(request->cores, sizeof(*p->admit_ids));
	p->cpus = calloc(request->cores, sizeof(*p->cpus));
	if (!p->threads || !p->admit_ids || !p->cpus) {
		promise_destroy(p);
		return err_set(err, -ENOMEM, "out of memory");
	}
	p->request = *request;
	*request = (struct resv_request){ 0 };
	p->state = RESV_HELD;
	*ret = p;
	return 0;
}

void promise_destroy(struct promise *p)
{
	if (!p)
		return;
	while (p->bindings) {
		struct binding *b = p->bindings;

		promise_remove_binding(p, b);
		binding_destroy(b);
	}
	resv_request_fini(&p->request);
	free(p->threads);
	free(p->admit_ids);
	free(p->cpus);
	free(p);
}

static int compare_names(const void *a, const void *b)
{
	const struct promise *x = a, *y = b;

	return strcmp(x->request.name, y->request.name);
}

int promises_add(struct promises *all, struct promise *p, struct err *err)
{
	if (!tsearch(p, &all->by_name, compare_names))
		return err_set(err, -ENOMEM, "out of memory");
	p->previous = all->last;
	p->next = NULL;
	if (all->last)
		all->last->next = p;
	else
		all->first = p;
	all->last = p;
	all->n++;
	return 0;
}

void promises_remove(struct promises *all, struct promise *p)
{
	tdelete(p, &all->by_name, compare_names);
	if (p->previous)
		p->previous->next = p->next;
	else
		all->first = p->next;
	if (p->next)
		p->next->previous = p->previous;
	else
		all->last = p->previous;
	all->n--;
}

struct promise *promises_find(const struct promises *all, const char *name)
{
	struct promise key = { 0 };
	struct promise *const *found;

	if (strlen(name) > RESV_NAME_MAX)
		return NULL;
	strcpy(key.request.name, name);
	found = tfind(&key, &all->by_name, compare_names);
	return found ? *found : NULL;
}

int binding_create(struct binding **ret, const char *container, const char *cgroup, struct err *err)
{
	struct binding *b = calloc(1, sizeof(*b));

	if (!b)
		return err_set(err, -ENOMEM, "out of memory");
	b->container = container ? strdup(container) : NULL;
	b->cgroup = cgroup ? strdup(cgroup) : NULL;
	if ((container && !b->container) || (cgroup && !b->cgroup)) {
		binding_destroy(b);
		return err_set(err, -ENOMEM, "out of memory");
	}
	*ret = b;
	return 0;
}

void binding_destroy(struct binding *b)
{
	if (!b)
		return;
	free(b->container);
	free(b->cgroup);
	free(b);
}

void promise_add_binding(struct promise *p, struct binding *b)
{
	struct binding **at = &p->bindings;

	while (*at)
		at = &(*at)->next;
	*at = b;
}

void promise_remove_binding(struct promise *p, struct binding *b)
{
	struct binding **at = &p->bindings;

	while (*at != b)
		at = &(*at)->next;
	*at = b->next;
	b->next = NULL;
}

struct binding *promise_binding(const struct promise *p, pid_t pid, uint64_t start)
{
	struct binding *b = p->bindings;

	while (b && (b->pid != pid || b->start != start))
		b = b->next;
	return b;
}

bool promise_by_attach(const struct promise *p)
{
	return p->bindings && p->bindings->by_attach;
}

void promise_event(struct promise *p, enum resv_event event)
{
	enum resv_state next = resv_next_state(p->state, event);

	if (next == RESV_NONE)
		agent_log("%s: event %d in state %s: a fault of taktd, please report it",
			p->request.name, event, resv_state_name(p->state));
	else
		p->state = next;
}

struct promise_thread *promise_thread(const struct promise *p, pid_t tid)
{
	for (unsigned i = 0; i < p->n_threads; i++)
		if (p->threads[i].tid == tid)
			return &p->threads[i];
	return NULL;
}

int promise_free_cpu(const struct promise *p)
{
	for (unsigned i = 0; i < p->n_admitted && p->placement == PLACEMENT_PINNED; i++) {
		bool taken = false;

		for (unsigned k = 0; k < p->n_threads; k++)
			taken |= p->threads[k].cpu == p->cpus[i];
		if (!taken)
			return p->cpus[i];
	}
	return -1;
}

bw_t promise_server_bandwidth(const struct promise *p)
{
	return dl_bandwidth(&p->request.dl);
}
