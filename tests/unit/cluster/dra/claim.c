// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include <errno.h>

#include "base/cleanup.h"
#include "cluster/dra/claim.h"

#define UID "5f0c8e8e-3a51-4d7e-9b57-0d6f9f3a7c11"

/* A claim as the API server of 1.36 has it, with the lists that differ from test to test. */
static json_t *claim(const char *results, const char *config)
{
	char text[4096];
	json_error_t error;
	json_t *object;

	snprintf(text, sizeof(text),
		"{'metadata':{'namespace':'robots','name':'arm-rt-x7k2p','uid':'" UID "'},"
		"'status':{'reservedFor':[{'resource':'pods','name':'arm','uid':'p1'}],"
		"'allocation':{'devices':{'results':[%s],'config':[%s]}}}}",
		results, config);
	for (char *c = text; *c; c++)
		if (*c == '\'')
			*c = '"';
	object = json_loads(text, 0, &error);
	if (!object)
		fail_msg("%s", error.text);
	return object;
}

#define RESULT(request, capacity)                                                           \
	"{'request':'" request "','driver':'rt.takt.dev','pool':'node1','device':'shared'," \
	"'shareID':'s1','consumedCapacity':{'bandwidth':'" capacity "'}}"
#define CONFIG(source, more, parameters)                                                           \
	"{'source':'" source "'" more ",'opaque':{'driver':'rt.takt.dev','parameters':" parameters \
	"}}"
#define FOUR_OF_TWENTY CONFIG("FromClaim", "", "{'runtime':'4ms','period':'20ms'}")

static int refused(const char *results, const char *config, const char *word)
{
	cleanup_json json_t *object = claim(results, config);
	cleanup_claim struct claim c = CLAIM_NULL;
	struct err err = ERR_NULL;
	int r = claim_read(object, UID, "node1", &c, &err);

	CHECK_EQ(c.n, 0);
	if (!strstr(err.text, word))
		fail_msg("\"%s\" is not in: %s", word, err.text);
	return r;
}

TEST(a_claim_is_the_reservation_that_it_was_given)
{
	cleanup_json json_t *object = claim(RESULT("rt", "200k"), FOUR_OF_TWENTY);
	cleanup_claim struct claim c = CLAIM_NULL;

	CHECK_EQ(claim_read(object, UID, "node1", &c, NULL), 0);
	CHECK_EQ(c.n, 1);
	CHECK_TEXT(c.namespace, "robots");
	CHECK_TEXT(c.results[0].request, "rt");
	CHECK_TEXT(c.results[0].share_id, "s1");
	CHECK_TEXT(c.results[0].resv.name, "arm-rt-x7k2p." UID);
	CHECK_EQ(c.results[0].resv.dl.runtime_ns, 4 * NSEC_PER_MSEC);
	CHECK_EQ(c.results[0].resv.dl.deadline_ns, 20 * NSEC_PER_MSEC);
	CHECK_EQ(c.results[0].resv.placement, PLACEMENT_SHARED);
	CHECK_EQ(c.results[0].resv.guarantee, GUARANTEE_HARD);
}

TEST(a_claim_that_was_allocated_on_another_node_is_refused_with_that_node)
{
	cleanup_json json_t *object = claim(RESULT("rt", "200k"), FOUR_OF_TWENTY);
	cleanup_claim struct claim c = CLAIM_NULL;
	struct err err = ERR_NULL;

	CHECK_EQ(claim_read(object, UID, "node2", &c, &err), -EXDEV);
	CHECK(strstr(err.text, "node node1") != NULL);
}

