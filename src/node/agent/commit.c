// SPDX-License-Identifier: Apache-2.0
#include "node/agent/commit.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/encode.h"
#include "base/cleanup.h"
#include "base/fault.h"
#include "node/agent/agent.h"
#include "node/cdi/cdi.h"
#include "node/kernel/sched.h"

struct commit *commit_create(struct agent *a, enum commit_kind kind, const char *name)
{
	struct commit *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->kind = kind;
	c->agent = a;
	snprintf(c->name, sizeof(c->name), "%s", name);
	return c;
}

void commit_destroy(struct commit *c)
{
	if (!c)
		return;
	free(c->document);
	free(c->container);
	free(c->cgroup);
	free(c->cpus);
	free(c->threads);
	json_decref(c->history);
	free(c);
}

/*
 * The CDI file first, because removing it again needs no room on a full disk; without the promise
 * its hook refuses, and recovery sweeps it away.
 */
static int work_reserve(struct commit *c, const struct change *row)
{
	struct agent *a = c->agent;
	char own_dir[CONFIG_PATH_MAX];
	struct cdi_spec spec = {
		.name = c->name,
		.socket = a->config.socket,
		.hook_path = a->config.hook,
		.resv_socket_dir = own_dir,
	};
	int r;

	config_own_dir(&a->config, c->name, own_dir);
	c->resv.document = c->document;
	c->resv.cpus = c->cpus;
	if (mkdir(own_dir, 0755) < 0 && errno != EEXIST)
		return err_set_errno(&c->err, errno, "make %s", own_dir);
	fault_point("commit.reserve.folder");
	r = cdi_spec_write(a->config.cdi_dir, &spec, &c->err);
	fault_point("commit.reserve.cdi");
	if (r == 0) {
		r = store_reserve(a->store, &c->resv, row, &c->err);
		fault_point("commit.reserve.stored");
		if (r < 0)
			cdi_spec_remove(a->config.cdi_dir, a->config.socket, c->name, NULL);
	}
	if (r < 0)
		rmdir(own_dir);
	return r;
}

/* libuv does not unlink what it bound by way of a folder that is closed (door.c, bind_in). */
static void remove_own(const struct config *config, const char *name)
{
	char own_dir[CONFIG_PATH_MAX], path[CONFIG_PATH_MAX + 16];

	config_own_dir(config, name, own_dir);
	snprintf(path, sizeof(path), "%s/takt.sock", own_dir);
	unlink(path);
	rmdir(own_dir);
}

static int work_release(struct commit *c, const struct change *row)
{
	struct agent *a = c->agent;
	struct err err = ERR_NULL;
	int r = store_release(a->store, c->name, c->lazy, row, &c->err);

	fault_point("commit.release.stored");
	if (r < 0 && r != -ENOENT)
		return r;
	remove_own(&a->config, c->name);
	/* It is released whether or not its file can go: the hook of that one refuses. */
	if (cdi_spec_remove(a->config.cdi_dir, a->config.socket, c->name, &err) < 0)
		agent_log("%s: released, but its CDI file is left until taktd starts anew: %s",
			c->name, err.text);
	fault_point("commit.release.cdi");
	return 0;
}

static int collect_change(void *context, const struct change *change)
{
	struct commit *c = context;

	return json_array_append_new(c->history, api_change_encode(change)) < 0 ? -ENOMEM : 0;
}

static int work_history(struct commit *c)
{
	c->history = json_array();
	if (!c->history)
		return err_set(&c->err, -ENOMEM, "out of memory");
	return store_history(c->agent->store, c->name, collect_change, c, &c->err);
}

