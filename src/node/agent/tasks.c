// SPDX-License-Identifier: Apache-2.0
#include "node/agent/tasks.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>

#include "node/agent/promise.h"
#include "node/monitor/proc.h"

static int compare_pids(const void *a, const void *b)
{
	const struct task *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

struct task *tasks_find(const struct tasks *all, pid_t pid)
{
	struct task key = { .pid = pid };
	struct task *const *found = tfind(&key, &all->by_pid, compare_pids);

	return found ? *found : NULL;
}

static int add(struct tasks *all, struct promise *p, struct binding *b, pid_t pid, bool ended_too)
{
	struct task *t = tasks_find(all, pid);
	struct proc_stat s;
	int r;

	/* An entry under this number may be of a process that has ended since. */
	if (t && proc_gone(pid, t->start)) {
		tasks_remove(all, t);
		t = NULL;
	}
	if (t)
		return t->binding == b ? 0 : -EBUSY;
	r = proc_stat(pid, &s);
	if (r < 0 && !ended_too)
		return -ESRCH;
	if (r < 0)
		s.start = r == -ESRCH ? 0 : PROC_START_UNKNOWN;
	t = malloc(sizeof(*t));
	if (!t)
		return -ENOMEM;
	*t = (struct task){
		.pid = pid, .start = s.start, .promise = p, .binding = b, .previous = b->last_task
	};
	if (!tsearch(t, &all->by_pid, compare_pids)) {
		free(t);
		return -ENOMEM;
	}
	if (b->last_task)
		b->last_task->next = t;
	else
		b->tasks = t;
	b->last_task = t;
	b->n_tasks++;
	all->n++;
	return 0;
}

int tasks_add(struct tasks *all, struct promise *p, struct binding *b, pid_t pid)
{
	return add(all, p, b, pid, false);
}

int tasks_add_forked(struct tasks *all, struct promise *p, struct binding *b, pid_t pid)
{
	return add(all, p, b, pid, true);
}

void tasks_remove(struct tasks *all, struct task *t)
{
	struct binding *b = t->binding;

	tdelete(t, &all->by_pid, compare_pids);
	if (t->previous)
		t->previous->next = t->next;
	else
		b->tasks = t->next;
	if (t->next)
		t->next->previous = t->previous;
	else
		b->last_task = t->previous;
	b->n_tasks--;
	all->n--;
	free(t);
}

void tasks_remove_all(struct tasks *all, struct binding *b)
{
	while (b->tasks)
		tasks_remove(all, b->tasks);
}
