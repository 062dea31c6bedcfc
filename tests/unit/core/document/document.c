// SPDX-License-Identifier: Apache-2.0
#include "core/document/document.h"

#include "helper.h"

#define DOCUMENT(name)                                                                \
	"apiVersion: rt.takt.dev/v1alpha1\nkind: Reservation\nmetadata: {name: " name \
	"}\nspec: {runtime: 4ms, period: 20ms}\n"

TEST(a_short_document_takes_every_default)
{
	cleanup_document_set struct document_set set = parse_good(CAMERA);
	const struct resv_request *r = set.requests;

	CHECK_EQ(set.n, 1);
	CHECK_TEXT(r->name, "camera");
	CHECK_EQ(r->dl.runtime_ns, 4000000);
	CHECK_EQ(r->dl.period_ns, 20000000);
	CHECK_EQ(r->dl.deadline_ns, 20000000);
	CHECK_EQ(r->cores, 1);
	CHECK_EQ(r->guarantee, GUARANTEE_HARD);
	CHECK_EQ(r->placement, PLACEMENT_AUTO);
	CHECK_EQ(r->threads, THREADS_MAIN);
	CHECK_EQ(r->n_patterns, 0);
	CHECK(!r->reclaim);
	CHECK_EQ(r->adapt.min_runtime_ns, 0);
	CHECK_EQ(r->adapt.max_runtime_ns, 0);
	CHECK_EQ(r->adapt.miss_rate_ppm, 0);
	CHECK_EQ(r->n_labels, 0);
}

TEST(every_field_can_be_written)
{
	cleanup_document_set struct document_set set =
		parse_good("# a comment\n"
			   "---\n"
			   "apiVersion: rt.takt.dev/v1alpha1\n"
			   "kind: Reservation\n"
			   "metadata:\n"
			   "  name: camera-1.front\n"
			   "  labels:\n"
			   "    pod: vision-0\n"
			   "    app: \"7\"\n"
			   "    empty: ''\n"
			   "spec:\n"
			   "  runtime: 1.5ms\n"
			   "  period: \"20ms\"\n"
			   "  deadline: 10000us\n"
			   "  cores: 2\n"
			   "  guarantee: soft\n"
			   "  threads:\n"
			   "    match: [\"worker-*\", io?]\n"
			   "  placement: exclusive\n"
			   "  reclaim: true\n"
			   "  adapt: {minRuntime: 1ms, maxRuntime: 8ms, missRate: 0.25%}\n"
			   "...\n");
	const struct resv_request *r = set.requests;

	CHECK_TEXT(r->name, "camera-1.front");
	CHECK_EQ(r->dl.runtime_ns, 1500000);
	CHECK_EQ(r->dl.deadline_ns, 10000000);
	CHECK_EQ(r->cores, 2);
	CHECK_EQ(r->guarantee, GUARANTEE_SOFT);
	CHECK_EQ(r->threads, THREADS_MATCH);
	CHECK_EQ(r->n_patterns, 2);
	CHECK_TEXT(r->patterns[0], "worker-*");
	CHECK_TEXT(r->patterns[1], "io?");
	CHECK_EQ(r->placement, PLACEMENT_EXCLUSIVE);
	CHECK(r->reclaim);
	CHECK_EQ(r->adapt.min_runtime_ns, 1000000);
	CHECK_EQ(r->adapt.max_runtime_ns, 8000000);
	CHECK_EQ(r->adapt.miss_rate_ppm, 2500);
	CHECK_EQ(r->n_labels, 3);
}

TEST(labels_are_sorted_by_key)
{
	cleanup_document_set struct document_set set =
		parse_good("apiVersion: rt.takt.dev/v1alpha1\nkind: Reservation\n"
			   "metadata: {name: a, labels: {pod: p, app: x, claim: ''}}\n"
			   "spec: {runtime: 4ms, period: 20ms}\n");
	const struct resv_label *l = set.requests[0].labels;

	CHECK_EQ(set.requests[0].n_labels, 3);
	CHECK_TEXT(l[0].key, "app");
	CHECK_TEXT(l[0].value, "x");
	CHECK_TEXT(l[1].key, "claim");
	CHECK_TEXT(l[1].value, "");
	CHECK_TEXT(l[2].key, "pod");
}

TEST(each_thread_rule_is_read)
{
	static const struct {
		const char *text;
		enum thread_rule rule;
	} cases[] = {
		{ "{main: true}", THREADS_MAIN },
		{ "{attach: true}", THREADS_ATTACH },
		{ "{all: true}", THREADS_ALL },
		{ "{match: [w]}", THREADS_MATCH },
	};
	char text[512];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(text, sizeof(text), CAMERA "  threads: %s\n", cases[i].text);
		cleanup_document_set struct document_set set = parse_good(text);

		CHECK_EQ(set.requests[0].threads, cases[i].rule);
	}
}

TEST(each_placement_is_read)
{
	char text[512];

	for (unsigned p = PLACEMENT_NONE + 1; p < _PLACEMENT_MAX; p++) {
		snprintf(text, sizeof(text), CAMERA "  placement: %s\n", placement_name(p));
		cleanup_document_set struct document_set set = parse_good(text);

		CHECK_EQ(set.requests[0].placement, p);
	}
}

TEST(the_cpus_of_pinned_servers_are_read_as_a_list)
{
	cleanup_document_set struct document_set set =
		parse_good(CAMERA "  placement: pinned\n  cores: 3\n  cpus: 0,2-3\n");
	const struct cpus *cpus = &set.requests[0].cpus;

	CHECK_EQ(cpus_count(cpus), 3);
	CHECK(cpus_contains(cpus, 0) && cpus_contains(cpus, 2) && cpus_contains(cpus, 3));
}

