/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must be on disk before it is said: changes of the store and of the CDI folder, carried out
 * one after the other by a worker, because fsync(2) has no other way not to block. The rest of the
 * agent asks for a change and is called back when it is durable.
 *
 * The worker is not libuv's: where its uv_async_send() is met half-way, the loop calls sched_yield(2)
 * (uv__async_spin(), src/unix/async.c), which costs a deadline thread the rest of its period.
 */
#pragma once

#include <jansson.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <uv.h>

#include "core/model/info.h"
#include "node/agent/promise.h"
#include "node/store/store.h"

struct agent;
struct commit;

enum commit_kind {
	COMMIT_NONE,
	COMMIT_RESERVE, /* store, CDI file, folder of the own socket */
	COMMIT_RELEASE,
	COMMIT_BIND,
	COMMIT_UNBIND,
	COMMIT_ATTACH,
	COMMIT_DETACH,
	COMMIT_CHANGE, /* a row of history alone */
	COMMIT_HISTORY, /* reads */
	_COMMIT_MAX,
};

/* Called in the loop; `r` is 0 or the error whose sentence is in c->err. */
typedef void commit_done_fn(struct agent *a, struct commit *c, int r);

/* One change; made by commit_create(), filled in, given to commit_start(), which then owns it. */
struct commit {
	enum commit_kind kind;
	struct agent *agent;
	struct commit *next;
	commit_done_fn *done; /* NULL: nobody waits; a failure is logged */
	void *context; /* of done */
	bool more; /* commits of the same context come after it */
	struct err err;

	char name[RESV_NAME_MAX + 1];
	enum change_kind change; /* CHANGE_NONE: no row */
	char why[PROMISE_REASON_MAX];
	/* Strings that are here are freed with it. */
	char *document, *container, *cgroup, *cpus;
	struct store_resv resv;
	struct store_binding binding;
	struct store_thread thread;

	bool lazy; /* COMMIT_RELEASE */
	json_t *history; /* COMMIT_HISTORY: an array of changes */
	int result;
	pid_t pid; /* of the thread; not written */
	/* COMMIT_RELEASE: the threads by hand that come back if it fails; freed with it. */
	struct promise_thread *threads;
	unsigned n_threads;
};

struct commits {
	struct commit *first, *last;
	bool busy; /* the first is the worker's */
	bool begun;
	pthread_t worker;
	sem_t go; /* the first is to be carried out; none: the worker ends */
	int done_fd; /* eventfd(2): it is done */
	uv_poll_t done;
};

int commits_begin(struct agent *a, struct err *err);
/* None may be left; the loop has ended. */
void commits_end(struct agent *a);

/* NULL: out of memory. */
struct commit *commit_create(struct agent *a, enum commit_kind kind, const char *name);
void commit_destroy(struct commit *c);
void commit_start(struct commit *c);
