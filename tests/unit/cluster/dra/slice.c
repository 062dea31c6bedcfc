// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include <errno.h>

#include "base/cleanup.h"
#include "cluster/dra/slice.h"

/* Two CPUs of 0.9, of which taktd has 0.05, one reservation by hand 0.1, a claim 0.2. */
static struct slice_facts facts(int foreign)
{
	cleanup_json json_t *list = json_pack("{s:[{s:i, s:{}}, {s:i, s:{s:s}}]}", "reservations",
		"bandwidthPpm", 100000, "labels", "bandwidthPpm", 200000, "labels", "claim", "a");
	cleanup_json json_t *node =
		json_pack("{s:i, s:i, s:i, s:i, s:i}", "cpus", 2, "ceilingPpmPerCpu", 900000,
			"granularityNs", 4000000, "promisedPpm", 350000, "foreignPpm", foreign);
	struct slice_facts f = { 0 };
	struct err err = ERR_NULL;

	if (slice_facts_read(list, node, &f, &err) < 0)
		fail_msg("%s", err.text);
	return f;
}

static json_t *at(json_t *object, const char *path)
{
	char text[128], *save, *key;

	snprintf(text, sizeof(text), "%s", path);
	for (key = strtok_r(text, ".", &save); key; key = strtok_r(NULL, ".", &save))
		object = json_is_array(object) ? json_array_get(object, atoi(key))
					       : json_object_get(object, key);
	return object;
}

TEST(claims_share_what_nobody_else_has)
{
	CHECK_EQ(facts(0).capacity_ppm, 1800000 - 150000 - 256);
	CHECK_EQ(facts(500000).capacity_ppm, 1800000 - 150000 - 500000 - 256);
	CHECK_EQ(facts(1700000).capacity_ppm, 0);
	CHECK_EQ(facts(0).cpus, 2);
}

TEST(an_answer_of_another_version_is_refused)
{
	cleanup_json json_t *nothing = json_object();
	struct slice_facts f = { .cpus = 7 };

	CHECK_EQ(slice_facts_read(nothing, nothing, &f, NULL), -EPROTO);
	CHECK_EQ(f.cpus, 7);
}

TEST(the_slice_has_one_device_that_many_claims_can_have)
{
	const struct slice_facts f = { 2, 4000000, 1649744 };
	cleanup_json json_t *slice = slice_make(&f, "node1", "u1");
	const char *device = "spec.devices.0";

	CHECK(slice);
	CHECK_TEXT(json_string_value(at(slice, "metadata.name")), "node1-rt.takt.dev");
	CHECK_TEXT(json_string_value(at(slice, "metadata.ownerReferences.0.uid")), "u1");
	CHECK_TEXT(json_string_value(at(slice, "spec.nodeName")), "node1");
	CHECK_TEXT(json_string_value(at(slice, "spec.pool.name")), "node1");
	CHECK_EQ(json_array_size(at(slice, "spec.devices")), 1);
	CHECK_TEXT(json_string_value(json_object_get(at(slice, device), "name")), "shared");
	CHECK(json_is_true(json_object_get(at(slice, device), "allowMultipleAllocations")));
	CHECK_TEXT(
		json_string_value(at(slice, "spec.devices.0.capacity.bandwidth.value")), "1649744");
}

TEST(without_room_there_is_a_slice_and_no_device)
{
	const struct slice_facts f = { 2, 4000000, 0 };
	cleanup_json json_t *slice = slice_make(&f, "node1", "u1");

	CHECK_EQ(json_array_size(at(slice, "spec.devices")), 0);
}

TEST(what_the_api_server_dropped_is_named)
{
	const struct slice_facts f = { 2, 4000000, 1649744 };
	cleanup_json json_t *slice = slice_make(&f, "node1", "u1");
	cleanup_json json_t *stored = json_deep_copy(slice);

	json_object_set_new(
		at(stored, "spec.devices.0.capacity.bandwidth"), "value", json_string("1649744"));
	CHECK(!slice_dropped(slice, stored));
	json_object_del(at(stored, "spec.devices.0"), "allowMultipleAllocations");
	CHECK_TEXT(slice_dropped(slice, stored), "allowMultipleAllocations");
}
