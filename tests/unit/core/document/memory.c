// SPDX-License-Identifier: Apache-2.0
/*
 * Each case runs with the 1st, then the 2nd, then the 3rd ... allocation failing, until one run
 * needs no more. The linker sends the allocations of everything linked statically here (ours, and
 * libyaml and jansson where there are archives of them) through the __wrap functions.
 */
#include "helper.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
char *__real_strndup(const char *text, size_t len);
char *__real_strdup(const char *text);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
char *__wrap_strndup(const char *text, size_t len);
char *__wrap_strdup(const char *text);
void __wrap_free(void *p);

static struct {
	bool on;
	bool for_good; /* from the chosen one on, all fail */
	size_t count, fail_at;
	long live;
} heap;

static bool heap_fails(void)
{
	if (!heap.on)
		return false;
	heap.count++;
	return heap.count == heap.fail_at || (heap.for_good && heap.count > heap.fail_at);
}

static void *heap_given(void *p)
{
	heap.live += heap.on && p;
	return p;
}

void *__wrap_malloc(size_t size)
{
	return heap_fails() ? NULL : heap_given(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return heap_fails() ? NULL : heap_given(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t size)
{
	if (heap_fails())
		return NULL;
	return p ? __real_realloc(p, size) : heap_given(__real_realloc(p, size));
}

char *__wrap_strndup(const char *text, size_t len)
{
	return heap_fails() ? NULL : heap_given(__real_strndup(text, len));
}

char *__wrap_strdup(const char *text)
{
	return heap_fails() ? NULL : heap_given(__real_strdup(text));
}

void __wrap_free(void *p)
{
	heap.live -= heap.on && p;
	__real_free(p);
}

/* Runs `once` with each allocation failing; it returns false where it came to no end for that. */
static void sweep(bool (*once)(const void *arg), const void *arg)
{
	for (unsigned for_good = 0; for_good < 2; for_good++) {
		size_t fail_at = 1;
		bool done = false;

		for (; !done; fail_at++) {
			heap.for_good = for_good;
			heap.fail_at = fail_at;
			heap.count = 0;
			heap.live = 0;
			heap.on = true;
			done = once(arg) && heap.count < fail_at;
			heap.on = false;
			CHECK_EQ(heap.live, 0);
		}
		CHECK(fail_at > 10);
	}
}

static bool parse(const void *arg)
{
	cleanup_document_set struct document_set set = DOCUMENT_SET_NULL;
	struct err err = ERR_NULL;
	int r = document_parse(arg, strlen(arg), "f.yaml", &set, &err);
	bool failed = heap.fail_at <= heap.count;

	heap.on = false;
	if (failed) {
		CHECK_EQ(r, -ENOMEM);
		CHECK_EQ(err.code, -ENOMEM);
		CHECK_TEXT(err.text, "out of memory");
		CHECK(!set.requests && !set.faults);
	} else {
		CHECK(r == 0 ? set.n > 0 : r == -EINVAL && set.n_faults > 0);
	}
	heap.on = true;
	document_set_fini(&set);
	return !failed;
}

#define LABELLED                                                    \
	"apiVersion: rt.takt.dev/v1alpha1\nkind: Reservation\n"     \
	"metadata: {name: camera, labels: {app: vision, pod: v}}\n" \
	"spec:\n"                                                   \
	"  runtime: 4ms\n"                                          \
	"  period: 20ms\n"                                          \
	"  threads: {match: [\"worker-*\", io]}\n"                  \
	"  adapt: {minRuntime: 1ms, maxRuntime: 8ms, missRate: 2%}\n"

TEST(a_document_is_read_or_memory_is_out)
{
	sweep(parse, LABELLED);
}

TEST(several_documents_are_read_or_memory_is_out)
{
	sweep(parse, LABELLED "---\n" HEAD "  runtime: 4ms\n  period: 10ms\n");
}

TEST(faults_are_told_or_memory_is_out)
{
	sweep(parse, CAMERA "  cores: \"2\"\n  runtme: 1\n  ? [a]\n  : *b\n  a: 1\n  b: 1\n  c: 1\n"
			    "  d: 1\n  e: 1\n  f: 1\n---\n" CAMERA "--- \"\n");
}

static json_t *json_of(const char *text)
{
	json_t *json = json_loads(text, 0, NULL);

	CHECK(json);
	return json;
}

static bool from_json(const void *arg)
{
	cleanup_document_faults struct document_faults faults = DOCUMENT_FAULTS_NULL;
	struct resv_request request = { 0 };
	int r = document_from_json(arg, &request, &faults, NULL);
	bool failed = heap.fail_at <= heap.count;

	heap.on = false;
	CHECK(failed ? r == -ENOMEM : r == 0 || r == -EINVAL);
	CHECK(!failed || (!request.labels && !faults.text));
	heap.on = true;
	resv_request_fini(&request);
	document_faults_fini(&faults);
	return !failed;
}

TEST(json_is_read_or_memory_is_out)
{
	cleanup_json json_t *good = json_of(
		"{\"apiVersion\":\"rt.takt.dev/v1alpha1\",\"kind\":\"Reservation\","
		"\"metadata\":{\"name\":\"camera\",\"labels\":{\"app\":\"x\"}},"
		"\"spec\":{\"runtime\":\"4ms\",\"period\":\"20ms\",\"threads\":{\"match\":[\"w\"]}}}");
	cleanup_json json_t *bad = json_of("{\"spec\":{\"cores\":1.5,\"a\":[]}}");

	sweep(from_json, good);
	sweep(from_json, bad);
}

static bool to_json(const void *arg)
{
	json_t *json = document_to_json(arg);
	bool failed = heap.fail_at <= heap.count;

	json_decref(json);
	heap.on = false;
	CHECK(failed == !json);
	heap.on = true;
	return !failed;
}

TEST(a_request_is_written_or_memory_is_out)
{
	cleanup_document_set struct document_set set = parse_good(LABELLED);

	sweep(to_json, &set.requests[0]);
}
