/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a node can promise, as the ResourceSlice (resource.k8s.io/v1) that the scheduler counts
 * with. Pure; used by takt-dra's publishing.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct slice_facts {
	unsigned cpus; /* of the root domain */
	uint64_t granularity_ns; /* how far a reservation may run past its budget */
	/* In millionths of one CPU: what claims can have together, rounded down. */
	uint64_t capacity_ppm;
};

/*
 * From the replies of rt.takt.List and rt.takt.Node: what the kernel grants, less what is promised
 * to others than claims, less what other programs hold, and less the rounding of many claims.
 * -EPROTO: a reply is not as rt.takt.varlink says.
 */
int slice_facts_read(
	const json_t *list, const json_t *node, struct slice_facts *ret, struct err *err);

/* The whole object for server-side apply. A new reference; NULL: out of memory. */
json_t *slice_make(const struct slice_facts *f, const char *node, const char *node_uid);

/*
 * The API server keeps no more of an object than its feature gates let it: the first field of the
 * device that `stored` lacks or has otherwise; NULL: none.
 */
const char *slice_dropped(const json_t *wanted, const json_t *stored);
