// SPDX-License-Identifier: Apache-2.0
#include "cluster/dra/outcome.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cluster/dra/claim.h"

#define OUTCOME_UID_MAX 64
#define NOTE_MAX 1024 /* kubernetes/kubernetes, pkg/apis/core/validation/events.go */

const char *outcome_reason(int code)
{
	static const struct {
		int code;
		const char *reason;
	} reasons[] = {
		{ -ENOSPC, "DoesNotFit" },
		{ -EINVAL, "BadParameters" },
		{ -EEXIST, "ParametersChanged" },
		{ -ENOENT, "AgentAway" },
		{ -ECONNREFUSED, "AgentAway" },
		{ -ECONNRESET, "AgentAway" },
		{ -ETIMEDOUT, "TimedOut" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].code == code)
			return reasons[i].reason;
	return "NotPrepared";
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static bool same(const json_t *a, const json_t *b, const char *key)
{
	const char *x = text_of(a, key) ?: "", *y = text_of(b, key) ?: "";

	return strcmp(x, y) == 0;
}

/* The entry of the same device and share in the claim's status. */
static const json_t *entry_of(const json_t *claim, const json_t *device)
{
	const json_t *devices = json_object_get(json_object_get(claim, "status"), "devices");
	const json_t *one;
	size_t i;

	json_array_foreach ((json_t *)devices, i, one)
		if (same(one, device, "driver") && same(one, device, "pool") &&
			same(one, device, "device") && same(one, device, "shareID"))
			return one;
	return NULL;
}

static const json_t *condition_of(const json_t *entry)
{
	const json_t *one;
	size_t i;

	json_array_foreach (json_object_get(entry, "conditions"), i, one) {
		const char *type = text_of(one, "type");

		if (type && strcmp(type, OUTCOME_CONDITION) == 0)
			return one;
	}
	return NULL;
}

static json_t *data_of(const json_t *resv)
{
	static const char *const keys[] = { "runtimeNs", "periodNs", "deadlineNs", "cores",
		"boundNs", "guarantee", "placement", "test" };
	cleanup_json json_t *data = json_object();
	int bad = json_object_set(data, "reservation", json_object_get(resv, "name"));

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		json_t *value = json_object_get(resv, keys[i]);

		if (value && !json_is_null(value))
			bad |= json_object_set(data, keys[i], value);
	}
	return bad ? NULL : TAKE(data);
}

/* The one that was made for the claim's index-th device of ours: its name says so. */
static const json_t *resv_of(const json_t *reservations, const char *uid, size_t index)
{
	char end[OUTCOME_UID_MAX + 24];
	const json_t *one;
	size_t i;

	if (index == 0)
		snprintf(end, sizeof(end), ".%.63s", uid);
	else
		snprintf(end, sizeof(end), ".%.63s.%zu", uid, index);
	json_array_foreach ((json_t *)reservations, i, one) {
		const char *name = text_of(one, "name") ?: "";
		size_t n = strlen(name), len = strlen(end);

		if (n > len && strcmp(name + n - len, end) == 0)
			return one;
	}
	return NULL;
}

/* All CPUs of a request are one reservation, named after the first of them: claim.c. */
static size_t first_of_request(const json_t *ours, const json_t *result, size_t index)
{
	const char *device = text_of(result, "device");
	const json_t *request = json_object_get(result, "request");

	if (!device || strcmp(device, CLAIM_DEVICE_SHARED) == 0)
		return index;
	for (size_t i = 0; i < index; i++)
		if (json_equal(json_object_get(json_array_get(ours, i), "request"), request))
			return i;
	return index;
}

/* A device with a promise that is kept is ready, whatever became of the claim's others. */
static struct outcome device_outcome(const json_t *resv, const struct outcome *o)
{
	const char *trouble = text_of(resv, "trouble"), *reason = text_of(resv, "reason");

	if (!resv)
		return *o;
	if (trouble)
		return (struct outcome){ false, OUTCOME_TROUBLE, trouble };
	return (struct outcome){ true, OUTCOME_RESERVED, reason ? reason : "it is promised" };
}

static json_t *entry(const json_t *claim, const json_t *result, const json_t *resv,
	const struct outcome *all, const char *now)
{
	const json_t *was = condition_of(entry_of(claim, result));
	struct outcome o = device_outcome(resv, all);
	const char *status = o.ready ? "True" : "False", *before = text_of(was, "status");
	const char *since = text_of(was, "lastTransitionTime");
	json_t *data = resv ? data_of(resv) : NULL;

	if (before && since && strcmp(before, status) == 0)
		now = since;
	if (resv && !data)
		return NULL;
	return json_pack("{s:O, s:O, s:O, s:O*, s:[{s:s, s:s, s:s, s:s, s:s}], s:o*}", "driver",
		json_object_get(result, "driver"), "pool", json_object_get(result, "pool"),
		"device", json_object_get(result, "device"), "shareID",
		json_object_get(result, "shareID"), "conditions", "type", OUTCOME_CONDITION,
		"status", status, "reason", o.reason, "message", o.message, "lastTransitionTime",
		now, "data", data);
}

