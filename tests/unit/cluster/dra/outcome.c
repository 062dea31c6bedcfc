// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include <errno.h>

#include "base/cleanup.h"
#include "cluster/dra/outcome.h"

#define UID "5f0c8e8e-3a51-4d7e-9b57-0d6f9f3a7c11"
#define NOW "2026-11-25T20:00:00Z"

/* JSON with ' for ". */
static json_t *load(const char *text)
{
	char copy[4096];
	json_t *object;
	json_error_t error;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *c = copy; *c; c++)
		if (*c == '\'')
			*c = '"';
	object = json_loads(copy, 0, &error);
	if (!object)
		fail_msg("%s", error.text);
	return object;
}

#define CLAIM(results, devices)                                                      \
	"{'metadata':{'namespace':'robots','name':'arm','uid':'" UID "'},'status':{" \
	"'allocation':{'devices':{'results':[" results "]}},'devices':[" devices "]}}"
#define RESULT(driver, share)                                                                      \
	"{'request':'rt','driver':'" driver "','pool':'node1','device':'shared','shareID':'" share \
	"'}"
#define OURS RESULT("rt.takt.dev", "s1")
#define RESV(suffix, more)                                                       \
	"{'name':'arm." UID suffix "','runtimeNs':4000000,'periodNs':20000000,"  \
	"'deadlineNs':20000000,'cores':1,'boundNs':20000000,'guarantee':'hard'," \
	"'placement':'shared','test':'gfb','reason':'it fits'" more "}"

static json_t *status_of(const char *claim, const char *reservations, const struct outcome *o)
{
	cleanup_json json_t *object = load(claim), *list = load(reservations);
	cleanup_json json_t *status = outcome_status(object, list, o, "node1", NOW);

	return json_incref(json_object_get(json_object_get(status, "status"), "devices"));
}

static const json_t *condition(const json_t *devices, size_t i)
{
	const json_t *conditions = json_object_get(json_array_get(devices, i), "conditions");

	CHECK_EQ(json_array_size(conditions), 1);
	return json_array_get(conditions, 0);
}

static const char *text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static const struct outcome fits = { true, OUTCOME_RESERVED, "" };
static const struct outcome full = { false, "DoesNotFit", "0.2 CPU asked, 0.1 free" };

TEST(a_device_that_was_reserved_is_ready_and_tells_what_was_promised)
{
	cleanup_json json_t *devices = status_of(CLAIM(OURS, ""), "[" RESV("", "") "]", &fits);
	const json_t *one = json_array_get(devices, 0), *data = json_object_get(one, "data");

	CHECK_EQ(json_array_size(devices), 1);
	CHECK_TEXT(text(one, "driver"), "rt.takt.dev");
	CHECK_TEXT(text(one, "pool"), "node1");
	CHECK_TEXT(text(one, "device"), "shared");
	CHECK_TEXT(text(one, "shareID"), "s1");
	CHECK_TEXT(text(condition(devices, 0), "type"), "Ready");
	CHECK_TEXT(text(condition(devices, 0), "status"), "True");
	CHECK_TEXT(text(condition(devices, 0), "message"), "it fits");
	CHECK_TEXT(text(data, "reservation"), "arm." UID);
	CHECK_EQ(json_integer_value(json_object_get(data, "boundNs")), 20000000);
	CHECK_TEXT(text(data, "test"), "gfb");
}

TEST(what_is_applied_names_the_claim_with_its_uid_and_nothing_of_others)
{
	cleanup_json json_t *claim = load(CLAIM(RESULT("gpu.example.com", "g") "," OURS, "")),
			    *list = load("[]");
	cleanup_json json_t *status = outcome_status(claim, list, &full, "node1", NOW);
	const json_t *metadata = json_object_get(status, "metadata");

	CHECK_TEXT(text(status, "kind"), "ResourceClaim");
	CHECK_TEXT(text(metadata, "name"), "arm");
	CHECK_TEXT(text(metadata, "uid"), UID);
	CHECK_EQ(json_array_size(json_object_get(json_object_get(status, "status"), "devices")), 1);
}