TEST(a_claim_made_from_a_template_says_for_which_pod)
{
	cleanup_json json_t *object = claim(RESULT("rt", "200k"), FOUR_OF_TWENTY);
	cleanup_claim struct claim c = CLAIM_NULL;
	const struct resv_request *r = &c.results[0].resv;
	char prefix[RESV_NAME_MAX + 1];

	json_object_set_new(json_object_get(object, "metadata"), "ownerReferences",
		json_pack("[{s:s, s:s}, {s:s, s:s}]", "kind", "Job", "name", "no", "kind", "Pod",
			"name", "arm-7"));
	CHECK_EQ(claim_read(object, UID, "node1", &c, NULL), 0);
	CHECK_EQ(r->n_labels, 4);
	for (size_t i = 0; i < r->n_labels; i++)
		if (strcmp(r->labels[i].key, "pod") == 0)
			CHECK_TEXT(r->labels[i].value, "arm-7");
	claim_prefix("arm-rt-x7k2p", UID, prefix);
	CHECK_TEXT(r->name, prefix);
}

TEST(its_labels_say_whose_it_is)
{
	static const char *const labels[][2] = { { "claim", "arm-rt-x7k2p" },
		{ "namespace", "robots" }, { "request", "rt" } };
	cleanup_json json_t *object = claim(RESULT("rt", "200k"), FOUR_OF_TWENTY);
	cleanup_claim struct claim c = CLAIM_NULL;

	CHECK_EQ(claim_read(object, UID, "node1", &c, NULL), 0);
	CHECK_EQ(c.results[0].resv.n_labels, 3);
	for (size_t i = 0; i < 3; i++) {
		CHECK_TEXT(c.results[0].resv.labels[i].key, labels[i][0]);
		CHECK_TEXT(c.results[0].resv.labels[i].value, labels[i][1]);
	}
}

TEST(the_claims_parameters_replace_those_of_its_class_field_by_field)
{
	cleanup_json json_t *object = claim(RESULT("rt", "100k"),
		CONFIG("FromClaim", "", "{'runtime':'2ms'}") "," CONFIG(
			"FromClass", "", "{'runtime':'1ms','period':'20ms','guarantee':'soft'}"));
	cleanup_claim struct claim c = CLAIM_NULL;

	CHECK_EQ(claim_read(object, UID, "node1", &c, NULL), 0);
	CHECK_EQ(c.results[0].resv.dl.runtime_ns, 2 * NSEC_PER_MSEC);
	CHECK_EQ(c.results[0].resv.dl.period_ns, 20 * NSEC_PER_MSEC);
	CHECK_EQ(c.results[0].resv.guarantee, GUARANTEE_SOFT);
}

TEST(parameters_may_be_a_whole_document)
{
	cleanup_json json_t *object = claim(RESULT("rt", "200k"),
		CONFIG("FromClaim", "",
			"{'apiVersion':'rt.takt.dev/v1alpha1','kind':'Reservation',"
			"'spec':{'runtime':'4ms','period':'20ms'}}"));
	cleanup_claim struct claim c = CLAIM_NULL;

	CHECK_EQ(claim_read(object, UID, "node1", &c, NULL), 0);
	CHECK_EQ(c.results[0].resv.dl.runtime_ns, 4 * NSEC_PER_MSEC);
}

TEST(each_request_has_its_own_parameters_and_reservation)
{
	cleanup_json json_t *object = claim(
		RESULT("one", "100k") ",{'request':'gpu','driver':'gpu.example.com',"
				      "'pool':'node1','device':'gpu0'}," RESULT("two/small", "50k"),
		CONFIG("FromClaim", ",'requests':['one']",
			"{'runtime':'1ms','period':'10ms'}") "," CONFIG("FromClaim",
			",'requests':['two']", "{'period':'20ms'}") "," CONFIG("FromClaim",
			",'requests':['two/small']", "{'runtime':'1ms'}") "," CONFIG("FromClaim",
			",'requests':['two/large']", "{'runtime':'9ms'}"));
	cleanup_claim struct claim c = CLAIM_NULL;

	CHECK_EQ(claim_read(object, UID, "node1", &c, NULL), 0);
	CHECK_EQ(c.n, 2);
	CHECK_TEXT(c.results[1].request, "two");
	CHECK_TEXT(c.results[1].resv.name, "arm-rt-x7k2p." UID ".1");
	CHECK_EQ(c.results[0].resv.dl.period_ns, 10 * NSEC_PER_MSEC);
	CHECK_EQ(c.results[1].resv.dl.runtime_ns, 1 * NSEC_PER_MSEC);
	CHECK_EQ(c.results[1].resv.dl.period_ns, 20 * NSEC_PER_MSEC);
}

