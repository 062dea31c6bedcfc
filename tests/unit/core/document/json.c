// SPDX-License-Identifier: Apache-2.0
#include "helper.h"

static struct resv_request from_json(const char *text)
{
	cleanup_json json_t *json = json_loads(text, 0, NULL);
	struct resv_request request;
	struct err err = ERR_NULL;

	CHECK(json);
	if (document_from_json(json, &request, NULL, &err) < 0)
		fail_msg("%s", err.text);
	return request;
}

/* The text of the normal form. */
static char *to_text(const struct resv_request *r)
{
	cleanup_json json_t *json = document_to_json(r);
	char *text = json_dumps(json, JSON_COMPACT);

	CHECK(text);
	return text;
}

#define CAMERA_JSON                                                          \
	"{\"apiVersion\":\"rt.takt.dev/v1alpha1\",\"kind\":\"Reservation\"," \
	"\"metadata\":{\"name\":\"camera\"},\"spec\":{\"runtime\":\"4ms\",\"period\":\"20ms\"}}"
#define PINNED_JSON                                                                             \
	"{\"apiVersion\":\"rt.takt.dev/v1alpha1\",\"kind\":\"Reservation\","                    \
	"\"metadata\":{\"name\":\"camera\"},\"spec\":{\"runtime\":\"4ms\",\"period\":\"20ms\"," \
	"\"cores\":2,\"placement\":\"pinned\",\"cpus\":\"1,3\"}}"
#define FULL_JSON                                                                             \
	"{\"apiVersion\":\"rt.takt.dev/v1alpha1\",\"kind\":\"Reservation\","                  \
	"\"metadata\":{\"name\":\"camera\",\"labels\":{\"app\":\"\",\"pod\":\"p-1\"}},"       \
	"\"spec\":{\"runtime\":\"1.024us\",\"period\":\"4.194304s\",\"deadline\":\"2.5ms\","  \
	"\"cores\":256,\"guarantee\":\"soft\",\"threads\":{\"match\":[\"worker-*\",\"12\"]}," \
	"\"placement\":\"group\",\"reclaim\":true,\"adapt\":{\"minRuntime\":\"1.024us\","     \
	"\"maxRuntime\":\"2ms\",\"missRate\":\"0.0501%\"}}}"

TEST(pinned_cpus_are_written_as_they_are_read)
{
	struct resv_request r = from_json(PINNED_JSON);
	cleanup_free char *text = to_text(&r);

	CHECK_TEXT(text, PINNED_JSON);
	resv_request_fini(&r);
}

TEST(a_document_at_the_door_is_read)
{
	struct resv_request r = from_json(CAMERA_JSON);

	CHECK_TEXT(r.name, "camera");
	CHECK_EQ(r.dl.runtime_ns, 4000000);
	CHECK_EQ(r.dl.deadline_ns, 20000000);
	CHECK_EQ(r.cores, 1);
	CHECK_EQ(r.threads, THREADS_MAIN);
	resv_request_fini(&r);
}

TEST(the_normal_form_has_no_defaults)
{
	struct resv_request r = from_json(
		"{\"spec\":{\"cores\":1,\"runtime\":\"4000us\",\"period\":\"0.02s\",\"deadline\":"
		"\"20ms\",\"guarantee\":\"hard\",\"threads\":{\"main\":true},\"placement\":\"auto\","
		"\"reclaim\":false},\"metadata\":{\"labels\":{},\"name\":\"camera\"},"
		"\"kind\":\"Reservation\",\"apiVersion\":\"rt.takt.dev/v1alpha1\"}");
	cleanup_free char *text = to_text(&r);

	CHECK_TEXT(text, CAMERA_JSON);
	resv_request_fini(&r);
}

TEST(the_normal_form_has_everything_else)
{
	struct resv_request r = from_json(FULL_JSON);
	cleanup_free char *text = to_text(&r);

	CHECK_TEXT(text, FULL_JSON);
	resv_request_fini(&r);
}