TEST(a_refusal_is_not_ready_with_the_sentence)
{
	cleanup_json json_t *devices = status_of(CLAIM(OURS, ""), "[]", &full);

	CHECK_TEXT(text(condition(devices, 0), "status"), "False");
	CHECK_TEXT(text(condition(devices, 0), "reason"), "DoesNotFit");
	CHECK_TEXT(text(condition(devices, 0), "message"), "0.2 CPU asked, 0.1 free");
	CHECK(!json_object_get(json_array_get(devices, 0), "data"));
}

TEST(of_several_devices_each_has_its_own_reservation)
{
	cleanup_json json_t *devices = status_of(
		CLAIM(OURS "," RESULT("rt.takt.dev", "s2"), ""), "[" RESV(".1", "") "]", &full);

	CHECK_TEXT(text(condition(devices, 0), "status"), "False");
	CHECK_TEXT(text(condition(devices, 1), "status"), "True");
	CHECK_TEXT(text(json_object_get(json_array_get(devices, 1), "data"), "reservation"),
		"arm." UID ".1");
}

#define CPU(n, request)                                                                   \
	"{'request':'" request "','driver':'rt.takt.dev','pool':'node1','device':'cpu" #n \
	"','shareID':'s" #n "'}"

TEST(all_cpus_of_a_request_have_one_reservation)
{
	cleanup_json json_t *devices = status_of(
		CLAIM(CPU(0, "rt") "," CPU(1, "rt") "," OURS "," CPU(2, "more") "," CPU(3, "more"),
			""),
		"[" RESV("", "") "," RESV(".2", "") "," RESV(".3", ",'trouble':'off'") "]", &full);
	static const char *const ready[] = { "True", "True", "True", "False", "False" };
	static const char *const names[] = { "arm." UID, "arm." UID, "arm." UID ".2",
		"arm." UID ".3", "arm." UID ".3" };

	CHECK_EQ(json_array_size(devices), 5);
	for (size_t i = 0; i < 5; i++) {
		const json_t *data = json_object_get(json_array_get(devices, i), "data");

		CHECK_TEXT(text(condition(devices, i), "status"), ready[i]);
		CHECK_TEXT(text(data, "reservation"), names[i]);
	}
	CHECK_TEXT(text(condition(devices, 4), "message"), "off");
}

TEST(a_promise_with_trouble_is_not_ready)
{
	cleanup_json json_t *devices = status_of(
		CLAIM(OURS, ""), "[" RESV("", ",'trouble':'thread 7 is not under it'") "]", &fits);

	CHECK_TEXT(text(condition(devices, 0), "status"), "False");
	CHECK_TEXT(text(condition(devices, 0), "reason"), "Trouble");
	CHECK_TEXT(text(condition(devices, 0), "message"), "thread 7 is not under it");
}

#define TOLD(status)                                                                             \
	"{'driver':'rt.takt.dev','pool':'node1','device':'shared','shareID':'s1','conditions':[" \
	"{'type':'Ready','status':'" status "','lastTransitionTime':'2026-11-25T19:00:00Z'}]}"

TEST(a_condition_that_stays_as_it_is_keeps_its_time)
{
	cleanup_json json_t *same =
		status_of(CLAIM(OURS, TOLD("True")), "[" RESV("", "") "]", &fits);
	cleanup_json json_t *turned = status_of(CLAIM(OURS, TOLD("True")), "[]", &full);

	CHECK_TEXT(text(condition(same, 0), "lastTransitionTime"), "2026-11-25T19:00:00Z");
	CHECK_TEXT(text(condition(turned, 0), "lastTransitionTime"), NOW);
}