/* In the worker: touches the store, the CDI folder and the commit; of the agent, what is fixed. */
static int work(struct commit *c)
{
	struct store *s = c->agent->store;
	struct change change = { agent_now_ms(), c->name, change_name(c->change), c->why };
	const struct change *row = c->change ? &change : NULL;

	switch (c->kind) {
	case COMMIT_RESERVE:
		return work_reserve(c, row);
	case COMMIT_RELEASE:
		return work_release(c, row);
	case COMMIT_BIND:
		return store_bind(s, c->name, &c->binding, row, &c->err);
	case COMMIT_UNBIND:
		return store_unbind(s, c->name, c->binding.pid, c->binding.pid_start, row, &c->err);
	case COMMIT_ATTACH:
		return store_attach(s, c->name, c->thread.tid, c->thread.start, row, &c->err);
	case COMMIT_DETACH:
		return store_detach(s, c->name, c->thread.tid, row, &c->err);
	case COMMIT_CHANGE:
		return store_change(s, &change, &c->err);
	case COMMIT_HISTORY:
		return work_history(c);
	default:
		return err_set(&c->err, -EINVAL, "no such commit: a fault of taktd");
	}
}

static void finish(struct commit *c, int r)
{
	struct agent *a = c->agent;

	if (r < 0 && !c->done)
		agent_log("%s: not written to disk: %s", c->name, c->err.text);
	if (c->done)
		c->done(a, c, r);
	commit_destroy(c);
}

static void *work_on(void *arg)
{
	struct agent *a = arg;
	struct commits *all = &a->commits;
	uint64_t one = 1;

	/* A Bind must not wait behind the load that it is there against, and a Reserve not behind
	 * whoever watches the CDI folder: each step there wakes them. Niceness counts within a session
	 * only (sched(7), autogroup). A commit computes for some 0.2 ms and waits for the disk. */
	if (sched_set_fifo(0, 1) < 0)
		setpriority(PRIO_PROCESS, gettid(), -20);
	for (;;) {
		while (sem_wait(&all->go) < 0)
			;
		if (!all->first)
			return NULL;
		fault_point("commit.begin");
		all->first->result = work(all->first);
		fault_point("commit.end");
		if (write(all->done_fd, &one, sizeof(one)) < 0)
			abort(); /* only where the descriptor is not ours any more */
		store_tidy(a->store);
	}
}

static void next(struct agent *a)
{
	struct commits *all = &a->commits;

	if (all->busy || !all->first)
		return;
	all->busy = true;
	sem_post(&all->go);
}

static void on_done(uv_poll_t *poll, int status, int events)
{
	struct agent *a = container_of(poll, struct agent, commits.done);
	struct commits *all = &a->commits;
	struct commit *c = all->first;
	uint64_t n;

	if (read(all->done_fd, &n, sizeof(n)) < 0)
		return;
	all->busy = false;
	all->first = c->next;
	if (!all->first)
		all->last = NULL;
	finish(c, c->result);
	next(a);
}

static int start_worker(struct agent *a)
{
	sigset_t blocked, before;
	int r;

	sigfillset(&blocked);
	pthread_sigmask(SIG_SETMASK, &blocked, &before);
	r = pthread_create(&a->commits.worker, NULL, work_on, a);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

int commits_begin(struct agent *a, struct err *err)
{
	struct commits *all = &a->commits;
	int r;

	all->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (all->done_fd < 0)
		return err_set_errno(err, errno, "make an eventfd");
	sem_init(&all->go, 0, 0);
	r = start_worker(a);
	if (r < 0) {
		close(all->done_fd);
		return err_set_errno(err, r, "start the thread that writes to disk");
	}
	uv_poll_init(&a->loop, &all->done, all->done_fd);
	uv_poll_start(&all->done, UV_READABLE, on_done);
	all->begun = true;
	return 0;
}

void commits_end(struct agent *a)
{
	struct commits *all = &a->commits;

	if (!all->begun)
		return;
	sem_post(&all->go);
	pthread_join(all->worker, NULL);
	sem_destroy(&all->go);
	close(all->done_fd);
}

void commit_start(struct commit *c)
{
	struct commits *all = &c->agent->commits;

	if (all->last)
		all->last->next = c;
	else
		all->first = c;
	all->last = c;
	next(c->agent);
}
