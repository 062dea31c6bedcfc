// SPDX-License-Identifier: Apache-2.0
/*
 * A claim's parameters are the opaque configuration that the scheduler copied into its allocation:
 * first those of the device class, then the claim's own, which replace them field by field. They
 * are the `spec` of a Reservation document, bare or as a whole document.
 */
#include "cluster/dra/claim.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cluster/dra/quantity.h"
#include "core/document/document.h"

#define NAME_PART_MAX 80 /* of the claim's name in the reservation's, which also has the uid */

/* "cpu" concerns all of cpu's subrequests, "cpu/large" that one. */
static bool concerns(const json_t *config, const char *full_request)
{
	const json_t *requests = json_object_get(config, "requests");
	const char *driver =
		json_string_value(json_object_get(json_object_get(config, "opaque"), "driver"));
	const json_t *one;
	size_t i;

	if (!driver || strcmp(driver, CLAIM_DRIVER) != 0)
		return false;
	if (json_array_size(requests) == 0)
		return true;
	json_array_foreach ((json_t *)requests, i, one) {
		const char *listed = json_string_value(one);
		size_t n = strcspn(full_request, "/");

		if (listed &&
			(strcmp(listed, full_request) == 0 ||
				(strlen(listed) == n && strncmp(listed, full_request, n) == 0)))
			return true;
	}
	return false;
}

