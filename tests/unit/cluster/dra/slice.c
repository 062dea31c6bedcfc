// SPDX-License-Identifier: Apache-2.0
#include "cluster/dra/slice.h"

#include <errno.h>

#include "base/cleanup.h"
#include "test.h"

static const struct facts shared = {
	.cpus = 2,
	.ceiling_ppm = 900000,
	.granularity_ns = 4000000,
	.group = true,
	.virtual_machine = true,
	.hard_min_period_ns = 50000000,
	.capacity_ppm = 1649744,
};

/* "a/b/0/c": names and numbers on the way. */
static json_t *at(json_t *object, const char *path)
{
	char text[128], *save, *key;

	snprintf(text, sizeof(text), "%s", path);
	for (key = strtok_r(text, "/", &save); key; key = strtok_r(NULL, "/", &save))
		object = json_is_array(object) ? json_array_get(object, atoi(key))
					       : json_object_get(object, key);
	return object;
}

static const char *text_at(json_t *object, const char *path)
{
	const char *text = json_string_value(at(object, path));

	return text ? text : "nothing";
}

/* `n` CPUs of one NUMA node for every 64. */
static struct facts many(size_t n)
{
	struct facts f = { .cpus = n, .pinned = true, .hard_by_sum = true, .n_per_cpu = n };

	f.per_cpu = calloc(n, sizeof(*f.per_cpu));
	for (size_t i = 0; i < n; i++)
		f.per_cpu[i] = (struct facts_cpu){ i, i / 2, 0, i / 64, 1000000 - i, { 0 } };
	return f;
}

TEST(many_claims_can_have_a_part_of_the_shared_device)
{
	cleanup_json json_t *devices = slice_devices(&shared, true);
	json_t *device = json_array_get(devices, 0);

	CHECK_EQ(json_array_size(devices), 1);
	CHECK_TEXT(text_at(device, "name"), "shared");
	CHECK(json_is_true(at(device, "allowMultipleAllocations")));
	CHECK_TEXT(text_at(device, "capacity/bandwidth/value"), "1649744");
	CHECK_TEXT(text_at(device, "capacity/bandwidth/requestPolicy/default"), "0");
	CHECK(!at(device, "taints"));
}

TEST(its_attributes_are_what_the_node_is)
{
	cleanup_json json_t *devices = slice_devices(&shared, true);
	json_t *a = at(devices, "0/attributes");

	CHECK_EQ(json_integer_value(at(a, "cpus/int")), 2);
	CHECK_EQ(json_integer_value(at(a, "granularityNs/int")), 4000000);
	CHECK_EQ(json_integer_value(at(a, "hardMinPeriodNs/int")), 50000000);
	CHECK_EQ(json_integer_value(at(a, "ceilingPpmPerCpu/int")), 900000);
	CHECK(json_is_true(at(a, "hard/bool")) && json_is_true(at(a, "virtualMachine/bool")));
	CHECK(json_is_false(at(a, "hardBySum/bool")) && json_is_false(at(a, "hrtick/bool")));
	CHECK(json_is_true(at(a, "rtGroups/bool")));
	CHECK_TEXT(text_at(a, "placement/string"), "shared");
}

TEST(a_cpu_says_where_it_is_also_by_the_standard_name)
{
	cleanup_facts struct facts f = many(66);
	cleanup_json json_t *devices = slice_devices(&f, true);
	json_t *a = at(devices, "65/attributes");

	CHECK_EQ(json_array_size(devices), 66);
	CHECK_TEXT(text_at(devices, "65/name"), "cpu65");
	CHECK_TEXT(text_at(devices, "65/capacity/bandwidth/value"), "999935");
	CHECK_EQ(json_integer_value(at(a, "cpu/int")), 65);
	CHECK_EQ(json_integer_value(at(a, "core/int")), 32);
	CHECK_EQ(json_integer_value(at(a, "numaNode/int")), 1);
	CHECK_EQ(json_integer_value(json_object_get(
			 json_object_get(a, "resource.kubernetes.io/numaNode"), "int")),
		1);
	/* resource/v1, ResourceSliceMaxAttributesAndCapacitiesPerDevice */
	CHECK(json_object_size(a) + 1 <= 32);
	f.per_cpu[0].numa_node = f.per_cpu[0].core = -1;
	json_decref(devices);
	devices = slice_devices(&f, true);
	CHECK(!at(devices, "0/attributes/core") && !at(devices, "0/attributes/numaNode"));
}

