/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What NRI tells of pods and containers, and what a plugin may ask for. Used by the plugin's half
 * of the protocol and by whoever decides for it; no text here is NULL, an absent one is "".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Source of all: containerd/nri pkg/api/api.proto. Everything is borrowed. */
struct nri_pod {
	const char *id; /* of the sandbox */
	const char *name, *uid, *namespace; /* Kubernetes' */
	const char *cgroup_parent;
};

enum nri_container_state {
	NRI_CONTAINER_UNKNOWN,
	NRI_CONTAINER_CREATED,
	NRI_CONTAINER_PAUSED,
	NRI_CONTAINER_RUNNING,
	NRI_CONTAINER_STOPPED,
};

/* LinuxSchedulerPolicy */
#define NRI_SCHED_NONE 0 /* nothing is said */
#define NRI_SCHED_FIFO 2
#define NRI_SCHED_RR 3
#define NRI_SCHED_DEADLINE 7

struct nri_scheduler {
	int policy; /* NRI_SCHED_* */
	bool reset_on_fork;
	uint64_t runtime_ns, deadline_ns, period_ns;
};

struct nri_container {
	const char *id, *pod_id, *name;
	enum nri_container_state state;
	/* "KEY=VALUE", as the user and CDI have put it: a claim, no proof. */
	const char *const *env;
	size_t n_env;
	const char *const *cdi_devices; /* "rt.takt.dev/reservation=x"; runtimes since NRI 0.10 */
	size_t n_cdi_devices;
	const char *cgroups_path, *cpus;
	const char *new_cpus; /* what an update asks for */
	struct nri_scheduler scheduler;
	uint32_t pid; /* 0: has none */
};

struct nri_variable {
	const char *key, *value;
};

struct nri_hook {
	const char *path; /* absolute */
	const char *const *args, *const *env; /* args[0] is the name */
	size_t n_args, n_env;
	int timeout_s; /* 0: none */
};

/*
 * What is to be different in a container that is being created. A field that another plugin has
 * set as well makes the runtime refuse the container (pkg/api/owners.go).
 */
struct nri_adjustment {
	const struct nri_variable *annotations; /* of the runtime-spec: hooks see them */
	size_t n_annotations;
	const struct nri_variable *env;
	size_t n_env;
	const struct nri_hook *create_runtime;
	size_t n_create_runtime;
	const char *const *cdi_devices;
	size_t n_cdi_devices;
	const char *cpus; /* NULL or "": no change */
	struct nri_scheduler scheduler; /* NRI_SCHED_NONE: no change; needs NRI 0.11 */
};

struct nri_update {
	const char *container_id;
	const char *cpus;
	bool ignore_failure;
};
