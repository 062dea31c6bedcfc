/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the processes of pods tell of the kubelet: its cgroup driver by the names of their cgroups, its
 * CPU manager by the CPUs that they may use. Pure; used by takt-dra, which may not ask the kubelet for
 * its configuration (configz needs the right nodes/proxy).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/model/cpus.h"

#define PODS_CONTAINERS_MAX 512 /* those behind them are not looked at */
#define PODS_NAME_MAX 16
#define PODS_CPUS_MAX 32

/* A container, or a pod's sandbox. */
struct pods_container {
	uint64_t id; /* a hash of its cgroup's path */
	/*
	 * A process of it may use all CPUs, or is under SCHED_DEADLINE: then its cpuset is not
	 * narrow, whatever its other programs have chosen for themselves.
	 */
	bool wide;
	int pid; /* of the first process that was seen */
	char name[PODS_NAME_MAX];
	char cpus[PODS_CPUS_MAX]; /* which it may use; cut where it is long */
};

struct pods {
	struct cpus all; /* of the node, for placement `shared` */
	bool systemd, cgroupfs; /* drivers whose names were seen */
	bool v1; /* in a hierarchy of cgroup v1 */
	size_t n;
	struct pods_container containers[PODS_CONTAINERS_MAX];
};

/* Whether the text of /proc/PID/cgroup is that of a pod's process. */
bool pods_has(const char *cgroup);

/*
 * Adds such a process; status: the text of /proc/PID/status, policy: as sched_getscheduler(2) says,
 * negative where it has gone. Texts of other forms add nothing.
 */
void pods_see(struct pods *p, int pid, const char *cgroup, const char *status, int policy);
