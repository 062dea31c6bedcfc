/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A promise: one reservation as the agent holds it, with who runs under it, and all of them by
 * name. Used by every file of the agent.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "core/model/info.h"
#include "core/model/resv.h"

#define PROMISE_REASON_MAX 256

/* Who holds a reservation: a container or a program, with all processes that it has. */
struct binding {
	struct binding *next; /* of the same promise, where it is shareable */
	pid_t pid; /* its first process */
	uint64_t start;
	/* The program that pid ran when it was bound (a runtime's init); its own comes by exec. */
	uint64_t program; /* proc_program() */
	bool prepared; /* what its threads need was made: see kern_ops.bind */
	bool running; /* its own program has begun: the rule for threads holds from then on */
	bool early; /* the rule holds from before that on: see await_runtime() */
	bool by_attach; /* threads were put in by hand; the rule for threads does not hold */
	bool some_ended; /* of its tasks, or it has none: follow.c */
	enum bind_via via;
	char *container; /* NULL: none given */
	char *cgroup; /* NULL: none of its own */
	struct task *tasks, *last_task; /* first come, first served */
	unsigned n_tasks;
	char trouble[PROMISE_REASON_MAX]; /* why it was not taken over as it was; "": it was */
};

/* A thread that holds a server. */
struct promise_thread {
	pid_t pid, tid;
	uint64_t start;
	bool by_hand;
	bool on; /* false: asked for, and the kernel has not let it yet */
	int cpu; /* pinned; else -1 */
	unsigned looks; /* at it, by enforce_audit() */
	uint64_t owing_deadline_ns, owing_since_ns; /* unpaid.c */
};

struct peer;

struct promise {
	struct promise *next, *previous;
	struct resv_request request;
	enum resv_state state;
	enum placement placement;
	bool settled; /* its last change is on disk; until then nobody else may change it */

	/* What admission said; one id, or for `pinned` one and a CPU for each server. */
	uint32_t *admit_ids;
	int *cpus;
	unsigned n_admitted;
	const char *test;
	char reason[PROMISE_REASON_MAX];
	int64_t created_ms;

	struct binding *bindings; /* in the order in which they came; NULL: nobody holds it */
	struct listener *listener; /* its own socket, while somebody holds it */
	bool shareable; /* by several containers; else there is one binding */
	bool transient; /* released when nobody holds it and there is no owner */
	const struct peer *owner; /* transient: the connection that reserved it; NULL: closed */
	struct promise_thread *threads; /* room for request.cores */
	unsigned n_threads;
	bool flagged; /* of its bindings, threads come under it in a moment */
	unsigned looks; /* at its idle servers, by follow_audit() */

	/* What is wrong with it, each "" or false where nothing is; trouble.c makes one of all. */
	char unkept[PROMISE_REASON_MAX]; /* why this machine cannot keep it, since taktd started */
	char refused[PROMISE_REASON_MAX]; /* a thread that the kernel does not let in */
	bool owing; /* a thread of it must not come back yet: see unpaid.c */
	bool confined; /* a thread of it may not use all CPUs any more */
	char trouble[PROMISE_REASON_MAX]; /* as told */
	char trouble_stored[PROMISE_REASON_MAX]; /* as history has it */
};

struct promises {
	struct promise *first, *last;
	size_t n;
	void *by_name; /* tsearch(3) */
};

/* Takes over what `request` owns, on success only. Not yet among the promises. */
int promise_create(struct promise **ret, struct resv_request *request, struct err *err);
void promise_destroy(struct promise *p);

int promises_add(struct promises *all, struct promise *p, struct err *err);
void promises_remove(struct promises *all, struct promise *p);
struct promise *promises_find(const struct promises *all, const char *name);

/* Strings are copied. */
int binding_create(
	struct binding **ret, const char *container, const char *cgroup, struct err *err);
void binding_destroy(struct binding *b);

/* Takes `b` over. */
void promise_add_binding(struct promise *p, struct binding *b);
/* Gives it back to the caller; it has no tasks any more. */
void promise_remove_binding(struct promise *p, struct binding *b);
/* The one with that first process; NULL: none. */
struct binding *promise_binding(const struct promise *p, pid_t pid, uint64_t start);
/* Threads were put in by hand, and only they hold it. */
bool promise_by_attach(const struct promise *p);

/* Moves the state; an event that the table does not have there is logged as our own fault. */
void promise_event(struct promise *p, enum resv_event event);

/* NULL where the thread holds no server of it. */
struct promise_thread *promise_thread(const struct promise *p, pid_t tid);

/* Pinned: a CPU of its servers that none of its threads has; else, and where there is none, -1. */
int promise_free_cpu(const struct promise *p);

/* One server's bandwidth, as counted. */
bw_t promise_server_bandwidth(const struct promise *p);
