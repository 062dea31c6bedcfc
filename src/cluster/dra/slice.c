// SPDX-License-Identifier: Apache-2.0
/*
 * One device, `shared`, which every claim takes a part of: the scheduler adds up what it has given
 * (KEP-5075, consumable capacity). A claim that asks for no bandwidth takes none, and is refused when
 * it is prepared.
 */
#include "cluster/dra/slice.h"

#include <errno.h>

#include "base/cleanup.h"
#include "cluster/dra/claim.h"
#include "core/model/units.h"

/* The kernel's unit is 2^-20 of a CPU, and each server is rounded up to it: 1 ppm for each of as
 * many servers as one node will hardly have. */
#define ROUNDING_PPM 256

static int64_t number(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_integer(value) ? json_integer_value(value) : -1;
}

/* What claims hold of what is promised. */
static int64_t claims_ppm(const json_t *list)
{
	const json_t *resv;
	int64_t sum = 0;
	size_t i;

	json_array_foreach (json_object_get(list, "reservations"), i, resv) {
		if (json_object_get(json_object_get(resv, "labels"), "claim"))
			sum += number(resv, "bandwidthPpm");
	}
	return sum;
}

int slice_facts_read(
	const json_t *list, const json_t *node, struct slice_facts *ret, struct err *err)
{
	int64_t cpus = number(node, "cpus"), ceiling = number(node, "ceilingPpmPerCpu");
	int64_t promised = number(node, "promisedPpm"), foreign = number(node, "foreignPpm");
	int64_t granularity = number(node, "granularityNs"), left;

	if (cpus < 1 || ceiling < 0 || promised < 0 || foreign < 0 || granularity < 0 ||
		!json_is_array(json_object_get(list, "reservations")))
		return err_set(err, -EPROTO,
			"taktd's answer is not as this takt-dra knows it: "
			"install both from one version");
	left = cpus * ceiling - foreign - (promised - claims_ppm(list)) - ROUNDING_PPM;
	*ret = (struct slice_facts){
		.cpus = cpus,
		.granularity_ns = granularity,
		.capacity_ppm = left > 0 ? left : 0,
	};
	return 0;
}

static json_t *device(const struct slice_facts *f)
{
	char value[24];

	snprintf(value, sizeof(value), "%llu", (unsigned long long)f->capacity_ppm);
	return json_pack("{s:s, s:b, s:{s:{s:I}, s:{s:I}}, s:{s:{s:s, s:{s:s, s:{s:s, s:s}}}}}",
		"name", CLAIM_DEVICE_SHARED, "allowMultipleAllocations", 1, "attributes", "cpus",
		"int", (json_int_t)f->cpus, "granularityNs", "int", (json_int_t)f->granularity_ns,
		"capacity", CLAIM_CAPACITY, "value", value, "requestPolicy", "default", "0",
		"validRange", "min", "0", "step", "1");
}

json_t *slice_make(const struct slice_facts *f, const char *node, const char *node_uid)
{
	cleanup_json json_t *devices = json_array();
	char name[300];

	snprintf(name, sizeof(name), "%.200s-%s", node, CLAIM_DRIVER);
	if (!devices || (f->capacity_ppm && json_array_append_new(devices, device(f)) < 0))
		return NULL;
	return json_pack("{s:s, s:s, s:{s:s, s:[{s:s, s:s, s:s, s:s, s:b}]},"
			 " s:{s:s, s:s, s:{s:s, s:i, s:i}, s:O}}",
		"apiVersion", "resource.k8s.io/v1", "kind", "ResourceSlice", "metadata", "name",
		name, "ownerReferences", "apiVersion", "v1", "kind", "Node", "name", node, "uid",
		node_uid, "controller", 1, "spec", "driver", CLAIM_DRIVER, "nodeName", node, "pool",
		"name", node, "generation", 1, "resourceSliceCount", 1, "devices", devices);
}

static const json_t *first_device(const json_t *slice)
{
	return json_array_get(json_object_get(json_object_get(slice, "spec"), "devices"), 0);
}

const char *slice_dropped(const json_t *wanted, const json_t *stored)
{
	const json_t *value, *kept = first_device(stored);
	const char *key;

	json_object_foreach ((json_t *)first_device(wanted), key, value) {
		const json_t *other = json_object_get(kept, key);

		/* Quantities come back in another form. */
		if (!other || (!json_is_object(value) && !json_equal(value, other)))
			return key;
	}
	return NULL;
}
