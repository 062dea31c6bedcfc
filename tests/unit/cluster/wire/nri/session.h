/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin that writes down what it hears, and a runtime that a test plays. For the tests of this
 * folder.
 */
#pragma once

#include <stdarg.h>

#include "base/cleanup.h"
#include "wire.h"

struct session {
	struct nri_plugin *plugin;
	struct text in; /* what the runtime has written and the plugin not read */
	size_t step; /* bytes at a time; 0: all */
	struct err err;
	char heard[1024], new_cpus[16];
	uint64_t call; /* of the last create_container */
	void (*look)(const struct nri_container *c);
};

#define SESSION_NULL ((struct session){ 0 })

static inline void session_fini(struct session *s)
{
	nri_plugin_destroy(s->plugin);
	text_fini(&s->in);
}

#define cleanup_session __attribute__((cleanup(session_fini)))

__attribute__((format(printf, 2, 3))) static inline void hear(
	struct session *s, const char *format, ...)
{
	size_t used = strlen(s->heard);
	va_list args;

	va_start(args, format);
	vsnprintf(s->heard + used, sizeof(s->heard) - used, format, args);
	va_end(args);
}

static inline void on_configured(void *user, const struct nri_runtime *r)
{
	hear(user, "configured %s %s %s %s %d\n", r->name, r->version, r->nri_version, r->config,
		(int)r->request_timeout_ms);
}

static inline void on_known_pod(void *user, const struct nri_pod *p)
{
	hear(user, "pod %s %s %s %s %s\n", p->id, p->name, p->uid, p->namespace, p->cgroup_parent);
}

static inline void on_known_container(void *user, const struct nri_container *c)
{
	hear(user, "container %s\n", c->id);
}

static inline void on_synchronized(void *user)
{
	hear(user, "synchronized\n");
}

static inline void on_create(
	void *user, uint64_t call, const struct nri_pod *p, const struct nri_container *c)
{
	struct session *s = user;

	s->call = call;
	if (s->look)
		s->look(c);
	hear(s, "create %s in %s\n", c->id, p->id);
}

#define HEARS_CONTAINER(verb)                                                       \
	static inline void on_##verb(                                               \
		void *user, const struct nri_pod *p, const struct nri_container *c) \
	{                                                                           \
		struct session *s = user;                                           \
                                                                                    \
		if (s->look)                                                        \
			s->look(c);                                                 \
		snprintf(s->new_cpus, sizeof(s->new_cpus), "%s", c->new_cpus);      \
		hear(s, #verb " %s\n", c->id);                                      \
	}

HEARS_CONTAINER(created)
HEARS_CONTAINER(starting)
HEARS_CONTAINER(started)
HEARS_CONTAINER(updating)
HEARS_CONTAINER(updated)
HEARS_CONTAINER(stopped)
HEARS_CONTAINER(removed)

#define HEARS_POD(verb)                                                       \
	static inline void on_pod_##verb(void *user, const struct nri_pod *p) \
	{                                                                     \
		hear(user, "pod " #verb " %s\n", p->id);                      \
	}

HEARS_POD(started)
HEARS_POD(updating)
HEARS_POD(stopped)
HEARS_POD(removed)

static inline void on_shutdown(void *user)
{
	hear(user, "shutdown\n");
}

static inline void on_update_done(
	void *user, const char *const *failed, size_t n_failed, const struct err *err)
{
	if (err)
		hear(user, "update: %s\n", err->text);
	else
		hear(user, "updated, not %s\n", n_failed > 0 ? failed[0] : "one");
}

static const struct nri_handlers handlers = {
	.configured = on_configured,
	.known_pod = on_known_pod,
	.known_container = on_known_container,
	.synchronized = on_synchronized,
	.create_container = on_create,
	.container_created = on_created,
	.container_starting = on_starting,
	.container_started = on_started,
	.container_updating = on_updating,
	.container_updated = on_updated,
	.container_stopped = on_stopped,
	.container_removed = on_removed,
	.pod_started = on_pod_started,
	.pod_updating = on_pod_updating,
	.pod_stopped = on_pod_stopped,
	.pod_removed = on_pod_removed,
	.shutdown = on_shutdown,
};

static const struct nri_adjustment full_adjustment = {
	.annotations = &(struct nri_variable){ "rt.takt.dev/scheduler", "runtime" },
	.n_annotations = 1,
	.env = &(struct nri_variable){ "KEY", "value" },
	.n_env = 1,
	.create_runtime =
		&(struct nri_hook){
			.path = "/bin/hook",
			.args = (const char *const[]){ "hook" },
			.n_args = 1,
			.env = (const char *const[]){ "PATH=/" },
			.n_env = 1,
			.timeout_s = 5,
		},
	.n_create_runtime = 1,
	.cdi_devices = (const char *const[]){ "rt.takt.dev/reservation=x" },
	.n_cdi_devices = 1,
	.cpus = "2-3",
	.scheduler = { NRI_SCHED_DEADLINE, true, 2000000, 10000000, 20000000 },
};

/* Feeds all that the runtime has written. */
static inline int session_feed(struct session *s)
{
	struct bytes all = text_bytes(&s->in);
	size_t step = s->step ? s->step : all.len;
	int r = 0;

	while (all.len > 0 && r == 0) {
		struct bytes in = { all.at, all.len < step ? all.len : step };

		all = bytes_skip(all, in.len);
		r = nri_plugin_feed(s->plugin, in, &s->err);
	}
	text_fini(&s->in);
	return r;
}

static inline void session_forget_output(struct session *s)
{
	nri_plugin_written(s->plugin, nri_plugin_output(s->plugin).len);
}

static inline void session_begin_with(struct session *s, const struct nri_handlers *h)
{
	struct nri_identity id = { "takt", "10", .fail_request = true };

	*s = SESSION_NULL;
	CHECK_EQ(nri_plugin_create(&id, h, s, &s->plugin, NULL), 0);
	CHECK_EQ(nri_plugin_connected(s->plugin, NULL), 0);
}

static inline void session_begin(struct session *s)
{
	session_begin_with(s, &handlers);
}

static inline void session_registered(struct session *s)
{
	session_begin(s);
	session_forget_output(s);
	put_answer(&s->in, 1, (struct text){ 0 });
	CHECK_EQ(session_feed(s), 0);
}

static inline void session_configured(struct session *s)
{
	session_registered(s);
	put_call(&s->in, 1, "Configure", configure("v0.12.5"));
	CHECK_EQ(session_feed(s), 0);
	session_forget_output(s);
	s->heard[0] = '\0';
}

/* From any state, by calls from that stream on. */
static inline void session_ready_from(struct session *s, uint32_t stream)
{
	put_call(&s->in, stream, "Configure", configure("v0.12.5"));
	put_call(&s->in, stream + 2, "Synchronize", (struct text){ 0 });
	CHECK_EQ(session_feed(s), 0);
	CHECK_EQ(nri_plugin_state(s->plugin), NRI_READY);
	session_forget_output(s);
	s->heard[0] = '\0';
}

static inline void session_ready(struct session *s)
{
	session_registered(s);
	session_ready_from(s, 1);
}

/* The status of the next answer, which is for that stream. */
static inline int session_status(struct session *s, uint32_t stream)
{
	cleanup_sent struct sent m = take(s->plugin);

	CHECK_EQ(m.connection, PLUGIN);
	CHECK_EQ(m.stream, stream);
	return status_of(&m);
}
