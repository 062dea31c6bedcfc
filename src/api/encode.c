// SPDX-License-Identifier: Apache-2.0
#include "api/encode.h"

#include "api/json_private.h"
#include "core/document/document.h"

static int set_text(json_t *object, const char *key, const char *text)
{
	return text ? json_object_set_new(object, key, api_json_text(text)) : 0;
}

static json_t *threads_encode(const struct resv_thread *threads, size_t n)
{
	cleanup_json json_t *array = json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *thread = json_pack("{s:i, s:o}", "tid", (int)threads[i].tid, "name",
			api_json_text(threads[i].name));

		if (json_array_append_new(array, thread) < 0)
			return NULL;
	}
	return TAKE(array);
}

static json_t *labels_encode(const struct resv_label *labels, size_t n)
{
	cleanup_json json_t *object = json_object();

	for (size_t i = 0; i < n; i++)
		if (json_object_set_new(object, labels[i].key, api_json_text(labels[i].value)) < 0)
			return NULL;
	return TAKE(object);
}

/* From the times and not from the kernel's fixed point, so that 4 ms every 20 ms are 200000. */
static uint64_t request_ppm(const struct resv_request *q)
{
	unsigned __int128 scaled = (unsigned __int128)q->dl.runtime_ns * q->cores * PPM_ONE_CPU;

	return (uint64_t)((scaled + q->dl.period_ns - 1) / q->dl.period_ns);
}

static json_t *texts_encode(const char *const *texts, size_t n)
{
	cleanup_json json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(array, api_json_text(texts[i])) < 0)
			return NULL;
	return TAKE(array);
}

static int set_request(json_t *object, const struct resv_request *q)
{
	json_t *numbers = json_pack("{s:I, s:I, s:I, s:I, s:I}", "runtimeNs",
		(json_int_t)q->dl.runtime_ns, "periodNs", (json_int_t)q->dl.period_ns, "deadlineNs",
		(json_int_t)q->dl.deadline_ns, "cores", (json_int_t)q->cores, "bandwidthPpm",
		(json_int_t)request_ppm(q));
	int bad = json_object_update_new(object, numbers);

	bad |= set_text(object, "guarantee", guarantee_name(q->guarantee));
	bad |= json_object_set_new(object, "labels", labels_encode(q->labels, q->n_labels));
	bad |= json_object_set_new(object, "document", document_to_json(q));
	return bad;
}

static json_t *numbers_encode(const int *numbers, size_t n)
{
	cleanup_json json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(array, json_integer(numbers[i])) < 0)
			return NULL;
	return TAKE(array);
}

json_t *api_reservation_encode(const struct resv_info *info)
{
	cleanup_json json_t *object = json_object();
	int bad = set_text(object, "name", info->request->name);

	bad |= set_text(object, "state", resv_state_name(info->state));
	bad |= set_request(object, info->request);
	bad |= set_text(object, "placement", placement_name(info->placement));
	if (info->has_bound)
		bad |= json_object_set_new(
			object, "boundNs", json_integer((json_int_t)info->bound_ns));
	bad |= set_text(object, "test", info->test ? info->test : "");
	bad |= set_text(object, "reason", info->reason ? info->reason : "");
	bad |= set_text(object, "container", info->container);
	bad |= set_text(object, "cgroup", info->cgroup);
	bad |= set_text(object, "via", via_name(info->via));
	bad |= json_object_set_new(
		object, "containers", texts_encode(info->containers, info->n_containers));
	bad |= json_object_set_new(
		object, "threads", threads_encode(info->threads, info->n_threads));
	if (info->n_cpus)
		bad |= json_object_set_new(
			object, "cpus", numbers_encode(info->cpus, info->n_cpus));
	bad |= set_text(object, "trouble", info->trouble);
	return bad ? NULL : TAKE(object);
}

static json_t *placements_encode(const bool placements[static _PLACEMENT_MAX])
{
	cleanup_json json_t *array = json_array();

	for (unsigned p = PLACEMENT_SHARED; p < _PLACEMENT_MAX; p++)
		if (placements[p] &&
			json_array_append_new(array, json_string(placement_name(p))) < 0)
			return NULL;
	return TAKE(array);
}

static json_t *check_encode(const struct check *c)
{
	cleanup_json json_t *object = json_object();
	int bad = set_text(object, "name", c->name);

	bad |= set_text(object, "status", check_status_name(c->status));
	bad |= set_text(object, "detail", c->detail ? c->detail : "");
	bad |= set_text(object, "mend", c->mend);
	return bad ? NULL : TAKE(object);
}

static json_t *checks_encode(const struct check *checks, size_t n)
{
	cleanup_json json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(array, check_encode(&checks[i])) < 0)
			return NULL;
	return TAKE(array);
}

static json_t *cpu_encode(const struct cpu_info *c)
{
	cleanup_json json_t *object = json_pack("{s:i, s:b, s:I, s:I, s:I}", "cpu", (int)c->cpu,
		"usable", (int)c->usable, "promisedPpm", (json_int_t)bw_to_ppm(c->promised),
		"ownPpm", (json_int_t)bw_to_ppm(c->own), "foreignPpm",
		(json_int_t)bw_to_ppm(c->foreign));
	const struct {
		const char *key;
		int id;
	} ids[] = { { "core", c->core }, { "socket", c->socket }, { "numaNode", c->numa_node } };
	int bad = 0;

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		if (ids[i].id >= 0)
			bad |= json_object_set_new(object, ids[i].key, json_integer(ids[i].id));
	return bad ? NULL : TAKE(object);
}

static json_t *topology_encode(const struct cpu_info *cpus, size_t n)
{
	cleanup_json json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(array, cpu_encode(&cpus[i])) < 0)
			return NULL;
	return TAKE(array);
}

/* To nearest, so that bw_from_ppm() gives what the ppm came from, and never more. */
static json_int_t ceiling_ppm(bw_t ceiling)
{
	return (json_int_t)((ceiling.q20 * PPM_ONE_CPU + BW_ONE_CPU / 2) >> 20);
}

json_t *api_node_encode(const struct node_info *n)
{
	cleanup_json json_t *object = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "cpus",
		(json_int_t)n->cpus, "ceilingPpmPerCpu", ceiling_ppm(n->ceiling), "limitPpm",
		(json_int_t)n->limit_ppm, "firstLimitPpm", (json_int_t)n->first_limit_ppm,
		"granularityNs", (json_int_t)n->granularity_ns, "promisedPpm",
		(json_int_t)bw_to_ppm(n->promised), "ownPpm", (json_int_t)bw_to_ppm(n->own),
		"foreignPpm", (json_int_t)bw_to_ppm(n->foreign));
	int bad = json_object_set_new(object, "placements", placements_encode(n->placements));

	bad |= json_object_set_new(object, "checks", checks_encode(n->checks, n->n_checks));
	bad |= json_object_set_new(object, "topology", topology_encode(n->topology, n->n_topology));
	return bad ? NULL : TAKE(object);
}

json_t *api_change_encode(const struct change *c)
{
	cleanup_json json_t *object = json_object();
	int bad = json_object_set_new(object, "atMs", json_integer(c->at_ms));

	bad |= set_text(object, "name", c->name);
	bad |= set_text(object, "what", c->what);
	bad |= set_text(object, "why", c->why ? c->why : "");
	return bad ? NULL : TAKE(object);
}