TEST(a_default_miss_rate_is_not_written)
{
	struct resv_request r = from_json(CAMERA_JSON);
	cleanup_json json_t *json = NULL;
	const json_t *adapt;

	r.adapt = (struct resv_envelope){ 1000000, 8000000, DOCUMENT_MISS_RATE_PPM };
	json = document_to_json(&r);
	adapt = json_object_get(json_object_get(json, "spec"), "adapt");
	CHECK_EQ(json_object_size(adapt), 2);
	resv_request_fini(&r);
}

TEST(each_rule_and_word_makes_the_round)
{
	struct resv_request r = from_json(CAMERA_JSON);

	for (unsigned t = THREADS_MAIN; t < _THREADS_MAX; t++)
		for (unsigned p = PLACEMENT_AUTO; p < _PLACEMENT_MAX; p++)
			for (unsigned g = GUARANTEE_HARD; g < _GUARANTEE_MAX; g++) {
				cleanup_json json_t *json = NULL;
				struct resv_request back;

				r.threads = t;
				r.placement = p;
				r.guarantee = g;
				r.n_patterns = t == THREADS_MATCH;
				strcpy(r.patterns[0], t == THREADS_MATCH ? "true" : "");
				json = document_to_json(&r);
				CHECK_EQ(document_from_json(json, &back, NULL, NULL), 0);
				CHECK(resv_request_equal(&r, &back));
				resv_request_fini(&back);
			}
	resv_request_fini(&r);
}

static uint64_t random_next(uint64_t *state)
{
	/* Knuth's MMIX generator; its low bits are weak. */
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 16;
}

TEST(any_sound_numbers_make_the_round)
{
	struct resv_request r = from_json(FULL_JSON);
	uint64_t s = 3;

	for (int i = 0; i < 20000; i++) {
		cleanup_json json_t *json = NULL;
		struct resv_request back;
		struct err err = ERR_NULL;

		r.dl.period_ns = DL_PERIOD_MIN_NS +
				 random_next(&s) % (DL_PERIOD_MAX_NS - DL_PERIOD_MIN_NS + 1);
		r.dl.deadline_ns = 2000 + random_next(&s) % (r.dl.period_ns - 2000 + 1);
		r.dl.runtime_ns = 1024 + random_next(&s) % (r.dl.deadline_ns - 1024 + 1);
		r.adapt.min_runtime_ns = 1024 + random_next(&s) % (r.dl.runtime_ns - 1024 + 1);
		r.adapt.max_runtime_ns = r.dl.runtime_ns;
		r.adapt.miss_rate_ppm = random_next(&s) % 1000001;
		r.cores = 1 + random_next(&s) % RESV_CORES_MAX;
		json = document_to_json(&r);
		if (document_from_json(json, &back, NULL, &err) < 0)
			fail_msg("%s", err.text);
		CHECK(resv_request_equal(&r, &back));
		resv_request_fini(&back);
	}
	resv_request_fini(&r);
}

TEST(the_normal_form_is_also_yaml)
{
	cleanup_document_set struct document_set set = parse_good(FULL_JSON);
	struct resv_request r = from_json(FULL_JSON);

	CHECK(resv_request_equal(&r, &set.requests[0]));
	resv_request_fini(&r);
}

TEST(text_that_is_not_utf_8_has_no_normal_form)
{
	struct resv_request r = from_json(CAMERA_JSON);

	r.threads = THREADS_MATCH;
	r.n_patterns = 1;
	strcpy(r.patterns[0], "\xff");
	CHECK(!document_to_json(&r));
	resv_request_fini(&r);
}

TEST(faults_at_the_door_have_a_path_and_no_line)
{
	CHECK_TEXT(faults_of_json("{}"),
		"apiVersion: this field is missing; write for example apiVersion: rt.takt.dev/v1alpha1\n"
		"kind: this field is missing; write for example kind: Reservation\n"
		"metadata: this field is missing; write for example metadata: {name: camera}\n"
		"spec: this field is missing; write for example spec: {runtime: 4ms, period: 20ms}");
	CHECK_TEXT(faults_of_json("5"),
		"a reservation is a map with apiVersion, kind, metadata and spec");
	CHECK_TEXT(faults_of_json("null"),
		"a reservation is a map with apiVersion, kind, metadata and spec");
}

