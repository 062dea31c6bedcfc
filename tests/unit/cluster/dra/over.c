// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include "base/cleanup.h"
#include "cluster/dra/claim.h"
#include "cluster/dra/over.h"

#define UID "5f0c8e8e-3a51-4d7e-9b57-0d6f9f3a7c11"
#define OTHER "6f0c8e8e-3a51-4d7e-9b57-0d6f9f3a7c12"

/* JSON with ' for ". */
static json_t *load(const char *text)
{
	char copy[2048];
	json_t *object;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *c = copy; *c; c++)
		if (*c == '\'')
			*c = '"';
	object = json_loads(copy, 0, NULL);
	CHECK(object != NULL);
	return object;
}

#define RESV(name, labels, state) "{'name':'" name "','state':'" state "','labels':{" labels "}}"
#define LABELS "'namespace':'robots','claim':'arm.rt'"

TEST(a_reservation_tells_whose_claim_it_is_for)
{
	cleanup_json json_t *first = load(RESV("arm.rt." UID, LABELS, "held"));
	cleanup_json json_t *third = load(RESV("arm.rt." UID ".2", LABELS, "active"));
	struct over_owner o;

	CHECK(over_owner_read(first, &o));
	CHECK_TEXT(o.namespace, "robots");
	CHECK_TEXT(o.claim, "arm.rt");
	CHECK_TEXT(o.uid, UID);
	CHECK(!o.held);
	CHECK(over_owner_read(third, &o));
	CHECK_TEXT(o.uid, UID);
	CHECK(o.held);
}

/* Of a long name the reservation's has the first 80 bytes, whatever comes behind them. */
TEST(a_reservation_of_a_claim_with_a_long_name_is_told_too)
{
#define CUT "0123456789012345678901234567890123456789012345678901234567890123456789012345678x"
	static const char *const names[] = { CUT, CUT ".rt", CUT "y", CUT "." UID };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cleanup_json json_t *resv =
			json_pack("{s:s, s:s, s:{s:s, s:s}}", "name", CUT "." UID, "state", "held",
				"labels", "namespace", "robots", "claim", names[i]);
		char prefix[RESV_NAME_MAX + 1];
		struct over_owner o;

		claim_prefix(names[i], UID, prefix);
		CHECK_TEXT(prefix, CUT "." UID);
		CHECK(over_owner_read(resv, &o));
		CHECK_TEXT(o.claim, names[i]);
		CHECK_TEXT(o.uid, UID);
	}
}

TEST(what_people_reserved_themselves_belongs_to_no_claim)
{
	static const char *const others[] = {
		RESV("camera", "", "held"),
		RESV("arm.rt." UID, "'namespace':'robots'", "held"),
		RESV("arm.rt." UID, "'claim':'arm.rt'", "held"),
		RESV("camera", LABELS, "held"),
		RESV("arm.rt.mine", LABELS, "held"),
		RESV("arm.rt." UID "0", LABELS, "held"),
		RESV("legarm.rt." UID, LABELS, "held"),
		RESV("arm.rt.zf0c8e8e-3a51-4d7e-9b57-0d6f9f3a7c11", LABELS, "held"),
		"{}",
	};
	struct over_owner o;

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		cleanup_json json_t *resv = load(others[i]);

		CHECK(!over_owner_read(resv, &o));
	}
}

#define CLAIM(uid, status) "{'metadata':{'name':'arm','uid':'" uid "'},'status':{" status "}}"
#define RESULT(driver, pool) "{'driver':'" driver "','pool':'" pool "','device':'shared'}"
#define ALLOCATED(results) "'allocation':{'devices':{'results':[" results "]}}"
#define BY_POD "'reservedFor':[{'resource':'pods','name':'arm','uid':'p1'}]"
#define HERE ALLOCATED(RESULT("rt.takt.dev", "node1"))

static const char *why(const char *text)
{
	cleanup_json json_t *claim = load(text);

	return over_why(claim, UID, "node1");
}

TEST(a_claim_that_a_pod_has_here_is_not_over)
{
	CHECK(!why(CLAIM(UID, HERE "," BY_POD)));
	CHECK(!why(CLAIM(UID, ALLOCATED(RESULT("gpu.example.com", "node1") "," RESULT(
				      "rt.takt.dev", "node1")) "," BY_POD)));
}

TEST(a_claim_is_over_when_it_is_gone_or_is_not_ours_any_more)
{
	CHECK_TEXT(over_why(NULL, UID, "node1"), "its claim is gone");
	CHECK_TEXT(why(CLAIM(OTHER, HERE "," BY_POD)), "another claim has its claim's name");
	CHECK_TEXT(why(CLAIM(UID, "")), "its claim is not allocated any more");
	CHECK_TEXT(why(CLAIM(UID, "'allocation':null")), "its claim is not allocated any more");
	CHECK_TEXT(why(CLAIM(UID, HERE)), "no pod has its claim reserved any more");
	CHECK_TEXT(why(CLAIM(UID, HERE ",'reservedFor':[]")),
		"no pod has its claim reserved any more");
	CHECK_TEXT(why(CLAIM(UID, ALLOCATED(RESULT("rt.takt.dev", "node2")) "," BY_POD)),
		"its claim is allocated elsewhere");
}

TEST(an_answer_that_is_no_claim_ends_nothing)
{
	CHECK(!why("{}"));
	CHECK(!why("{'metadata':{}}"));
}
