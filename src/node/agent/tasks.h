/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes that belong to a reservation, by process id. The agent's following of events
 * lives on it: one look for every event of the machine.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct binding;
struct promise;

struct task {
	pid_t pid;
	uint64_t start; /* clock ticks after boot */
	bool ended; /* to be removed when all events until then were handed over */
	struct promise *promise;
	struct binding *binding; /* of the promise */
	struct task *next, *previous; /* in its binding */
};

struct tasks {
	void *by_pid; /* tsearch(3) */
	size_t n;
};

struct task *tasks_find(const struct tasks *all, pid_t pid);

/*
 * The process belongs to that binding of the promise from now on. -ESRCH: it is gone; -EBUSY: it
 * belongs to another one. One that is there already is a success.
 */
int tasks_add(struct tasks *all, struct promise *p, struct binding *b, pid_t pid);
/*
 * The same for a process whose fork was just seen: it may have ended already, but its children are
 * still to be known by it. Its exit is still to be seen, and ends it.
 */
int tasks_add_forked(struct tasks *all, struct promise *p, struct binding *b, pid_t pid);
void tasks_remove(struct tasks *all, struct task *t);
/* All of a binding. */
void tasks_remove_all(struct tasks *all, struct binding *b);