TEST(more_than_the_scheduler_counted_is_refused)
{
	CHECK_EQ(refused(RESULT("rt", "199999"), FOUR_OF_TWENTY, "200000"), -EINVAL);
	CHECK_EQ(refused(RESULT("rt", "200k"),
			 CONFIG("FromClaim", "", "{'runtime':'4ms','period':'20ms','cores':2}"),
			 "400000"),
		-EINVAL);
	/* 700 us in 3 ms is 233333.3 millionths. */
	CHECK_EQ(refused(RESULT("rt", "233333"),
			 CONFIG("FromClaim", "", "{'runtime':'700us','period':'3ms'}"), "233334"),
		-EINVAL);
	CHECK_EQ(refused("{'request':'rt','driver':'rt.takt.dev','pool':'node1','device':'shared'}",
			 FOUR_OF_TWENTY, "capacity"),
		-EINVAL);
}

TEST(wrong_parameters_are_refused_with_the_field)
{
	CHECK_EQ(refused(RESULT("rt", "200k"), CONFIG("FromClaim", "", "{'runtime':'4ms'}"),
			 "spec.period"),
		-EINVAL);
	CHECK_EQ(refused(RESULT("rt", "200k"), "", "spec."), -EINVAL);
	CHECK_EQ(refused(RESULT("rt", "200k"), CONFIG("FromClaim", "", "[]"), "not an object"),
		-EINVAL);
	CHECK_EQ(refused(RESULT("rt", "200k"),
			 CONFIG("FromClaim", "",
				 "{'runtime':'4ms','period':'20ms','placement':'pinned'}"),
			 "placement"),
		-EINVAL);
}

#define CPU(request, cpu, capacity)                                                             \
	"{'request':'" request "','driver':'rt.takt.dev','pool':'node1','device':'cpu" cpu "'," \
	"'shareID':'s" cpu "','consumedCapacity':{'bandwidth':'" capacity "'}}"

TEST(the_cpus_of_one_request_are_one_reservation_of_as_many_cores)
{
	cleanup_json json_t *object = claim(
		CPU("rt", "3", "200k") "," CPU("other", "2", "200k") "," CPU("rt", "1", "200k"),
		FOUR_OF_TWENTY);
	cleanup_claim struct claim c = CLAIM_NULL;
	const struct resv_request *first = &c.results[0].resv;

	CHECK_EQ(claim_read(object, UID, "node1", &c, NULL), 0);
	CHECK_EQ(c.n, 3);
	CHECK_TEXT(first->name, "arm-rt-x7k2p." UID);
	CHECK_EQ(first->cores, 2);
	CHECK_EQ(first->placement, PLACEMENT_PINNED);
	CHECK_EQ(cpus_count(&first->cpus), 2);
	CHECK(cpus_contains(&first->cpus, 1) && cpus_contains(&first->cpus, 3));
	CHECK(resv_request_equal(first, &c.results[2].resv));
	CHECK_TEXT(c.results[2].device, "cpu1");
	CHECK_TEXT(c.results[1].resv.name, "arm-rt-x7k2p." UID ".1");
	CHECK_EQ(c.results[1].resv.cores, 1);
	CHECK(cpus_contains(&c.results[1].resv.cpus, 2));
}

