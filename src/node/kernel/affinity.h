/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPUs that a thread may use, sched_setaffinity(2), in the house's own set type. Used by the
 * placements and the probe.
 */
#pragma once

#include <sys/types.h>

#include "core/model/cpus.h"

int affinity_get(pid_t tid, struct cpus *ret); /* negative errno */
int affinity_set(pid_t tid, const struct cpus *cpus);