json_t *outcome_status(const json_t *claim, const json_t *reservations, const struct outcome *o,
	const char *node, const char *now)
{
	const json_t *metadata = json_object_get(claim, "metadata");
	const json_t *allocation = json_object_get(json_object_get(claim, "status"), "allocation");
	json_t *results = json_object_get(json_object_get(allocation, "devices"), "results");
	cleanup_json json_t *devices = json_array(), *ours = json_array();
	const char *uid = text_of(metadata, "uid") ?: "";
	size_t i, n = 0;
	json_t *one;

	json_array_foreach (results, i, one) {
		const char *driver = text_of(one, "driver"), *pool = text_of(one, "pool");
		const json_t *resv;

		if (!driver || strcmp(driver, CLAIM_DRIVER) != 0)
			continue;
		if (!pool || strcmp(pool, node) != 0)
			continue;
		resv = resv_of(reservations, uid, first_of_request(ours, one, n++));
		if (json_array_append(ours, one) < 0 ||
			json_array_append_new(devices, entry(claim, one, resv, o, now)) < 0)
			return NULL;
	}
	if (n == 0)
		return NULL;
	/* With its uid, another claim of this name is a conflict and not written to. */
	return json_pack("{s:s, s:s, s:{s:O, s:O, s:O}, s:{s:O}}", "apiVersion",
		"resource.k8s.io/v1", "kind", "ResourceClaim", "metadata", "name",
		json_object_get(metadata, "name"), "namespace",
		json_object_get(metadata, "namespace"), "uid", json_object_get(metadata, "uid"),
		"status", "devices", devices);
}

bool outcome_is_told(const json_t *claim, const json_t *wanted)
{
	const json_t *devices = json_object_get(json_object_get(wanted, "status"), "devices");
	const json_t *one;
	size_t i;

	json_array_foreach ((json_t *)devices, i, one) {
		const json_t *there = entry_of(claim, one);

		if (!json_equal(condition_of(there), condition_of(one)) ||
			!json_equal(json_object_get(there, "data"), json_object_get(one, "data")))
			return false;
	}
	return true;
}

static json_t *reference(const struct outcome_about *a)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "apiVersion", a->api_version, "kind", a->kind,
		"namespace", a->namespace, "name", a->name, "uid", a->uid);
}

json_t *outcome_event(const struct outcome_about *about, const struct outcome_about *related,
	const struct outcome *o, const char *node, const char *name, const char *now)
{
	char note[NOTE_MAX + 1];

	snprintf(note, sizeof(note), "%s", o->message);
	return json_pack("{s:s, s:s, s:{s:s, s:s}, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o*}",
		"apiVersion", "events.k8s.io/v1", "kind", "Event", "metadata", "name", name,
		"namespace", about->namespace, "eventTime", now, "reportingController",
		OUTCOME_CONTROLLER, "reportingInstance", node, "action", "Prepare", "reason",
		o->reason, "type", o->ready ? "Normal" : "Warning", "note", note, "regarding",
		reference(about), "related", related ? reference(related) : NULL);
}

/* FNV-1a: Fowler, Noll, Vo. A collision keeps back one sentence for some minutes. */
static uint64_t hash(uint64_t h, const char *text)
{
	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3;
	return h ? h : 1;
}

bool outcome_may_say(
	struct outcome_said *s, const char *uid, const struct outcome *o, uint64_t now_ms)
{
	uint64_t about = hash(hash(0xcbf29ce484222325, uid), o->reason);
	uint64_t note = hash(0xcbf29ce484222325, o->message);
	size_t oldest = 0;

	for (size_t i = 0; i < OUTCOME_SAID_MAX; i++) {
		uint64_t wait = s->rows[i].note == note ? OUTCOME_SAME_MS : OUTCOME_OTHER_MS;

		if (s->rows[i].about == about) {
			if (now_ms - s->rows[i].at_ms < wait)
				return false;
			oldest = i;
			break;
		}
		if (s->rows[i].at_ms < s->rows[oldest].at_ms)
			oldest = i;
	}
	s->rows[oldest].about = about;
	s->rows[oldest].note = note;
	s->rows[oldest].at_ms = now_ms;
	return true;
}
