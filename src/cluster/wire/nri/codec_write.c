// SPDX-License-Identifier: Apache-2.0
#include "cluster/wire/nri/codec_private.h"
#include "cluster/wire/nri/nri.pb-c.h"

/* Generated names are long. */
typedef Nri__Pkg__Api__V1alpha1__RegisterPluginRequest pb_register_plugin_request;
typedef Nri__Pkg__Api__V1alpha1__ConfigureResponse pb_configure_response;
typedef Nri__Pkg__Api__V1alpha1__FailurePolicy pb_failure_policy;
typedef Nri__Pkg__Api__V1alpha1__SynchronizeResponse pb_synchronize_response;
typedef Nri__Pkg__Api__V1alpha1__ContainerAdjustment pb_container_adjustment;
typedef Nri__Pkg__Api__V1alpha1__KeyValue pb_key_value;
typedef Nri__Pkg__Api__V1alpha1__Hook pb_hook;
typedef Nri__Pkg__Api__V1alpha1__LinuxResources pb_linux_resources;
typedef Nri__Pkg__Api__V1alpha1__LinuxScheduler pb_linux_scheduler;
typedef Nri__Pkg__Api__V1alpha1__CreateContainerResponse pb_create_container_response;
typedef Nri__Pkg__Api__V1alpha1__ContainerUpdate pb_container_update;
typedef Nri__Pkg__Api__V1alpha1__UpdateContainersRequest pb_update_containers_request;
#define FLAG_RESET_ON_FORK 0 /* LinuxSchedulerFlag */

/* An initialised message in the arena; NULL as arena_get. */
static void *message(struct arena *a, const ProtobufCMessageDescriptor *type)
{
	ProtobufCMessage *m = arena_get(a, 1, type->sizeof_message);

	if (m)
		protobuf_c_message_init(type, m);
	return m;
}

/* A list of n initialised messages. */
static void *messages(struct arena *a, const ProtobufCMessageDescriptor *type, size_t n)
{
	void **list = arena_get(a, n, sizeof(*list));

	for (size_t i = 0; list && i < n; i++) {
		list[i] = message(a, type);
		if (!list[i])
			return NULL;
	}
	return list;
}

static int pack(struct arena *a, const ProtobufCMessage *m, struct bytes *ret)
{
	size_t len = protobuf_c_message_get_packed_size(m);
	char *at = arena_get(a, 1, len);

	if (!at)
		return a->failed;
	protobuf_c_message_pack(m, (uint8_t *)at);
	*ret = (struct bytes){ at, len };
	return 0;
}

int codec_write_register(struct arena *a, const char *name, const char *index, const char *version,
	struct bytes *ret)
{
	pb_register_plugin_request m = NRI__PKG__API__V1ALPHA1__REGISTER_PLUGIN_REQUEST__INIT;

	m.plugin_name = (char *)name;
	m.plugin_idx = (char *)index;
	m.nri_version = (char *)version;
	return pack(a, &m.base, ret);
}

int codec_write_configured(
	struct arena *a, uint32_t events, bool fail_request, bool keep_connected, struct bytes *ret)
{
	pb_configure_response m = NRI__PKG__API__V1ALPHA1__CONFIGURE_RESPONSE__INIT;
	pb_failure_policy policy = NRI__PKG__API__V1ALPHA1__FAILURE_POLICY__INIT;

	policy.fail_request = fail_request;
	policy.keep_connected = keep_connected;
	m.events = events;
	m.failure_policy = &policy;
	return pack(a, &m.base, ret);
}

int codec_write_synchronized(struct arena *a, bool more, struct bytes *ret)
{
	pb_synchronize_response m = NRI__PKG__API__V1ALPHA1__SYNCHRONIZE_RESPONSE__INIT;

	m.more = more;
	return pack(a, &m.base, ret);
}

static pb_key_value **write_variables(struct arena *a, const struct nri_variable *in, size_t n)
{
	pb_key_value **list = messages(a, &nri__pkg__api__v1alpha1__key_value__descriptor, n);

	for (size_t i = 0; list && i < n; i++) {
		list[i]->key = (char *)in[i].key;
		list[i]->value = (char *)in[i].value;
	}
	return list;
}

static int write_env(struct arena *a, const struct nri_adjustment *in, pb_container_adjustment *m)
{
	m->annotations = write_variables(a, in->annotations, in->n_annotations);
	m->env = write_variables(a, in->env, in->n_env);
	if (!m->annotations || !m->env)
		return a->failed;
	m->n_annotations = in->n_annotations;
	m->n_env = in->n_env;
	return 0;
}

static int write_devices(
	struct arena *a, const struct nri_adjustment *in, pb_container_adjustment *m)
{
	m->cdi_devices =
		messages(a, &nri__pkg__api__v1alpha1__cdidevice__descriptor, in->n_cdi_devices);
	if (!m->cdi_devices)
		return a->failed;
	for (size_t i = 0; i < in->n_cdi_devices; i++)
		m->cdi_devices[i]->name = (char *)in->cdi_devices[i];
	m->n_cdi_devices = in->n_cdi_devices;
	return 0;
}

