// SPDX-License-Identifier: Apache-2.0
/*
 * The service that the runtime calls. Each event is a row: the method since NRI 0.12, the number
 * that subscribes it and that an older runtime puts into StateChange, and who hears it.
 */
#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "cluster/wire/nri/codec_private.h"
#include "cluster/wire/nri/plugin_private.h"

#define PLUGIN_SERVICE "nri.pkg.api.v1alpha1.Plugin"

/* enum Event of api.proto. */
enum event {
	RUN_POD = 1,
	STOP_POD,
	REMOVE_POD,
	CREATE_CONTAINER,
	POST_CREATE_CONTAINER,
	START_CONTAINER,
	POST_START_CONTAINER,
	UPDATE_CONTAINER,
	POST_UPDATE_CONTAINER,
	STOP_CONTAINER,
	REMOVE_CONTAINER,
	UPDATE_POD,
	_EVENT_MAX,
};

/* The last one that a runtime without NRI_version knows; it refuses a plugin that asks for more. */
#define LAST_OLD_EVENT REMOVE_CONTAINER

typedef void (*pod_handler)(void *user, const struct nri_pod *pod);
typedef void (*container_handler)(
	void *user, const struct nri_pod *pod, const struct nri_container *container);

static pod_handler pod_handler_of(const struct nri_handlers *h, unsigned event)
{
	switch (event) {
	case RUN_POD:
		return h->pod_started;
	case STOP_POD:
		return h->pod_stopped;
	case REMOVE_POD:
		return h->pod_removed;
	case UPDATE_POD:
		return h->pod_updating;
	}
	return NULL;
}

static container_handler container_handler_of(const struct nri_handlers *h, unsigned event)
{
	switch (event) {
	case POST_CREATE_CONTAINER:
		return h->container_created;
	case START_CONTAINER:
		return h->container_starting;
	case POST_START_CONTAINER:
		return h->container_started;
	case UPDATE_CONTAINER:
		return h->container_updating;
	case POST_UPDATE_CONTAINER:
		return h->container_updated;
	case STOP_CONTAINER:
		return h->container_stopped;
	case REMOVE_CONTAINER:
		return h->container_removed;
	}
	return NULL;
}

static uint32_t subscription(const struct nri_handlers *h, bool new_runtime)
{
	unsigned last = new_runtime ? _EVENT_MAX - 1 : LAST_OLD_EVENT;
	uint32_t mask = 0;

	for (unsigned event = RUN_POD; event <= last; event++)
		if (event == CREATE_CONTAINER || pod_handler_of(h, event) ||
			container_handler_of(h, event))
			mask |= 1u << (event - 1);
	return mask;
}

static void answer(struct nri_plugin *p, uint32_t stream, struct bytes payload)
{
	int r = ttrpc_server_answer(&p->server, stream, payload);

	if (r < 0)
		plugin_fail(p, r, "answer the runtime");
}

static void refuse(struct nri_plugin *p, uint32_t stream, enum ttrpc_code code, const char *text)
{
	int r = ttrpc_server_refuse(&p->server, stream, code, text);

	if (r < 0)
		plugin_fail(p, r, "answer the runtime");
}

static void refuse_unread(struct nri_plugin *p, uint32_t stream, int code)
{
	if (code == -EBADMSG)
		refuse(p, stream, TTRPC_INVALID_ARGUMENT, "the message cannot be read");
	else
		refuse(p, stream, TTRPC_RESOURCE_EXHAUSTED,
			"the message needs more memory than there is for it");
}