TEST(what_is_there_already_is_told)
{
	cleanup_json json_t *claim = load(CLAIM(OURS, "")), *list = load("[" RESV("", "") "]");
	cleanup_json json_t *wanted = outcome_status(claim, list, &fits, "node1", NOW);
	cleanup_json json_t *after = json_deep_copy(claim);
	cleanup_json json_t *other = NULL;

	CHECK(!outcome_is_told(claim, wanted));
	json_object_update(json_object_get(after, "status"), json_object_get(wanted, "status"));
	CHECK(outcome_is_told(after, wanted));
	other = outcome_status(after, NULL, &full, "node1", NOW);
	CHECK(!outcome_is_told(after, other));
}

TEST(a_claim_without_a_device_of_ours_is_not_written_to)
{
	cleanup_json json_t *none = load(CLAIM(RESULT("gpu.example.com", "g"), ""));
	cleanup_json json_t *deallocated = load("{'metadata':{'name':'a','uid':'" UID "'}}");

	CHECK(!outcome_status(none, NULL, &full, "node1", NOW));
	CHECK(!outcome_status(deallocated, NULL, &full, "node1", NOW));
}

TEST(an_event_has_all_that_the_api_server_asks_for)
{
	const struct outcome_about pod = { "v1", "Pod", "robots", "arm", "p1" };
	const struct outcome_about claim = { "resource.k8s.io/v1", "ResourceClaim", "robots",
		"arm-rt", UID };
	cleanup_json json_t *e = outcome_event(&pod, &claim, &full, "node1", "arm.1", NOW);

	CHECK_TEXT(text(e, "type"), "Warning");
	CHECK_TEXT(text(e, "reason"), "DoesNotFit");
	CHECK_TEXT(text(e, "note"), "0.2 CPU asked, 0.1 free");
	CHECK_TEXT(text(e, "action"), "Prepare");
	CHECK_TEXT(text(e, "reportingInstance"), "node1");
	CHECK_TEXT(text(e, "eventTime"), NOW);
	CHECK_TEXT(text(json_object_get(e, "metadata"), "namespace"), "robots");
	CHECK_TEXT(text(json_object_get(e, "regarding"), "uid"), "p1");
	CHECK_TEXT(text(json_object_get(e, "related"), "name"), "arm-rt");
}

TEST(the_same_sentence_is_said_once_in_five_minutes)
{
	static struct outcome_said said;
	const struct outcome other = { false, "DoesNotFit", "0.2 CPU asked, 0.05 free" };
	const struct outcome good = { true, "Prepared", "it fits" };
	uint64_t t = 1000000;

	CHECK(outcome_may_say(&said, "p1", &full, t));
	CHECK(!outcome_may_say(&said, "p1", &full, t + OUTCOME_SAME_MS - 1));
	CHECK(outcome_may_say(&said, "p2", &full, t + 1));
	CHECK(outcome_may_say(&said, "p1", &good, t + 1));
	CHECK(!outcome_may_say(&said, "p1", &other, t + OUTCOME_OTHER_MS - 1));
	CHECK(outcome_may_say(&said, "p1", &other, t + OUTCOME_OTHER_MS));
	CHECK(outcome_may_say(&said, "p2", &full, t + 1 + OUTCOME_SAME_MS));
}

TEST(of_very_many_objects_the_oldest_is_forgotten)
{
	static struct outcome_said said;
	char uid[16];

	for (int i = 0; i <= OUTCOME_SAID_MAX; i++) {
		snprintf(uid, sizeof(uid), "p%d", i);
		CHECK(outcome_may_say(&said, uid, &full, 1000 + i));
	}
	CHECK(!outcome_may_say(&said, "p1", &full, 5000));
	CHECK(outcome_may_say(&said, "p0", &full, 5000));
}

TEST(an_error_has_one_word_for_people)
{
	CHECK_TEXT(outcome_reason(-ENOSPC), "DoesNotFit");
	CHECK_TEXT(outcome_reason(-EINVAL), "BadParameters");
	CHECK_TEXT(outcome_reason(-ECONNREFUSED), "AgentAway");
	CHECK_TEXT(outcome_reason(-EIO), "NotPrepared");
}