static int write_hook(struct arena *a, const struct nri_hook *in, pb_hook *m)
{
	m->path = (char *)in->path;
	m->args = (char **)in->args;
	m->n_args = in->n_args;
	m->env = (char **)in->env;
	m->n_env = in->n_env;
	if (!in->timeout_s)
		return 0;
	m->timeout = message(a, &nri__pkg__api__v1alpha1__optional_int__descriptor);
	if (!m->timeout)
		return a->failed;
	m->timeout->value = in->timeout_s;
	return 0;
}

static int write_hooks(struct arena *a, const struct nri_adjustment *in, pb_container_adjustment *m)
{
	size_t n = in->n_create_runtime;

	if (n == 0)
		return 0;
	m->hooks = message(a, &nri__pkg__api__v1alpha1__hooks__descriptor);
	if (!m->hooks)
		return a->failed;
	m->hooks->create_runtime = messages(a, &nri__pkg__api__v1alpha1__hook__descriptor, n);
	if (!m->hooks->create_runtime)
		return a->failed;
	for (size_t i = 0; i < n; i++)
		if (write_hook(a, &in->create_runtime[i], m->hooks->create_runtime[i]) < 0)
			return a->failed;
	m->hooks->n_create_runtime = n;
	return 0;
}

static int write_resources(struct arena *a, const char *cpus, pb_linux_resources **ret)
{
	pb_linux_resources *m = message(a, &nri__pkg__api__v1alpha1__linux_resources__descriptor);

	if (m)
		m->cpu = message(a, &nri__pkg__api__v1alpha1__linux_cpu__descriptor);
	if (!m || !m->cpu)
		return a->failed;
	m->cpu->cpus = (char *)cpus;
	*ret = m;
	return 0;
}

static int write_scheduler(
	struct arena *a, const struct nri_scheduler *in, pb_linux_scheduler **ret)
{
	pb_linux_scheduler *m = message(a, &nri__pkg__api__v1alpha1__linux_scheduler__descriptor);

	if (m)
		m->flags = arena_get(a, 1, sizeof(*m->flags));
	if (!m || !m->flags)
		return a->failed;
	m->policy = in->policy;
	m->flags[0] = FLAG_RESET_ON_FORK;
	m->n_flags = in->reset_on_fork;
	m->runtime = in->runtime_ns;
	m->deadline = in->deadline_ns;
	m->period = in->period_ns;
	*ret = m;
	return 0;
}

static int write_linux(struct arena *a, const struct nri_adjustment *in, pb_container_adjustment *m)
{
	bool cpus = in->cpus && in->cpus[0], scheduler = in->scheduler.policy != NRI_SCHED_NONE;

	if (!cpus && !scheduler)
		return 0;
	m->linux_part =
		message(a, &nri__pkg__api__v1alpha1__linux_container_adjustment__descriptor);
	if (!m->linux_part)
		return a->failed;
	if (cpus && write_resources(a, in->cpus, &m->linux_part->resources) < 0)
		return a->failed;
	if (scheduler && write_scheduler(a, &in->scheduler, &m->linux_part->scheduler) < 0)
		return a->failed;
	return 0;
}

int codec_write_adjustment(
	struct arena *a, const struct nri_adjustment *adjustment, struct bytes *ret)
{
	pb_create_container_response m = NRI__PKG__API__V1ALPHA1__CREATE_CONTAINER_RESPONSE__INIT;

	m.adjust = message(a, &nri__pkg__api__v1alpha1__container_adjustment__descriptor);
	if (!m.adjust || write_env(a, adjustment, m.adjust) < 0 ||
		write_hooks(a, adjustment, m.adjust) < 0 ||
		write_linux(a, adjustment, m.adjust) < 0 ||
		write_devices(a, adjustment, m.adjust) < 0)
		return a->failed;
	return pack(a, &m.base, ret);
}

static int write_update(struct arena *a, const struct nri_update *in, pb_container_update *m)
{
	m->container_id = (char *)in->container_id;
	m->ignore_failure = in->ignore_failure;
	m->linux_part = message(a, &nri__pkg__api__v1alpha1__linux_container_update__descriptor);
	if (!m->linux_part)
		return a->failed;
	return write_resources(a, in->cpus, &m->linux_part->resources);
}

int codec_write_updates(
	struct arena *a, const struct nri_update *updates, size_t n, struct bytes *ret)
{
	pb_update_containers_request m = NRI__PKG__API__V1ALPHA1__UPDATE_CONTAINERS_REQUEST__INIT;

	m.update = messages(a, &nri__pkg__api__v1alpha1__container_update__descriptor, n);
	if (!m.update)
		return a->failed;
	for (size_t i = 0; i < n; i++)
		if (write_update(a, &updates[i], m.update[i]) < 0)
			return a->failed;
	m.n_update = n;
	return pack(a, &m.base, ret);
}
