// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cluster/dra/claim.h"
#include "cluster/dra/quantity.h"
#include "cluster/dra/slice.h"

#define DEPTH_MAX 12

void slice_plan_fini(struct slice_plan *p)
{
	if (!p)
		return;
	json_decref(p->apply);
	json_decref(p->remove);
	*p = SLICE_PLAN_NULL;
}

static enum slice_drop drop_of(const char *key)
{
	if (strcmp(key, "taints") == 0)
		return SLICE_DROP_TAINTS;
	if (strcmp(key, "allowMultipleAllocations") == 0 || strcmp(key, "requestPolicy") == 0)
		return SLICE_DROP_CAPACITY;
	return SLICE_DROP_OTHER;
}

/* Quantities come back in another form: "200000" as "200k". */
static bool same_text(const char *a, const char *b)
{
	uint64_t x, y;

	return strcmp(a, b) == 0 ||
	       (quantity_parse(a, &x, NULL) == 0 && quantity_parse(b, &y, NULL) == 0 && x == y);
}

static bool same(const json_t *wanted, const json_t *stored, int depth, unsigned *dropped);

static bool same_objects(const json_t *wanted, const json_t *stored, int depth, unsigned *dropped)
{
	const json_t *value;
	const char *key;

	json_object_foreach ((json_t *)wanted, key, value) {
		const json_t *other = json_object_get(stored, key);

		if (!other)
			*dropped |= drop_of(key);
		else if (!same(value, other, depth + 1, dropped))
			return false;
	}
	json_object_foreach ((json_t *)stored, key, value)
		/* The server's own. */
		if (!json_object_get(wanted, key) && strcmp(key, "timeAdded") != 0)
			return false;
	return true;
}

/* Absent fields are no difference here: they are in *dropped. */
static bool same(const json_t *wanted, const json_t *stored, int depth, unsigned *dropped)
{
	const json_t *value;
	size_t i;

	if (json_typeof(wanted) != json_typeof(stored) || depth > DEPTH_MAX)
		return false;
	if (json_is_string(wanted))
		return same_text(json_string_value(wanted), json_string_value(stored));
	if (json_is_object(wanted))
		return same_objects(wanted, stored, depth, dropped);
	if (!json_is_array(wanted))
		return json_equal(wanted, stored);
	if (json_array_size(wanted) != json_array_size(stored))
		return false;
	json_array_foreach (wanted, i, value)
		if (!same(value, json_array_get(stored, i), depth + 1, dropped))
			return false;
	return true;
}

bool slice_kept(const json_t *applied, const json_t *stored, unsigned *ret_dropped)
{
	const json_t *spec = json_object_get(stored, "spec");

	*ret_dropped = SLICE_DROP_NONE;
	return spec && same(json_object_get(applied, "spec"), spec, 0, ret_dropped);
}

static int64_t generation_of(const json_t *slice)
{
	const json_t *spec = json_object_get(slice, "spec");

	return json_integer_value(json_object_get(json_object_get(spec, "pool"), "generation"));
}

/* The first has the bare name; three digits, so that the scheduler's order is ours. */
static void name_of(char *buf, size_t size, const char *node, size_t i)
{
	if (i == 0)
		snprintf(buf, size, "%.200s-%s", node, CLAIM_DRIVER);
	else
		snprintf(buf, size, "%.200s-%s-%03zu", node, CLAIM_DRIVER, i);
}

/* With the taint, unless it has it already. */
static json_t *lost_device(const json_t *device)
{
	static const char key[] = CLAIM_DRIVER "/taktd";
	cleanup_json json_t *copy = json_deep_copy(device), *taints = NULL;
	const json_t *one;
	size_t i;

	taints = json_incref(json_object_get(copy, "taints"));
	if (!taints)
		taints = json_array();
	json_array_foreach (taints, i, one) {
		const char *its = json_string_value(json_object_get(one, "key"));

		if (its && strcmp(its, key) == 0)
			return TAKE(copy);
	}
	if (!copy || !taints ||
		json_array_append_new(taints, json_pack("{s:s, s:s, s:s}", "key", key, "value",
						      "unreachable", "effect", "NoSchedule")) < 0 ||
		json_object_set(copy, "taints", taints) < 0)
		return NULL;
	return TAKE(copy);
}

json_t *slice_lost_devices(const json_t *stored, const char *node)
{
	cleanup_json json_t *devices = json_array();
	char name[300];

	for (size_t i = 0; devices; i++) {
		const json_t *slice, *device;
		size_t k;

		name_of(name, sizeof(name), node, i);
		slice = json_object_get(stored, name);
		if (!slice)
			break;
		json_array_foreach (
			json_object_get(json_object_get(slice, "spec"), "devices"), k, device)
			if (json_array_append_new(devices, lost_device(device)) < 0)
				return NULL;
	}
	return TAKE(devices);
}

