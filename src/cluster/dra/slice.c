// SPDX-License-Identifier: Apache-2.0
/*
 * One device `shared`, or one for each CPU: every claim takes a part, and the scheduler adds up
 * what it has given (KEP-5075, consumable capacity). A claim that asks for no bandwidth takes none, and
 * is refused when it is prepared.
 */
#include "cluster/dra/slice.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cluster/dra/claim.h"

static int set_int(json_t *attributes, const char *name, int64_t value)
{
	return json_object_set_new(attributes, name, json_pack("{s:I}", "int", (json_int_t)value));
}

static int set_bool(json_t *attributes, const char *name, bool value)
{
	return json_object_set_new(attributes, name, json_pack("{s:b}", "bool", (int)value));
}

/* Of every device of the node; takt-dra(8) says what each means. */
static json_t *attributes_of(const struct facts *f)
{
	cleanup_json json_t *a = json_object();
	int bad = set_int(a, "cpus", f->cpus);

	bad |= set_int(a, "granularityNs", f->granularity_ns);
	bad |= set_int(a, "ceilingPpmPerCpu", f->ceiling_ppm);
	bad |= set_bool(a, "hrtick", f->hrtick);
	bad |= set_bool(a, "rtGroups", f->group);
	bad |= set_bool(a, "virtualMachine", f->virtual_machine);
	bad |= set_bool(a, "hardBySum", f->hard_by_sum);
	bad |= set_bool(a, "hard", f->hard_min_period_ns > 0);
	if (f->hard_min_period_ns)
		bad |= set_int(a, "hardMinPeriodNs", f->hard_min_period_ns);
	bad |= json_object_set_new(
		a, "placement", json_pack("{s:s}", "string", f->pinned ? "pinned" : "shared"));
	return bad ? NULL : TAKE(a);
}

static int set_place(json_t *a, const struct facts_cpu *c)
{
	int bad = set_int(a, "cpu", c->cpu);

	if (c->core >= 0)
		bad |= set_int(a, "core", c->core);
	if (c->socket >= 0)
		bad |= set_int(a, "socket", c->socket);
	if (c->numa_node >= 0) {
		bad |= set_int(a, "numaNode", c->numa_node);
		/* KEP-6072: so that other drivers' devices can be matched with it. */
		bad |= set_int(a, "resource.kubernetes.io/numaNode", c->numa_node);
	}
	return bad;
}

static int add_taint(json_t *taints, const struct facts_taint *t)
{
	char key[64];

	snprintf(key, sizeof(key), CLAIM_DRIVER "/%s", t->key);
	return json_array_append_new(
		taints, json_pack("{s:s, s:s, s:s}", "key", key, "value", t->value, "effect",
				t->informs ? "None" : "NoSchedule"));
}

static json_t *taints_of(const struct facts *f, const struct facts_taint *own, bool informing)
{
	cleanup_json json_t *taints = json_array();
	int bad = 0;

	for (size_t i = 0; i < f->n_taints; i++)
		if (informing || !f->taints[i].informs)
			bad |= add_taint(taints, &f->taints[i]);
	if (own && own->key && (informing || !own->informs))
		bad |= add_taint(taints, own);
	return bad ? NULL : TAKE(taints);
}

static json_t *device(const struct facts *f, size_t i, uint64_t capacity_ppm, bool informing)
{
	const struct facts_cpu *cpu = f->pinned ? &f->per_cpu[i] : NULL;
	cleanup_json json_t *attributes = attributes_of(f);
	cleanup_json json_t *taints = taints_of(f, cpu ? &cpu->taint : NULL, informing),
			    *made = NULL;
	char name[FACTS_DEVICE_NAME_MAX], value[24];

	if (!attributes || !taints || (cpu && set_place(attributes, cpu)))
		return NULL;
	facts_device_name(f, i, name);
	snprintf(value, sizeof(value), "%llu", (unsigned long long)capacity_ppm);
	made = json_pack("{s:s, s:b, s:O, s:{s:{s:s, s:{s:s, s:{s:s, s:s}}}}}", "name", name,
		"allowMultipleAllocations", 1, "attributes", attributes, "capacity", CLAIM_CAPACITY,
		"value", value, "requestPolicy", "default", "0", "validRange", "min", "0", "step",
		"1");
	if (made && json_array_size(taints) > 0 && json_object_set(made, "taints", taints) < 0)
		return NULL;
	return TAKE(made);
}

json_t *slice_devices(const struct facts *f, bool informing)
{
	cleanup_json json_t *devices = json_array();

	for (size_t i = 0; devices && i < facts_n_devices(f); i++) {
		uint64_t ppm = f->pinned ? f->per_cpu[i].capacity_ppm : f->capacity_ppm;

		/* Without room there is nothing to be given, and with claims there is room. */
		if (ppm && json_array_append_new(devices, device(f, i, ppm, informing)) < 0)
			return NULL;
	}
	return TAKE(devices);
}