static void on_configure(
	void *user, const struct ttrpc_method *m, uint32_t stream, struct bytes payload)
{
	cleanup_arena struct arena arena = ARENA_NULL;
	struct nri_plugin *p = user;
	struct codec_configure c;
	struct nri_runtime runtime;
	struct bytes reply;
	int r = codec_read_configure(&arena, payload, &c);

	if (r == 0)
		r = codec_write_configured(&arena, subscription(p->handlers, c.nri_version[0]),
			p->id.fail_request, p->id.keep_connected, &reply);
	if (r < 0) {
		refuse_unread(p, stream, r);
		return;
	}
	runtime = (struct nri_runtime){
		.name = c.runtime_name,
		.version = c.runtime_version,
		.nri_version = c.nri_version,
		.config = c.config,
		.request_timeout_ms = c.request_timeout_ms,
	};
	p->state = NRI_CONFIGURED;
	if (p->handlers->configured)
		p->handlers->configured(p->user, &runtime);
	answer(p, stream, reply);
}

static void tell_known(struct nri_plugin *p, const struct codec_synchronize *s)
{
	for (size_t i = 0; p->handlers->known_pod && i < s->n_pods; i++)
		p->handlers->known_pod(p->user, &s->pods[i]);
	for (size_t i = 0; p->handlers->known_container && i < s->n_containers; i++)
		p->handlers->known_container(p->user, &s->containers[i]);
	p->state = s->more ? NRI_SYNCHRONIZING : NRI_READY;
	if (!s->more && p->handlers->synchronized)
		p->handlers->synchronized(p->user);
}

static void on_synchronize(
	void *user, const struct ttrpc_method *m, uint32_t stream, struct bytes payload)
{
	cleanup_arena struct arena arena = ARENA_NULL;
	struct nri_plugin *p = user;
	struct codec_synchronize s;
	struct bytes reply;
	int r;

	if (p->state < NRI_CONFIGURED) {
		refuse(p, stream, TTRPC_FAILED_PRECONDITION, "Configure comes before Synchronize");
		return;
	}
	r = codec_read_synchronize(&arena, payload, &s);
	if (r == 0)
		r = codec_write_synchronized(&arena, s.more, &reply);
	if (r < 0) {
		refuse_unread(p, stream, r);
		return;
	}
	tell_known(p, &s);
	answer(p, stream, reply);
}

static void on_shutdown(
	void *user, const struct ttrpc_method *m, uint32_t stream, struct bytes payload)
{
	struct nri_plugin *p = user;

	if (p->handlers->shutdown)
		p->handlers->shutdown(p->user);
	answer(p, stream, (struct bytes){ NULL, 0 });
}

static uint64_t call_of(const struct nri_plugin *p, uint32_t stream)
{
	return (uint64_t)p->epoch << 32 | stream;
}

static bool is_pod_event(unsigned event)
{
	return event == UPDATE_POD || event <= REMOVE_POD;
}

/* The event has what it is about. */
static void tell(struct nri_plugin *p, unsigned event, uint32_t stream, const struct codec_event *e)
{
	pod_handler pod = pod_handler_of(p->handlers, event);
	container_handler container = container_handler_of(p->handlers, event);

	if (event == CREATE_CONTAINER) {
		p->handlers->create_container(p->user, call_of(p, stream), &e->pod, &e->container);
		return;
	}
	if (pod)
		pod(p->user, &e->pod);
	if (container)
		container(p->user, &e->pod, &e->container);
	answer(p, stream, (struct bytes){ NULL, 0 });
}

/* r: how reading the event went. */
static void take_event(
	struct nri_plugin *p, unsigned event, uint32_t stream, int r, const struct codec_event *e)
{
	if (p->state < NRI_READY)
		refuse(p, stream, TTRPC_FAILED_PRECONDITION, "Synchronize comes before events");
	else if (r < 0)
		refuse_unread(p, stream, r);
	else if (!e->has_pod || (!is_pod_event(event) && !e->has_container))
		refuse(p, stream, TTRPC_INVALID_ARGUMENT, "the event lacks its pod or container");
	else
		tell(p, event, stream, e);
}