static int merge(json_t *spec, const json_t *config, struct err *err)
{
	const json_t *parameters = json_object_get(json_object_get(config, "opaque"), "parameters");
	const json_t *inner = json_object_get(parameters, "spec");

	if (!json_is_object(parameters) || (inner && !json_is_object(inner)))
		return err_set(err, -EINVAL,
			"the parameters of " CLAIM_DRIVER
			" are not an object: write {runtime: 4ms, "
			"period: 20ms}");
	if (json_object_update(spec, (json_t *)(inner ? inner : parameters)) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	return 0;
}

/* A new reference. */
static int spec_of(const json_t *allocation, const char *request, json_t **ret, struct err *err)
{
	static const char *const order[] = { "FromClass", "FromClaim" };
	const json_t *configs = json_object_get(json_object_get(allocation, "devices"), "config");
	cleanup_json json_t *spec = json_object();
	const json_t *config;
	size_t i;

	if (!spec)
		return err_set(err, -ENOMEM, "out of memory");
	for (size_t from = 0; from < ARRAY_SIZE(order); from++) {
		json_array_foreach ((json_t *)configs, i, config) {
			const char *source = json_string_value(json_object_get(config, "source"));
			int r;

			if (!source || strcmp(source, order[from]) != 0 ||
				!concerns(config, request))
				continue;
			r = merge(spec, config, err);
			if (r < 0)
				return r;
		}
	}
	*ret = TAKE(spec);
	return 0;
}

static int read_resv(const struct claim *c, const json_t *allocation, struct claim_result *result,
	struct err *err)
{
	size_t at = result - c->results;
	char name[RESV_NAME_MAX + 1];
	cleanup_json json_t *spec = NULL, *document = NULL;
	int r = spec_of(allocation, result->full_request, &spec, err);
	size_t used;

	if (r < 0)
		return r;
	claim_prefix(c->name, c->uid, name);
	used = strlen(name);
	if (at > 0)
		snprintf(name + used, sizeof(name) - used, ".%zu", at);
	/* Nothing that changes while the claim is allocated: Reserve is idempotent by its document. */
	document = json_pack("{s:s, s:s, s:{s:s, s:{s:s, s:s, s:s, s:s*}}, s:O}", "apiVersion",
		DOCUMENT_API_VERSION, "kind", DOCUMENT_KIND, "metadata", "name", name, "labels",
		"namespace", c->namespace, "claim", c->name, "request", result->request, "pod",
		c->pod, "spec", spec);
	if (!document)
		return err_set(err, -ENOMEM, "out of memory");
	return document_from_json(document, &result->resv, NULL, err);
}

static uint64_t needed_ppm(const struct resv_request *r, unsigned cores)
{
	unsigned __int128 scaled = (unsigned __int128)r->dl.runtime_ns * PPM_ONE_CPU;

	return cores * (uint64_t)((scaled + r->dl.period_ns - 1) / r->dl.period_ns);
}

/* What the scheduler counted is what may be promised, whatever the parameters say. */
static int check_given(const struct claim_result *result, unsigned cores, struct err *err)
{
	const char *text = json_string_value(json_object_get(result->consumed, CLAIM_CAPACITY));
	uint64_t needed = needed_ppm(&result->resv, cores), consumed;
	int r;

	if (!text)
		return err_set(err, -EINVAL,
			"device %s was given without " CLAIM_CAPACITY ": ask for it in the "
			"request's capacity, or install the admission policies of Takt",
			result->device);
	r = quantity_parse(text, &consumed, err);
	if (r < 0)
		return r;
	if (needed > consumed)
		return err_set(err, -EINVAL,
			"request %s: the parameters need %llu millionths of a CPU, the claim asked "
			"for %llu: make the request's capacity that much",
			result->request, (unsigned long long)needed, (unsigned long long)consumed);
	return 0;
}

/* The CPU that the device is; -1: it is none. */
static int cpu_of(const struct claim_result *result)
{
	size_t n = strlen(CLAIM_DEVICE_CPU);
	struct cpus one;

	if (strncmp(result->device, CLAIM_DEVICE_CPU, n) != 0 ||
		cpus_parse(result->device + n, &one, NULL) < 0 || cpus_count(&one) != 1)
		return -1;
	return cpus_next(&one, 0);
}

static int check_placement(
	const struct resv_request *resv, const char *device, enum placement wanted, struct err *err)
{
	if (resv->placement != PLACEMENT_AUTO && resv->placement != wanted)
		return err_set(err, -EINVAL,
			"spec.placement: device %s is for placement %s, not %s", device,
			placement_name(wanted), placement_name(resv->placement));
	if (cpus_count(&resv->cpus))
		return err_set(err, -EINVAL,
			"spec.cpus: the scheduler chooses the CPUs: select devices by their "
			"attribute cpu");
	return 0;
}

/* A shared device is on all CPUs of its root domain. */
static int make_shared(struct claim_result *result, struct err *err)
{
	struct resv_request *resv = &result->resv;
	int r = check_given(result, resv->cores, err);

	if (r == 0)
		r = check_placement(resv, result->device, PLACEMENT_SHARED, err);
	resv->placement = PLACEMENT_SHARED;
	return r;
}

static bool of_same_request(const struct claim_result *a, const struct claim_result *b)
{
	return strcmp(a->full_request, b->full_request) == 0;
}

/* One server on each of the request's CPUs; `result` is the first of them. */
static int make_pinned(const struct claim *c, struct claim_result *result, struct err *err)
{
	struct resv_request *resv = &result->resv;
	struct cpus cpus = CPUS_NONE;
	unsigned n = 0;
	int r = check_placement(resv, result->device, PLACEMENT_PINNED, err);

	for (const struct claim_result *one = result; r == 0 && one < c->results + c->n; one++) {
		if (!of_same_request(result, one))
			continue;
		n++;
		if (cpu_of(one) < 0 || !cpus_add(&cpus, cpu_of(one)))
			r = err_set(err, -EINVAL, "device %s is not one that this node has",
				one->device);
	}
	if (r < 0)
		return r;
	if (resv->cores != 1 && resv->cores != n)
		return err_set(err, -EINVAL,
			"spec.cores: %u of them, and the request was given %u CPUs: make its count "
			"as many",
			resv->cores, n);
	resv->placement = PLACEMENT_PINNED;
	resv->cores = n;
	resv->cpus = cpus;
	return resv_request_check(resv, err);
}

/* The first result of its request, which is where its reservation is made. */
static struct claim_result *first_of(struct claim *c, const struct claim_result *result)
{
	struct claim_result *first = c->results;

	while (!of_same_request(first, result))
		first++;
	return first;
}

static int make_resv(
	struct claim *c, const json_t *allocation, struct claim_result *result, struct err *err)
{
	struct claim_result *first = first_of(c, result);
	int r;

	if (cpu_of(result) < 0 && strcmp(result->device, CLAIM_DEVICE_SHARED) != 0)
		return err_set(
			err, -EINVAL, "device %s is not one that this node has", result->device);
	if (cpu_of(result) >= 0 && first != result) {
		r = resv_request_copy(&result->resv, &first->resv, err);
		return r < 0 ? r : check_given(result, 1, err);
	}
	r = read_resv(c, allocation, result, err);
	if (r < 0 || cpu_of(result) < 0)
		return r < 0 ? r : make_shared(result, err);
	r = make_pinned(c, result, err);
	return r < 0 ? r : check_given(result, 1, err);
}

static int read_result(struct claim *c, const json_t *given, struct err *err)
{
	struct claim_result *result = &c->results[c->n];
	const char *request = json_string_value(json_object_get(given, "request"));

	*result = (struct claim_result){
		.full_request = request,
		.pool = json_string_value(json_object_get(given, "pool")),
		.device = json_string_value(json_object_get(given, "device")),
		.share_id = json_string_value(json_object_get(given, "shareID")),
		.consumed = json_object_get(given, "consumedCapacity"),
	};
	if (!request || !result->pool || !result->device ||
		strcspn(request, "/") >= CLAIM_REQUEST_MAX)
		return err_set(err, -EPROTO, "a result has no request, pool or device");
	memcpy(result->request, request, strcspn(request, "/"));
	c->n++; /* from here on claim_fini() frees it */
	return 0;
}

static int check_node(const struct claim *c, const char *node, struct err *err)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->results[i].pool, node) != 0)
			return err_set(err, -EXDEV,
				"it is allocated on node %.64s: a pod that uses it must run there",
				c->results[i].pool);
	return 0;
}