static json_t *make(const char *node, const char *node_uid, size_t i, size_t n, json_t *devices)
{
	char name[300];

	name_of(name, sizeof(name), node, i);
	return json_pack("{s:s, s:s, s:{s:s, s:[{s:s, s:s, s:s, s:s, s:b}]},"
			 " s:{s:s, s:s, s:{s:s, s:i, s:I}, s:o}}",
		"apiVersion", "resource.k8s.io/v1", "kind", "ResourceSlice", "metadata", "name",
		name, "ownerReferences", "apiVersion", "v1", "kind", "Node", "name", node, "uid",
		node_uid, "controller", 1, "spec", "driver", CLAIM_DRIVER, "nodeName", node, "pool",
		"name", node, "generation", 1, "resourceSliceCount", (json_int_t)n, "devices",
		devices);
}

/* An empty pool is one empty slice. */
static json_t *make_all(const json_t *devices, const char *node, const char *node_uid)
{
	size_t all = json_array_size(devices),
	       n = (all + SLICE_DEVICES_MAX - 1) / SLICE_DEVICES_MAX;
	cleanup_json json_t *slices = json_array();

	n = n ? n : 1;
	for (size_t i = 0; i < n; i++) {
		json_t *part = json_array();

		for (size_t k = i * SLICE_DEVICES_MAX; k < all && k < (i + 1) * SLICE_DEVICES_MAX;
			k++)
			json_array_append(part, json_array_get(devices, k));
		if (json_array_append_new(slices, make(node, node_uid, i, n, part)) < 0)
			return NULL;
	}
	return TAKE(slices);
}

static const char *slice_name(const json_t *slice)
{
	return json_string_value(json_object_get(json_object_get(slice, "metadata"), "name"));
}

static int set_generation(json_t *slice, int64_t generation)
{
	json_t *pool = json_object_get(json_object_get(slice, "spec"), "pool");

	return json_object_set_new(pool, "generation", json_integer(generation));
}

static json_t *obsolete(const json_t *wanted, const json_t *stored)
{
	cleanup_json json_t *names = json_array();
	const json_t *slice;
	const char *name;
	size_t i;

	json_object_foreach ((json_t *)stored, name, slice) {
		bool found = false;

		(void)slice;
		for (i = 0; i < json_array_size(wanted) && !found; i++)
			found = strcmp(slice_name(json_array_get(wanted, i)), name) == 0;
		if (!found && json_array_append_new(names, json_string(name)) < 0)
			return NULL;
	}
	return TAKE(names);
}

/* Which of the wanted ones are not stored so, whatever their generation. */
struct difference {
	size_t missing, changed;
	bool mixed; /* the stored ones are not of one generation */
	int64_t newest;
};

static bool is_stored(json_t *slice, const json_t *other, unsigned dropped)
{
	unsigned absent;

	return set_generation(slice, generation_of(other)) == 0 &&
	       slice_kept(slice, other, &absent) && !(absent & ~dropped);
}

static struct difference compare(
	const json_t *wanted, const json_t *stored, unsigned dropped, int64_t generation)
{
	struct difference d = { .newest = generation };
	const json_t *other;
	json_t *slice;
	const char *name;
	int64_t first = 0;
	size_t i;

	json_object_foreach ((json_t *)stored, name, other) {
		int64_t its = generation_of(other);

		d.mixed |= first && its != first;
		first = its;
		d.newest = its > d.newest ? its : d.newest;
	}
	json_array_foreach ((json_t *)wanted, i, slice) {
		other = json_object_get(stored, slice_name(slice));
		d.missing += !other;
		d.changed += other && !is_stored(slice, other, dropped);
	}
	return d;
}

int slice_plan(const json_t *devices, const char *node, const char *node_uid, const json_t *stored,
	unsigned dropped, int64_t generation, struct slice_plan *ret)
{
	cleanup_json json_t *wanted = make_all(devices, node, node_uid);
	cleanup_slice_plan struct slice_plan p = { wanted ? json_array() : NULL,
		wanted ? obsolete(wanted, stored) : NULL, 0 };
	struct difference d;
	json_t *slice;
	bool anew;
	size_t i;

	if (!p.apply || !p.remove)
		return -ENOMEM;
	d = compare(wanted, stored, dropped, generation);
	anew = d.missing || d.mixed || d.changed > 1 || json_array_size(p.remove) > 0;
	p.generation = anew ? d.newest + 1 : d.newest;
	json_array_foreach (wanted, i, slice) {
		const json_t *other = json_object_get(stored, slice_name(slice));

		if (!anew && is_stored(slice, other, dropped))
			continue;
		if (set_generation(slice, p.generation) < 0 ||
			json_array_append(p.apply, slice) < 0)
			return -ENOMEM;
	}
	*ret = p;
	p = SLICE_PLAN_NULL;
	return 0;
}