TEST(what_is_broken_taints_and_what_only_informs_has_no_effect)
{
	struct facts f = shared;
	cleanup_json json_t *devices = NULL;

	f.n_taints = 2;
	f.taints[0] = (struct facts_taint){ "ceiling", "lowered", true, "less" };
	f.taints[1] = (struct facts_taint){ "events", "missing", false, "none" };
	devices = slice_devices(&f, true);
	CHECK_TEXT(text_at(devices, "0/taints/0/key"), "rt.takt.dev/ceiling");
	CHECK_TEXT(text_at(devices, "0/taints/0/effect"), "None");
	CHECK_TEXT(text_at(devices, "0/taints/1/key"), "rt.takt.dev/events");
	CHECK_TEXT(text_at(devices, "0/taints/1/value"), "missing");
	CHECK_TEXT(text_at(devices, "0/taints/1/effect"), "NoSchedule");
	json_decref(devices);
	devices = slice_devices(&f, false);
	CHECK_TEXT(text_at(devices, "0/taints/0/key"), "rt.takt.dev/events");
}

/* The plan for `devices` where `stored` is there; *stored is then what the server would have. */
static struct slice_plan carry_out(const json_t *devices, json_t *stored, int64_t *generation)
{
	struct slice_plan p = SLICE_PLAN_NULL;
	json_t *one;
	size_t i;

	CHECK_EQ(slice_plan(devices, "node1", "u1", stored, 0, *generation, &p), 0);
	json_array_foreach (p.remove, i, one)
		CHECK_EQ(json_object_del(stored, json_string_value(one)), 0);
	json_array_foreach (p.apply, i, one)
		json_object_set_new(stored, text_at(one, "metadata/name"), json_deep_copy(one));
	*generation = p.generation;
	return p;
}

/* A pool is taken by consumers only when it is whole. */
static void check_whole(const json_t *stored, size_t slices, size_t devices)
{
	json_t *one;
	const char *name;
	json_int_t generation = 0;
	size_t n = 0;

	CHECK_EQ(json_object_size(stored), slices);
	json_object_foreach ((json_t *)stored, name, one) {
		json_int_t its = json_integer_value(at(one, "spec/pool/generation"));

		CHECK(its > 0 && (!generation || its == generation));
		generation = its;
		CHECK_EQ(json_integer_value(at(one, "spec/pool/resourceSliceCount")), slices);
		CHECK(json_array_size(at(one, "spec/devices")) <= SLICE_DEVICES_MAX);
		n += json_array_size(at(one, "spec/devices"));
	}
	CHECK_EQ(n, devices);
}

TEST(one_slice_is_made_and_then_nothing_is_to_be_done)
{
	cleanup_json json_t *devices = slice_devices(&shared, true), *stored = json_object();
	int64_t generation = 0;
	cleanup_slice_plan struct slice_plan first = carry_out(devices, stored, &generation);
	cleanup_slice_plan struct slice_plan second = carry_out(devices, stored, &generation);
	json_t *slice = json_object_get(stored, "node1-rt.takt.dev");

	CHECK_EQ(json_array_size(first.apply), 1);
	CHECK_EQ(json_array_size(second.apply) + json_array_size(second.remove), 0);
	check_whole(stored, 1, 1);
	CHECK_TEXT(text_at(slice, "metadata/ownerReferences/0/uid"), "u1");
	CHECK_TEXT(text_at(slice, "spec/nodeName"), "node1");
	CHECK_TEXT(text_at(slice, "spec/pool/name"), "node1");
	CHECK_TEXT(text_at(slice, "spec/driver"), "rt.takt.dev");
}

TEST(without_room_there_is_a_slice_and_no_device)
{
	struct facts f = shared;
	cleanup_json json_t *devices = NULL, *stored = json_object();
	int64_t generation = 0;
	cleanup_slice_plan struct slice_plan p = SLICE_PLAN_NULL;

	f.capacity_ppm = 0;
	devices = slice_devices(&f, true);
	p = carry_out(devices, stored, &generation);
	check_whole(stored, 1, 0);
}

TEST(one_slice_is_changed_in_place)
{
	struct facts f = shared;
	cleanup_json json_t *devices = slice_devices(&f, true), *less = NULL,
			    *stored = json_object();
	int64_t generation = 0;
	cleanup_slice_plan struct slice_plan first = carry_out(devices, stored, &generation);
	cleanup_slice_plan struct slice_plan second = SLICE_PLAN_NULL;

	f.capacity_ppm = 7;
	less = slice_devices(&f, true);
	second = carry_out(less, stored, &generation);
	CHECK_EQ(json_array_size(second.apply), 1);
	CHECK_EQ(second.generation, first.generation);
	check_whole(stored, 1, 1);
}