static int read_results(struct claim *c, const json_t *object, const char *node, struct err *err)
{
	const json_t *status = json_object_get(object, "status");
	const json_t *allocation = json_object_get(status, "allocation");
	const json_t *results = json_object_get(json_object_get(allocation, "devices"), "results");
	const json_t *given;
	size_t i;
	int r = 0;

	if (!allocation)
		return err_set(err, -EAGAIN, "it is not allocated");
	if (json_array_size(json_object_get(status, "reservedFor")) == 0)
		return err_set(err, -EAGAIN, "it is reserved for no pod");
	json_array_foreach (results, i, given) {
		const char *driver = json_string_value(json_object_get(given, "driver"));

		if (!driver || strcmp(driver, CLAIM_DRIVER) != 0)
			continue;
		if (c->n == CLAIM_RESULTS_MAX)
			return err_set(
				err, -EPROTO, "it has more than %d devices", CLAIM_RESULTS_MAX);
		r = read_result(c, given, err);
		if (r < 0)
			return r;
	}
	r = check_node(c, node, err);
	for (i = 0; r == 0 && i < c->n; i++)
		r = make_resv(c, allocation, &c->results[i], err);
	if (r < 0)
		return r;
	return c->n ? 0 : err_set(err, -ENOENT, "it has no device of " CLAIM_DRIVER);
}

/* A claim that was made from a template belongs to its pod. */
static const char *pod_of(const json_t *metadata)
{
	const json_t *owner;
	size_t i;

	json_array_foreach (json_object_get(metadata, "ownerReferences"), i, owner) {
		const char *kind = json_string_value(json_object_get(owner, "kind"));
		const char *name = json_string_value(json_object_get(owner, "name"));

		if (kind && name && strcmp(kind, "Pod") == 0 &&
			strlen(name) <= RESV_LABEL_VALUE_MAX)
			return name;
	}
	return NULL;
}

int claim_read(
	const json_t *object, const char *uid, const char *node, struct claim *ret, struct err *err)
{
	const json_t *metadata = json_object_get(object, "metadata");
	cleanup_claim struct claim c = {
		.namespace = json_string_value(json_object_get(metadata, "namespace")),
		.name = json_string_value(json_object_get(metadata, "name")),
		.uid = json_string_value(json_object_get(metadata, "uid")),
		.pod = pod_of(metadata),
	};
	int r;

	if (!c.namespace || !c.name || !c.uid)
		return err_set(err, -EPROTO, "a claim without namespace, name or uid");
	if (strcmp(c.uid, uid) != 0)
		return err_set(err, -ESTALE,
			"claim %s/%s was deleted, and another one has its name now", c.namespace,
			c.name);
	r = read_results(&c, object, node, err);
	if (r < 0)
		return err_wrap(err, r, "claim %s/%s", c.namespace, c.name);
	*ret = c;
	c = CLAIM_NULL;
	return 0;
}

void claim_fini(struct claim *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n; i++)
		resv_request_fini(&c->results[i].resv);
	c->n = 0;
}

void claim_prefix(const char *name, const char *uid, char ret[static RESV_NAME_MAX + 1])
{
	snprintf(ret, RESV_NAME_MAX + 1, "%.*s.%s", NAME_PART_MAX, name, uid);
}

bool claim_owns(const char *reservation, const char *uid)
{
	size_t n = strlen(uid);
	const char *at = n ? strstr(reservation, uid) : NULL;

	return at && at > reservation && at[-1] == '.' && (at[n] == '\0' || at[n] == '.');
}
