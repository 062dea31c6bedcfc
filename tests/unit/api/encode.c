// SPDX-License-Identifier: Apache-2.0
#include "api/encode.h"

#include "base/cleanup.h"
#include "test.h"

static struct resv_label labels[] = { { "app", "vision" } };

static struct resv_request request_make(void)
{
	return (struct resv_request){
		.name = "camera",
		.dl = { 2500000, 8000000, 10000000 },
		.cores = 2,
		.guarantee = GUARANTEE_HARD,
		.placement = PLACEMENT_AUTO,
		.threads = THREADS_MAIN,
		.labels = labels,
		.n_labels = 1,
	};
}

static const struct resv_thread threads[] = { { 17, "rt-app" }, { 18, "\xff\xfe name" } };

static struct resv_info info_make(const struct resv_request *q)
{
	return (struct resv_info){
		.request = q,
		.state = RESV_ACTIVE,
		.placement = PLACEMENT_SHARED,
		.has_bound = true,
		.bound_ns = 8000000,
		.test = "gfb",
		.reason = "it fits",
		.container = "c0ffee",
		.cgroup = "/machine",
		.threads = threads,
		.n_threads = 2,
	};
}

static json_int_t number(const json_t *object, const char *key)
{
	CHECK(json_is_integer(json_object_get(object, key)));
	return json_integer_value(json_object_get(object, key));
}

static const char *text(const json_t *object, const char *key)
{
	CHECK(json_is_string(json_object_get(object, key)));
	return json_string_value(json_object_get(object, key));
}

TEST(a_reservation_has_every_field_of_the_interface)
{
	struct resv_request q = request_make();
	struct resv_info info = info_make(&q);
	cleanup_json json_t *o = NULL;

	info.containers = (const char *const[]){ "c0ffee", "decaf" };
	info.n_containers = 2;
	o = api_reservation_encode(&info);
	CHECK_EQ(json_array_size(json_object_get(o, "containers")), 2);
	CHECK_TEXT(json_string_value(json_array_get(json_object_get(o, "containers"), 1)), "decaf");
	CHECK_TEXT(text(o, "name"), "camera");
	CHECK_TEXT(text(o, "state"), "active");
	CHECK_EQ(number(o, "runtimeNs"), 2500000);
	CHECK_EQ(number(o, "periodNs"), 10000000);
	CHECK_EQ(number(o, "deadlineNs"), 8000000);
	CHECK_EQ(number(o, "cores"), 2);
	CHECK_TEXT(text(o, "guarantee"), "hard");
	CHECK_TEXT(text(o, "placement"), "shared");
	CHECK_EQ(number(o, "boundNs"), 8000000);
	CHECK_EQ(number(o, "bandwidthPpm"), 500000);
	CHECK_TEXT(text(o, "test"), "gfb");
	CHECK_TEXT(text(o, "reason"), "it fits");
	CHECK_TEXT(text(o, "container"), "c0ffee");
	CHECK_TEXT(text(o, "cgroup"), "/machine");
	CHECK_TEXT(text(json_object_get(o, "labels"), "app"), "vision");
	CHECK(json_is_object(json_object_get(o, "document")));
	CHECK(!json_object_get(o, "trouble"));
}

TEST(bandwidth_is_exact_where_it_can_be_and_else_rounded_up)
{
	struct resv_request q = request_make();
	struct resv_info info = info_make(&q);
	cleanup_json json_t *a = NULL, *b = NULL;

	q.cores = 1;
	q.dl = (struct dl_params){ 4000000, 20000000, 20000000 };
	a = api_reservation_encode(&info);
	CHECK_EQ(number(a, "bandwidthPpm"), 200000);
	q.dl = (struct dl_params){ 1000000, 3000000, 3000000 };
	b = api_reservation_encode(&info);
	CHECK_EQ(number(b, "bandwidthPpm"), 333334);
}

TEST(a_thread_may_have_any_bytes_as_its_name)
{
	struct resv_request q = request_make();
	struct resv_info info = info_make(&q);
	cleanup_json json_t *o = api_reservation_encode(&info);
	const json_t *list = json_object_get(o, "threads");

	CHECK_EQ(json_array_size(list), 2);
	CHECK_EQ(number(json_array_get(list, 0), "tid"), 17);
	CHECK_TEXT(text(json_array_get(list, 0), "name"), "rt-app");
	CHECK_TEXT(text(json_array_get(list, 1), "name"), "?? name");
}

TEST(what_is_not_there_is_left_out)
{
	struct resv_request q = request_make();
	struct resv_info info = { .request = &q, .state = RESV_HELD };
	cleanup_json json_t *o = api_reservation_encode(&info);

	CHECK(o && !json_object_get(o, "boundNs"));
	CHECK(!json_object_get(o, "container") && !json_object_get(o, "cgroup"));
	CHECK_EQ(json_array_size(json_object_get(o, "threads")), 0);
	CHECK_TEXT(text(o, "reason"), "");
}

