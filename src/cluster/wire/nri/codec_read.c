// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "cluster/wire/nri/codec_private.h"
#include "cluster/wire/nri/nri.pb-c.h"

/* Generated names are long. */
typedef Nri__Pkg__Api__V1alpha1__PodSandbox pb_pod_sandbox;
typedef Nri__Pkg__Api__V1alpha1__LinuxResources pb_linux_resources;
typedef Nri__Pkg__Api__V1alpha1__LinuxScheduler pb_linux_scheduler;
typedef Nri__Pkg__Api__V1alpha1__LinuxContainer pb_linux_container;
typedef Nri__Pkg__Api__V1alpha1__Container pb_container;
typedef Nri__Pkg__Api__V1alpha1__ConfigureRequest pb_configure_request;
typedef Nri__Pkg__Api__V1alpha1__SynchronizeRequest pb_synchronize_request;
typedef Nri__Pkg__Api__V1alpha1__PodRequest pb_pod_request;
typedef Nri__Pkg__Api__V1alpha1__ContainerRequest pb_container_request;
typedef Nri__Pkg__Api__V1alpha1__StateChangeEvent pb_state_change_event;
typedef Nri__Pkg__Api__V1alpha1__UpdateContainersResponse pb_update_containers_response;

/* A message of the given type out of the bytes; NULL: see the arena for why. */
static void *unpack(struct arena *a, const ProtobufCMessageDescriptor *type, struct bytes in)
{
	ProtobufCAllocator allocator = arena_allocator(a);

	return protobuf_c_message_unpack(type, &allocator, in.len, (const uint8_t *)in.at);
}

static int unreadable(const struct arena *a)
{
	return a->failed ? a->failed : -EBADMSG;
}

static void read_pod(const pb_pod_sandbox *in, struct nri_pod *ret)
{
	*ret = (struct nri_pod){
		.id = in->id,
		.name = in->name,
		.uid = in->uid,
		.namespace = in->namespace_,
		.cgroup_parent = in->linux_part ? in->linux_part->cgroup_parent : "",
	};
}

static const char *read_cpus(const pb_linux_resources *in)
{
	return in && in->cpu ? in->cpu->cpus : "";
}

static void read_scheduler(const pb_linux_scheduler *in, struct nri_scheduler *ret)
{
	*ret = (struct nri_scheduler){
		.policy = in->policy,
		.runtime_ns = in->runtime,
		.deadline_ns = in->deadline,
		.period_ns = in->period,
	};
	for (size_t i = 0; i < in->n_flags; i++)
		ret->reset_on_fork |= in->flags[i] == 0;
}

static void read_linux(const pb_linux_container *in, struct nri_container *ret)
{
	ret->cgroups_path = in->cgroups_path;
	ret->cpus = read_cpus(in->resources);
	if (in->scheduler)
		read_scheduler(in->scheduler, &ret->scheduler);
}

static enum nri_container_state read_state(int state)
{
	return state >= 0 && state <= NRI_CONTAINER_STOPPED ? state : NRI_CONTAINER_UNKNOWN;
}

static int read_container(struct arena *a, const pb_container *in, struct nri_container *ret)
{
	const char **devices = arena_get(a, in->n_cdi_devices, sizeof(*devices));

	if (!devices)
		return a->failed;
	for (size_t i = 0; i < in->n_cdi_devices; i++)
		devices[i] = in->cdi_devices[i]->name;
	*ret = (struct nri_container){
		.id = in->id,
		.pod_id = in->pod_sandbox_id,
		.name = in->name,
		.state = read_state(in->state),
		.env = (const char *const *)in->env,
		.n_env = in->n_env,
		.cdi_devices = devices,
		.n_cdi_devices = in->n_cdi_devices,
		.cgroups_path = "",
		.cpus = "",
		.new_cpus = "",
		.pid = in->pid,
	};
	if (in->linux_part)
		read_linux(in->linux_part, ret);
	return 0;
}

static int read_event(struct arena *a, const pb_pod_sandbox *pod, const pb_container *container,
	struct codec_event *ret)
{
	struct codec_event event = { .has_pod = pod, .has_container = container };
	int r = 0;

	if (pod)
		read_pod(pod, &event.pod);
	if (container)
		r = read_container(a, container, &event.container);
	if (r == 0)
		*ret = event;
	return r;
}

int codec_read_configure(struct arena *a, struct bytes in, struct codec_configure *ret)
{
	pb_configure_request *m =
		unpack(a, &nri__pkg__api__v1alpha1__configure_request__descriptor, in);

	if (!m)
		return unreadable(a);
	*ret = (struct codec_configure){ m->config, m->runtime_name, m->runtime_version,
		m->nri_version, m->request_timeout };
	return 0;
}

int codec_read_synchronize(struct arena *a, struct bytes in, struct codec_synchronize *ret)
{
	pb_synchronize_request *m =
		unpack(a, &nri__pkg__api__v1alpha1__synchronize_request__descriptor, in);
	struct codec_synchronize s;

	if (!m)
		return unreadable(a);
	s = (struct codec_synchronize){
		.pods = arena_get(a, m->n_pods, sizeof(*s.pods)),
		.containers = arena_get(a, m->n_containers, sizeof(*s.containers)),
		.n_pods = m->n_pods,
		.n_containers = m->n_containers,
		.more = m->more,
	};
	if (!s.pods || !s.containers)
		return a->failed;
	for (size_t i = 0; i < s.n_pods; i++)
		read_pod(m->pods[i], &s.pods[i]);
	for (size_t i = 0; i < s.n_containers; i++)
		if (read_container(a, m->containers[i], &s.containers[i]) < 0)
			return a->failed;
	*ret = s;
	return 0;
}

int codec_read_pod_event(struct arena *a, struct bytes in, struct codec_event *ret)
{
	pb_pod_request *m = unpack(a, &nri__pkg__api__v1alpha1__pod_request__descriptor, in);

	return m ? read_event(a, m->pod, NULL, ret) : unreadable(a);
}

int codec_read_container_event(struct arena *a, struct bytes in, struct codec_event *ret)
{
	pb_container_request *m =
		unpack(a, &nri__pkg__api__v1alpha1__container_request__descriptor, in);
	int r = m ? read_event(a, m->pod, m->container, ret) : unreadable(a);

	if (r == 0 && m->container)
		ret->container.new_cpus = read_cpus(m->linux_resources);
	return r;
}

int codec_read_state_change(struct arena *a, struct bytes in, struct codec_event *ret)
{
	pb_state_change_event *m =
		unpack(a, &nri__pkg__api__v1alpha1__state_change_event__descriptor, in);
	int r = m ? read_event(a, m->pod, m->container, ret) : unreadable(a);

	if (r == 0)
		ret->event = m->event;
	return r;
}

int codec_read_updated(
	struct arena *a, struct bytes in, const char *const **ret_failed, size_t *ret_n)
{
	pb_update_containers_response *m =
		unpack(a, &nri__pkg__api__v1alpha1__update_containers_response__descriptor, in);
	const char **ids;

	if (!m)
		return unreadable(a);
	ids = arena_get(a, m->n_failed, sizeof(*ids));
	if (!ids)
		return a->failed;
	for (size_t i = 0; i < m->n_failed; i++)
		ids[i] = m->failed[i]->container_id;
	*ret_failed = ids;
	*ret_n = m->n_failed;
	return 0;
}