static void on_event(
	void *user, const struct ttrpc_method *m, uint32_t stream, struct bytes payload)
{
	cleanup_arena struct arena arena = ARENA_NULL;
	struct codec_event e;
	int r = is_pod_event(m->tag) ? codec_read_pod_event(&arena, payload, &e)
				     : codec_read_container_event(&arena, payload, &e);

	take_event(user, m->tag, stream, r, &e);
}

/* An event that is not known here is answered as one that was heard: so do all plugins. */
static void on_state_change(
	void *user, const struct ttrpc_method *m, uint32_t stream, struct bytes payload)
{
	cleanup_arena struct arena arena = ARENA_NULL;
	struct nri_plugin *p = user;
	struct codec_event e;
	int r = codec_read_state_change(&arena, payload, &e);

	if (r == 0 && (e.event < RUN_POD || e.event >= _EVENT_MAX || e.event == CREATE_CONTAINER))
		answer(p, stream, (struct bytes){ NULL, 0 });
	else
		take_event(p, r == 0 ? e.event : 0, stream, r, &e);
}

const struct ttrpc_method plugin_methods[] = {
	{ PLUGIN_SERVICE, "Configure", 0, on_configure },
	{ PLUGIN_SERVICE, "Synchronize", 0, on_synchronize },
	{ PLUGIN_SERVICE, "Shutdown", 0, on_shutdown },
	{ PLUGIN_SERVICE, "StateChange", 0, on_state_change },
	{ PLUGIN_SERVICE, "RunPodSandbox", RUN_POD, on_event },
	{ PLUGIN_SERVICE, "UpdatePodSandbox", UPDATE_POD, on_event },
	{ PLUGIN_SERVICE, "StopPodSandbox", STOP_POD, on_event },
	{ PLUGIN_SERVICE, "RemovePodSandbox", REMOVE_POD, on_event },
	{ PLUGIN_SERVICE, "CreateContainer", CREATE_CONTAINER, on_event },
	{ PLUGIN_SERVICE, "PostCreateContainer", POST_CREATE_CONTAINER, on_event },
	{ PLUGIN_SERVICE, "StartContainer", START_CONTAINER, on_event },
	{ PLUGIN_SERVICE, "PostStartContainer", POST_START_CONTAINER, on_event },
	{ PLUGIN_SERVICE, "UpdateContainer", UPDATE_CONTAINER, on_event },
	{ PLUGIN_SERVICE, "PostUpdateContainer", POST_UPDATE_CONTAINER, on_event },
	{ PLUGIN_SERVICE, "StopContainer", STOP_CONTAINER, on_event },
	{ PLUGIN_SERVICE, "RemoveContainer", REMOVE_CONTAINER, on_event },
	{ NULL },
};

static bool is_current(const struct nri_plugin *p, uint64_t call)
{
	return p->state != NRI_DISCONNECTED && call >> 32 == p->epoch;
}

static int answered(int r, struct err *err)
{
	if (r == -ENOENT)
		return err_set(err, r, "the call is answered already, or its connection is gone");
	if (r == -EMSGSIZE)
		return err_set(err, r, "the adjustment is longer than 4 MiB: refused");
	return r < 0 ? err_set_errno(err, r, "answer the runtime") : 0;
}

int nri_plugin_adjust(struct nri_plugin *p, uint64_t call, const struct nri_adjustment *adjustment,
	struct err *err)
{
	cleanup_arena struct arena arena = ARENA_NULL;
	struct bytes payload;
	int r = is_current(p, call) ? 0 : -ENOENT;

	if (r == 0)
		r = codec_write_adjustment(&arena, adjustment, &payload);
	if (r == 0)
		r = ttrpc_server_answer(&p->server, (uint32_t)call, payload);
	return answered(r, err);
}

int nri_plugin_refuse(struct nri_plugin *p, uint64_t call, const char *sentence, struct err *err)
{
	int r = is_current(p, call) ? 0 : -ENOENT;

	if (r == 0)
		r = ttrpc_server_refuse(&p->server, (uint32_t)call, TTRPC_UNKNOWN, sentence);
	return answered(r, err);
}