TEST(a_patterns_limits_are_15_bytes_and_8_patterns)
{
	cleanup_document_set struct document_set set =
		parse_good(CAMERA "  threads: {match: [a, b, c, d, e, f, g, 123456789-12345]}\n");

	CHECK_EQ(set.requests[0].n_patterns, RESV_PATTERNS_MAX);
	CHECK_TEXT(set.requests[0].patterns[7], "123456789-12345");
}

TEST(the_miss_rate_is_one_percent_where_it_is_absent)
{
	cleanup_document_set struct document_set set =
		parse_good(CAMERA "  adapt: {minRuntime: 1ms, maxRuntime: 8ms}\n");

	CHECK_EQ(set.requests[0].adapt.miss_rate_ppm, 10000);
}

TEST(a_miss_rate_is_a_percentage_with_up_to_four_decimals)
{
	static const struct {
		const char *text;
		uint32_t ppm;
	} cases[] = {
		{ "0%", 0 },
		{ "0.0001%", 1 },
		{ "0.05%", 500 },
		{ "1%", 10000 },
		{ "12.3456%", 123456 },
		{ "100%", 1000000 },
	};
	char text[512];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(text, sizeof(text),
			CAMERA "  adapt: {minRuntime: 1ms, maxRuntime: 8ms, missRate: %s}\n",
			cases[i].text);
		cleanup_document_set struct document_set set = parse_good(text);

		CHECK_EQ(set.requests[0].adapt.miss_rate_ppm, cases[i].ppm);
	}
}

TEST(one_file_holds_several_documents)
{
	cleanup_document_set struct document_set set = parse_good(
		"---\n" DOCUMENT("a") "---\n" DOCUMENT("b") "---\n# nothing\n---\n" DOCUMENT("c"));

	CHECK_EQ(set.n, 3);
	CHECK_TEXT(set.requests[0].name, "a");
	CHECK_TEXT(set.requests[1].name, "b");
	CHECK_TEXT(set.requests[2].name, "c");
}

TEST(json_text_is_read_as_well)
{
	cleanup_document_set struct document_set set = parse_good(
		"{\"apiVersion\":\"rt.takt.dev/v1alpha1\",\"kind\":\"Reservation\",\n"
		"\t\"metadata\":{\"name\":\"camera\",\"labels\":{\"a\":\"\\u00e4\"}},\n"
		"\t\"spec\":{\"runtime\":\"4ms\",\"period\":\"20ms\",\"cores\":3,\"reclaim\":false}}");

	CHECK_EQ(set.requests[0].cores, 3);
	CHECK_TEXT(set.requests[0].labels[0].value, "\xc3\xa4");
}

TEST(a_byte_order_mark_of_utf_8_is_passed_over)
{
	cleanup_document_set struct document_set set = parse_good("\xef\xbb\xbf" CAMERA);

	CHECK_EQ(set.n, 1);
}

TEST(words_that_yaml_1_1_would_turn_around_stay_text)
{
	cleanup_document_set struct document_set set = parse_good(
		"apiVersion: rt.takt.dev/v1alpha1\nkind: Reservation\n"
		"metadata: {name: no, labels: {y: yes, off: on, v: 1.2.3, hex: 0x1f, t: 12:30}}\n"
		"spec: {runtime: 4ms, period: 20ms}\n");

	CHECK_TEXT(set.requests[0].name, "no");
	CHECK_TEXT(set.requests[0].labels[4].value, "yes");
	CHECK_TEXT(set.requests[0].labels[1].value, "on");
	CHECK_TEXT(set.requests[0].labels[2].value, "12:30");
}

/* `n` documents named d0, d1, ... */
static char *many(size_t n)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	CHECK(f);
	for (size_t i = 0; i < n; i++)
		fprintf(f, "---\n" DOCUMENT("d%zu"), i);
	fclose(f);
	return text;
}

TEST(ten_thousand_documents_are_read)
{
	cleanup_free char *text = many(DOCUMENT_MAX);
	cleanup_document_set struct document_set set = parse_good(text);

	CHECK_EQ(set.n, DOCUMENT_MAX);
	CHECK_TEXT(set.requests[DOCUMENT_MAX - 1].name, "d9999");
}

TEST(one_document_more_than_ten_thousand_is_refused)
{
	cleanup_free char *text = many(DOCUMENT_MAX + 1);

	CHECK_TEXT(
		faults_of(text), "f.yaml:50002: there are more than 10000 documents; split them");
}

TEST(more_than_4_mib_is_refused)
{
	size_t len = DOCUMENT_BYTES_MAX + 1;
	cleanup_free char *text = malloc(len);

	CHECK(text);
	memset(text, '#', len);
	CHECK_TEXT(faults_of_bytes(text, len), "f.yaml: this is larger than 4 MiB; split it");
	CHECK_TEXT(faults_of_bytes(text, len - 1), "f.yaml: there is no reservation in it");
}

TEST(nothing_is_no_reservation)
{
	CHECK_TEXT(faults_of(""), "f.yaml: there is no reservation in it");
	CHECK_TEXT(faults_of("# only a comment\n"), "f.yaml: there is no reservation in it");
	CHECK_TEXT(faults_of("---\n---\nnull\n---\n~\n"), "f.yaml: there is no reservation in it");
}

TEST(fini_accepts_nothing_and_may_be_called_twice)
{
	struct document_set set = parse_good(CAMERA);
	struct document_faults none = DOCUMENT_FAULTS_NULL;

	document_set_fini(NULL);
	document_set_fini(&set);
	CHECK(!set.requests && set.n == 0);
	document_set_fini(&set);
	document_faults_fini(NULL);
	document_faults_fini(&none);
}