#define AT_DOOR(spec)                                                                           \
	"{\"apiVersion\":\"rt.takt.dev/v1alpha1\",\"kind\":\"Reservation\","                    \
	"\"metadata\":{\"name\":\"a\"},\"spec\":{\"runtime\":\"4ms\",\"period\":\"20ms\"," spec \
	"}}"

TEST(json_types_are_checked_like_yaml_ones)
{
	CHECK_TEXT(faults_of_json(AT_DOOR("\"deadline\":10")),
		"spec.deadline: \"10\" has no unit: write ns, us, ms or s right after the number, as in 20ms");
	CHECK_TEXT(faults_of_json(AT_DOOR("\"deadline\":0.1")),
		"spec.deadline: \"0.1\" has no unit: write ns, us, ms or s right after the number, as in 20ms");
	CHECK_TEXT(faults_of_json(AT_DOOR("\"cores\":\"2\",\"reclaim\":\"true\"")),
		"spec.cores: \"2\" is text in quotes; write a whole number, as in cores: 2\n"
		"spec.reclaim: \"true\" is text in quotes; write true or false, as in reclaim: true");
	CHECK_TEXT(faults_of_json(AT_DOOR("\"cores\":2.0")),
		"spec.cores: \"2.0\" is a number; write a whole number, as in cores: 2");
	CHECK_TEXT(faults_of_json(AT_DOOR("\"cores\":null,\"reclaim\":0")),
		"spec.cores: there is no value here; write a whole number, as in cores: 2\n"
		"spec.reclaim: \"0\" is a number; write true or false, as in reclaim: true");
	CHECK_TEXT(faults_of_json(AT_DOOR("\"threads\":{\"match\":[7]},\"coers\":2")),
		"spec.threads.match[0]: \"7\" is a number; write \"7\" in quotes\n"
		"spec.coers: there is no such field; did you mean cores?");
}

TEST(a_nul_character_in_json_is_refused)
{
	cleanup_document_faults struct document_faults faults = DOCUMENT_FAULTS_NULL;
	cleanup_json json_t *json = json_loads(
		AT_DOOR("\"threads\":{\"match\":[\"a\\u0000b\"]}"), JSON_ALLOW_NUL, NULL);
	struct resv_request r;
	struct err err = ERR_NULL;

	CHECK(json);
	CHECK_EQ(document_from_json(json, &r, &faults, &err), -EINVAL);
	CHECK_TEXT(err.text,
		"spec.threads.match[0]: there is a NUL character in it; write plain text");
	CHECK_EQ(faults.n, 1);
}

TEST(the_error_is_the_first_fault_and_how_many_more)
{
	cleanup_json json_t *json =
		json_loads(AT_DOOR("\"cores\":0,\"a\":1,\"deadline\":1"), 0, NULL);
	struct resv_request r;
	struct err err = ERR_NULL;

	CHECK_EQ(document_from_json(json, &r, NULL, &err), -EINVAL);
	CHECK_TEXT(err.text, "spec.cores: 0 is outside 1 to 256 (and 2 more)");
}

TEST(deep_json_is_refused)
{
	char text[64] = "";

	memset(text, '[', 20);
	memset(text + 20, ']', 20);
	CHECK_TEXT(faults_of_json(text), "this is nested more than 10 levels deep");
}

/* An object of `n` fields that nobody knows. */
static char *strange(unsigned n)
{
	cleanup_json json_t *json = json_object();
	char key[16];

	for (unsigned i = 0; i < n; i++) {
		snprintf(key, sizeof(key), "field-%u", i);
		json_object_set_new(json, key, json_true());
	}
	return json_dumps(json, 0);
}

TEST(a_large_document_is_refused)
{
	cleanup_free char *text = strange(DOCUMENT_VALUES_MAX);

	CHECK_TEXT(faults_of_json(text),
		"this document has more than 256 values; a reservation needs far fewer");
}

TEST(reading_stops_after_a_hundred_mistakes)
{
	cleanup_free char *text = strange(DOCUMENT_VALUES_MAX - 1);
	const char *last = strrchr(faults_of_json(text), '\n');

	CHECK(last);
	CHECK_TEXT(last, "\nthere are more than 100 mistakes; reading stopped here");
}