TEST(each_cpu_must_have_been_given_as_much_as_a_server_needs)
{
	CHECK_EQ(refused(CPU("rt", "0", "200k") "," CPU("rt", "1", "199999"), FOUR_OF_TWENTY,
			 "200000"),
		-EINVAL);
}

TEST(cpus_that_do_not_make_the_reservation_are_refused)
{
	CHECK_EQ(refused(CPU("rt", "0", "200k") "," CPU("rt", "1", "200k"),
			 CONFIG("FromClaim", "", "{'runtime':'4ms','period':'20ms','cores':3}"),
			 "given 2 CPUs"),
		-EINVAL);
	CHECK_EQ(refused(CPU("rt", "0", "200k"),
			 CONFIG("FromClaim", "",
				 "{'runtime':'4ms','period':'20ms','placement':'shared'}"),
			 "placement pinned"),
		-EINVAL);
	CHECK_EQ(
		refused(CPU("rt", "0", "200k"),
			CONFIG("FromClaim", "",
				"{'runtime':'4ms','period':'20ms','placement':'pinned','cpus':'0-0'}"),
			"the scheduler chooses"),
		-EINVAL);
	CHECK_EQ(refused(CPU("rt", "0", "200k") "," CPU("rt", "0", "200k"), FOUR_OF_TWENTY, "CPU"),
		-EINVAL);
	CHECK_EQ(refused(CPU("rt", "0-1", "200k"), FOUR_OF_TWENTY, "device cpu0-1"), -EINVAL);
	CHECK_EQ(refused(CPU("rt", "9999", "200k"), FOUR_OF_TWENTY, "device cpu9999"), -EINVAL);
	CHECK_EQ(refused(CPU("rt", "0", "200k") "," RESULT("rt", "200k"), FOUR_OF_TWENTY, "shared"),
		-EINVAL);
}

TEST(a_claim_that_is_not_allocated_or_not_ours_is_told_apart)
{
	cleanup_json json_t *bare = json_pack(
		"{s:{s:s, s:s, s:s}}", "metadata", "namespace", "a", "name", "b", "uid", UID);
	cleanup_json json_t *object = claim(RESULT("rt", "200k"), FOUR_OF_TWENTY);
	cleanup_json json_t *nothing = json_object();
	cleanup_claim struct claim c = CLAIM_NULL;

	CHECK_EQ(claim_read(bare, UID, "node1", &c, NULL), -EAGAIN);
	CHECK_EQ(claim_read(object, "another", "node1", &c, NULL), -ESTALE);
	CHECK_EQ(claim_read(nothing, UID, "node1", &c, NULL), -EPROTO);
	json_array_clear(json_object_get(json_object_get(object, "status"), "reservedFor"));
	CHECK_EQ(claim_read(object, UID, "node1", &c, NULL), -EAGAIN);
	CHECK_EQ(refused("", FOUR_OF_TWENTY, "no device"), -ENOENT);
}

TEST(a_long_name_is_cut_and_the_uid_is_not)
{
	cleanup_json json_t *object = claim(RESULT("rt", "200k"), FOUR_OF_TWENTY);
	cleanup_claim struct claim c = CLAIM_NULL;
	char name[254];

	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	json_object_set_new(json_object_get(object, "metadata"), "name", json_string(name));
	CHECK_EQ(claim_read(object, UID, "node1", &c, NULL), 0);
	CHECK(strlen(c.results[0].resv.name) <= RESV_NAME_MAX);
	CHECK(strstr(c.results[0].resv.name, "." UID));
}

TEST(a_reservation_is_known_by_the_uid_in_its_name)
{
	CHECK(claim_owns("arm." UID, UID));
	CHECK(claim_owns("arm." UID ".12", UID));
	CHECK(!claim_owns("arm." UID "0", UID));
	CHECK(!claim_owns("arm-" UID, UID));
	CHECK(!claim_owns(UID, UID));
	CHECK(!claim_owns("arm", UID));
	CHECK(!claim_owns("arm", ""));
}