TEST(a_node_says_what_it_can_promise)
{
	static const struct check checks[] = {
		{ "granularity", CHECK_LIMITED, "4 ms", "echo HRTICK_DL" },
		{ "cgroups", CHECK_OK, "v2", NULL },
	};
	struct node_info n = {
		.cpus = 2,
		.ceiling = bw_from_ppm(950000),
		.granularity_ns = 4000000,
		.limit_ppm = 500000,
		.first_limit_ppm = 950000,
		.promised = { 1 << 19 },
		.own = { 1 << 18 },
		.placements = { [PLACEMENT_SHARED] = true, [PLACEMENT_GROUP] = true },
		.checks = checks,
		.n_checks = 2,
	};
	cleanup_json json_t *o = api_node_encode(&n);
	const json_t *list = json_object_get(o, "checks");

	CHECK_EQ(number(o, "cpus"), 2);
	CHECK_EQ(number(o, "ceilingPpmPerCpu"), 950000);
	CHECK_EQ(number(o, "limitPpm"), 500000);
	CHECK_EQ(number(o, "firstLimitPpm"), 950000);
	CHECK_EQ(number(o, "granularityNs"), 4000000);
	CHECK_EQ(number(o, "promisedPpm"), 500000);
	CHECK_EQ(number(o, "ownPpm"), 250000);
	CHECK_EQ(number(o, "foreignPpm"), 0);
	CHECK_EQ(json_array_size(json_object_get(o, "placements")), 2);
	CHECK_TEXT(text(json_array_get(list, 0), "status"), "limited");
	CHECK_TEXT(text(json_array_get(list, 0), "mend"), "echo HRTICK_DL");
	CHECK(!json_object_get(json_array_get(list, 1), "mend"));
}

TEST(a_node_says_where_its_cpus_are_and_leaves_out_what_is_not_known)
{
	static const struct cpu_info cpus[] = {
		{ 0, 0, 0, -1, true, { 1 << 18 } },
		{ 4, 2, 1, 1, false, { 0 } },
	};
	struct node_info n = { .cpus = 2, .topology = cpus, .n_topology = 2 };
	cleanup_json json_t *o = api_node_encode(&n);
	const json_t *list = json_object_get(o, "topology"), *second = json_array_get(list, 1);

	CHECK_EQ(json_array_size(list), 2);
	CHECK_EQ(number(json_array_get(list, 0), "promisedPpm"), 250000);
	CHECK(json_is_true(json_object_get(json_array_get(list, 0), "usable")));
	CHECK(!json_object_get(json_array_get(list, 0), "numaNode"));
	CHECK_EQ(number(second, "cpu"), 4);
	CHECK_EQ(number(second, "core"), 2);
	CHECK_EQ(number(second, "socket"), 1);
	CHECK_EQ(number(second, "numaNode"), 1);
	CHECK(json_is_false(json_object_get(second, "usable")));
}

TEST(a_pinned_reservation_says_which_cpus)
{
	static const int cpus[] = { 1, 3 };
	struct resv_request q = request_make();
	struct resv_info info = { .request = &q, .cpus = cpus, .n_cpus = 2 };
	cleanup_json json_t *o = api_reservation_encode(&info);
	const json_t *list = json_object_get(o, "cpus");

	CHECK_EQ(json_array_size(list), 2);
	CHECK_EQ(json_integer_value(json_array_get(list, 1)), 3);
}

TEST(a_change_has_its_moment_name_and_reason)
{
	struct change c = { 1700000000123, "camera", change_name(CHANGE_THREAD_ON), "by name" };
	cleanup_json json_t *o = api_change_encode(&c);

	CHECK_EQ(number(o, "atMs"), 1700000000123);
	CHECK_TEXT(text(o, "name"), "camera");
	CHECK_TEXT(text(o, "what"), "thread-on");
	CHECK_TEXT(text(o, "why"), "by name");
}

static size_t allocations_left;

static void *fail_later(size_t size)
{
	return allocations_left-- == 0 ? (allocations_left = 0, NULL) : malloc(size);
}

static bool encodes_with(size_t allocations)
{
	struct resv_request q = request_make();
	struct resv_info info = info_make(&q);
	json_t *o;

	json_set_alloc_funcs(fail_later, free);
	allocations_left = allocations;
	o = api_reservation_encode(&info);
	json_decref(o);
	json_set_alloc_funcs(malloc, free);
	return o != NULL;
}

TEST(each_allocation_may_fail)
{
	size_t n = 0;

	while (!encodes_with(n))
		n++;
	CHECK(n > 50);
}
