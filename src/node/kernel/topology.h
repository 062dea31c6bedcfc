/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where each CPU sits, and which may be used now, from /sys and our own affinity. Used by the agent
 * for what it tells of the node.
 */
#pragma once

#include "core/model/cpus.h"
#include "core/model/info.h"

/* Core, socket and NUMA node of each of `cpus`, ascending, into ret; what /sys does not say is -1. */
void topology_read(const struct cpus *cpus, struct cpu_info *ret);

/* Of `cpus` those that are online and that this process may use. All where neither can be read. */
struct cpus topology_usable(const struct cpus *cpus);
