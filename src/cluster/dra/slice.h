/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a node can promise, as ResourceSlices (resource.k8s.io/v1) that the scheduler counts with,
 * and how what is stored differs from what is wanted. Pure; used by takt-dra's publishing.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "cluster/dra/facts.h"

/* resource/v1, ResourceSliceMaxDevicesWithTaintsOrConsumesCounters: taints come and go. */
#define SLICE_DEVICES_MAX 64

/*
 * The devices' list, in the order in which the scheduler tries them; without taints that only inform
 * where the server takes none. NULL: out of memory.
 */
json_t *slice_devices(const struct facts *f, bool informing);

/*
 * Of what is stored, where taktd has not yet answered this takt-dra and does not for long: the same
 * devices, with the taint of facts_set_unreachable(). NULL: out of memory.
 */
json_t *slice_lost_devices(const json_t *stored, const char *node);

/* What the API server keeps no field for, as its feature gates have it. */
enum slice_drop {
	SLICE_DROP_NONE = 0,
	SLICE_DROP_CAPACITY = 1, /* allowMultipleAllocations, requestPolicy */
	SLICE_DROP_TAINTS = 2,
	SLICE_DROP_OTHER = 4,
};

/*
 * What is to be done so that exactly the wanted devices are stored: in the order delete, apply.
 * Nothing: both are empty. The caller's to json_decref().
 */
struct slice_plan {
	json_t *apply; /* whole objects for server-side apply */
	json_t *remove; /* names */
	int64_t generation;
};

#define SLICE_PLAN_NULL ((struct slice_plan){ 0 })

void slice_plan_fini(struct slice_plan *p); /* accepts NULL and a zeroed plan */
#define cleanup_slice_plan __attribute__((cleanup(slice_plan_fini)))

/*
 * stored: name -> object, all slices of our driver and node. dropped: what is known not to be kept.
 * generation: the last that was used. -ENOMEM.
 *
 * All slices of a node are one pool, and consumers take it only where pool.resourceSliceCount of
 * one generation are there. So one slice is changed in place, and more than one by a new generation.
 */
int slice_plan(const json_t *devices, const char *node, const char *node_uid, const json_t *stored,
	unsigned dropped, int64_t generation, struct slice_plan *ret);

/*
 * Whether the server has stored what was applied. *ret_dropped: the bits of enum slice_drop for
 * what is absent from it; true also where that is all.
 */
bool slice_kept(const json_t *applied, const json_t *stored, unsigned *ret_dropped);