TEST(many_cpus_are_several_slices_of_one_pool)
{
	cleanup_facts struct facts f = many(200);
	cleanup_json json_t *devices = slice_devices(&f, true), *stored = json_object(),
			    *again = NULL;
	int64_t generation = 0;
	cleanup_slice_plan struct slice_plan first = carry_out(devices, stored, &generation);
	cleanup_slice_plan struct slice_plan one = SLICE_PLAN_NULL, two = SLICE_PLAN_NULL;

	check_whole(stored, 4, 200);
	CHECK(json_object_get(stored, "node1-rt.takt.dev-003"));
	/* One of them changes: in place. */
	f.per_cpu[70].capacity_ppm = 5;
	again = slice_devices(&f, true);
	one = carry_out(again, stored, &generation);
	CHECK_EQ(json_array_size(one.apply), 1);
	CHECK_TEXT(text_at(one.apply, "0/metadata/name"), "node1-rt.takt.dev-001");
	CHECK_EQ(one.generation, first.generation);
	check_whole(stored, 4, 200);
	/* Two: all of them, in a new generation. */
	f.per_cpu[70].capacity_ppm = f.per_cpu[0].capacity_ppm = 6;
	json_decref(again);
	again = slice_devices(&f, true);
	two = carry_out(again, stored, &generation);
	CHECK_EQ(json_array_size(two.apply), 4);
	CHECK_EQ(two.generation, first.generation + 1);
	check_whole(stored, 4, 200);
}

TEST(slices_that_are_too_many_go_and_one_that_went_makes_a_new_generation)
{
	cleanup_facts struct facts f = many(130);
	cleanup_json json_t *all = slice_devices(&f, true), *few = slice_devices(&shared, true);
	cleanup_json json_t *stored = json_object();
	int64_t generation = 0;
	cleanup_slice_plan struct slice_plan first = carry_out(all, stored, &generation);
	cleanup_slice_plan struct slice_plan next = SLICE_PLAN_NULL, last = SLICE_PLAN_NULL;

	json_object_del(stored, "node1-rt.takt.dev-001");
	next = carry_out(all, stored, &generation);
	CHECK_EQ(json_array_size(next.apply), 3);
	CHECK_EQ(next.generation, first.generation + 1);
	check_whole(stored, 3, 130);
	last = carry_out(few, stored, &generation);
	CHECK_EQ(json_array_size(last.remove), 2);
	CHECK_EQ(last.generation, next.generation + 1);
	check_whole(stored, 1, 1);
}

TEST(after_all_were_taken_away_the_generation_goes_on)
{
	cleanup_json json_t *devices = slice_devices(&shared, true), *stored = json_object();
	int64_t generation = 41;
	cleanup_slice_plan struct slice_plan p = carry_out(devices, stored, &generation);

	CHECK_EQ(p.generation, 42);
}

TEST(what_somebody_else_changed_is_put_right)
{
	static const struct {
		const char *object, *key, *value;
	} edits[] = {
		{ "spec/devices/0/capacity/bandwidth", "value", "\"9M\"" },
		{ "spec/devices/0/attributes", "cpus", "{\"int\":64}" },
		{ "spec/devices/0/attributes", "another", "{\"int\":64}" },
		{ "spec/devices/0", "taints", "[{\"key\":\"a/b\",\"effect\":\"NoExecute\"}]" },
		{ "spec/devices/0", "bindsToNode", "true" },
		{ "spec", "devices", "[]" },
		{ "spec/pool", "resourceSliceCount", "2" },
	};
	cleanup_json json_t *devices = slice_devices(&shared, true);

	for (size_t i = 0; i < ARRAY_SIZE(edits); i++) {
		cleanup_json json_t *stored = json_object();
		int64_t generation = 0;
		cleanup_slice_plan struct slice_plan first =
			carry_out(devices, stored, &generation);
		cleanup_slice_plan struct slice_plan again = SLICE_PLAN_NULL;
		json_t *slice = json_object_get(stored, "node1-rt.takt.dev");

		CHECK_EQ(json_array_size(first.apply), 1);
		json_object_set_new(at(slice, edits[i].object), edits[i].key,
			json_loads(edits[i].value, JSON_DECODE_ANY, NULL));
		again = carry_out(devices, stored, &generation);
		if (json_array_size(again.apply) != 1)
			fail_msg("%s is not put right", edits[i].key);
	}
}

TEST(what_the_server_writes_in_its_own_way_is_no_difference)
{
	struct facts f = shared;
	cleanup_json json_t *devices = NULL, *stored = json_object();
	int64_t generation = 0;
	cleanup_slice_plan struct slice_plan first = SLICE_PLAN_NULL, second = SLICE_PLAN_NULL;
	json_t *slice;

	f.n_taints = 1;
	f.capacity_ppm = 200000;
	f.taints[0] = (struct facts_taint){ "events", "missing", false, "none" };
	devices = slice_devices(&f, true);
	first = carry_out(devices, stored, &generation);
	slice = json_object_get(stored, "node1-rt.takt.dev");
	json_object_set_new(
		at(slice, "spec/devices/0/capacity/bandwidth"), "value", json_string("200k"));
	json_object_set_new(at(slice, "spec/devices/0/taints/0"), "timeAdded",
		json_string("2026-11-25T21:00:00Z"));
	second = carry_out(devices, stored, &generation);
	CHECK_EQ(json_array_size(second.apply), 0);
}

TEST(what_the_server_drops_is_named_and_once_known_not_written_again)
{
	struct facts f = shared;
	cleanup_json json_t *devices = NULL, *stored = json_object();
	int64_t generation = 0;
	cleanup_slice_plan struct slice_plan first = SLICE_PLAN_NULL, unknown = SLICE_PLAN_NULL,
					     known = SLICE_PLAN_NULL;
	unsigned dropped;
	json_t *slice;

	f.n_taints = 1;
	f.taints[0] = (struct facts_taint){ "events", "missing", false, "none" };
	devices = slice_devices(&f, true);
	first = carry_out(devices, stored, &generation);
	slice = json_object_get(stored, "node1-rt.takt.dev");
	CHECK(slice_kept(json_array_get(first.apply, 0), slice, &dropped));
	CHECK_EQ(dropped, SLICE_DROP_NONE);
	json_object_del(at(slice, "spec/devices/0"), "taints");
	CHECK(slice_kept(json_array_get(first.apply, 0), slice, &dropped));
	CHECK_EQ(dropped, SLICE_DROP_TAINTS);
	json_object_del(at(slice, "spec/devices/0"), "allowMultipleAllocations");
	CHECK(slice_kept(json_array_get(first.apply, 0), slice, &dropped));
	CHECK_EQ(dropped, SLICE_DROP_TAINTS | SLICE_DROP_CAPACITY);
	CHECK_EQ(slice_plan(devices, "node1", "u1", stored, 0, generation, &unknown), 0);
	CHECK_EQ(json_array_size(unknown.apply), 1);
	CHECK_EQ(slice_plan(devices, "node1", "u1", stored, dropped, generation, &known), 0);
	CHECK_EQ(json_array_size(known.apply), 0);
}

TEST(what_an_earlier_takt_dra_left_is_tainted_once_where_taktd_does_not_answer)
{
	cleanup_facts struct facts f = many(70);
	cleanup_json json_t *devices = slice_devices(&f, true), *stored = json_object();
	cleanup_json json_t *lost = NULL, *again = NULL, *back = NULL;
	int64_t generation = 0;
	cleanup_slice_plan struct slice_plan first = carry_out(devices, stored, &generation);
	cleanup_slice_plan struct slice_plan second = SLICE_PLAN_NULL, third = SLICE_PLAN_NULL;

	lost = slice_lost_devices(stored, "node1");
	CHECK_EQ(json_array_size(lost), 70);
	CHECK_TEXT(text_at(lost, "69/name"), "cpu69");
	CHECK_TEXT(text_at(lost, "69/taints/0/key"), "rt.takt.dev/taktd");
	CHECK_TEXT(text_at(lost, "0/taints/0/effect"), "NoSchedule");
	second = carry_out(lost, stored, &generation);
	CHECK_EQ(json_array_size(first.apply), 2);
	CHECK_EQ(json_array_size(second.apply), 2);
	again = slice_lost_devices(stored, "node1");
	CHECK(json_equal(lost, again));
	/* As facts_set_unreachable() would have it. */
	facts_set_unreachable(&f, "gone");
	back = slice_devices(&f, true);
	third = carry_out(back, stored, &generation);
	CHECK_EQ(json_array_size(third.apply), 0);
}
