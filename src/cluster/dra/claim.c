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

static int read_resv(const struct claim *c, const json_t *allocation, const char *full_request,
	struct claim_result *result, struct err *err)
{
	char name[RESV_NAME_MAX + 1];
	cleanup_json json_t *spec = NULL, *document = NULL;
	int r = spec_of(allocation, full_request, &spec, err);
	size_t used;

	if (r < 0)
		return r;
	claim_prefix(c->name, c->uid, name);
	used = strlen(name);
	if (c->n > 0)
		snprintf(name + used, sizeof(name) - used, ".%zu", c->n);
	/* Nothing that changes while the claim is allocated: Reserve is idempotent by its document. */
	document = json_pack("{s:s, s:s, s:{s:s, s:{s:s, s:s, s:s, s:s*}}, s:O}", "apiVersion",
		DOCUMENT_API_VERSION, "kind", DOCUMENT_KIND, "metadata", "name", name, "labels",
		"namespace", c->namespace, "claim", c->name, "request", result->request, "pod",
		c->pod, "spec", spec);
	if (!document)
		return err_set(err, -ENOMEM, "out of memory");
	return document_from_json(document, &result->resv, NULL, err);
}

static uint64_t needed_ppm(const struct resv_request *r)
{
	unsigned __int128 scaled = (unsigned __int128)r->dl.runtime_ns * PPM_ONE_CPU;

	return r->cores * (uint64_t)((scaled + r->dl.period_ns - 1) / r->dl.period_ns);
}

/* What the scheduler counted is what may be promised, whatever the parameters say. */
static int check_given(const json_t *given, const struct claim_result *result, struct err *err)
{
	const char *text = json_string_value(
		json_object_get(json_object_get(given, "consumedCapacity"), CLAIM_CAPACITY));
	uint64_t needed = needed_ppm(&result->resv), consumed;
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

/* A shared device is on all CPUs of its root domain. */
static int check_placement(struct claim_result *result, struct err *err)
{
	enum placement p = result->resv.placement;

	if (strcmp(result->device, CLAIM_DEVICE_SHARED) != 0)
		return err_set(
			err, -EINVAL, "device %s is not one that this node has", result->device);
	if (p != PLACEMENT_AUTO && p != PLACEMENT_SHARED)
		return err_set(err, -EINVAL,
			"spec.placement: device " CLAIM_DEVICE_SHARED
			" is for placement shared, not %s",
			placement_name(p));
	result->resv.placement = PLACEMENT_SHARED;
	return 0;
}

static int read_result(
	struct claim *c, const json_t *allocation, const json_t *given, struct err *err)
{
	struct claim_result *result = &c->results[c->n];
	const char *request = json_string_value(json_object_get(given, "request"));
	int r;

	*result = (struct claim_result){
		.pool = json_string_value(json_object_get(given, "pool")),
		.device = json_string_value(json_object_get(given, "device")),
		.share_id = json_string_value(json_object_get(given, "shareID")),
	};
	if (!request || !result->pool || !result->device ||
		strcspn(request, "/") >= CLAIM_REQUEST_MAX)
		return err_set(err, -EPROTO, "a result has no request, pool or device");
	memcpy(result->request, request, strcspn(request, "/"));
	r = read_resv(c, allocation, request, result, err);
	if (r < 0)
		return r;
	c->n++; /* from here on claim_fini() frees it */
	r = check_given(given, result, err);
	return r < 0 ? r : check_placement(result, err);
}

static int read_results(struct claim *c, const json_t *object, struct err *err)
{
	const json_t *status = json_object_get(object, "status");
	const json_t *allocation = json_object_get(status, "allocation");
	const json_t *results = json_object_get(json_object_get(allocation, "devices"), "results");
	const json_t *given;
	size_t i;

	if (!allocation)
		return err_set(err, -EAGAIN, "it is not allocated");
	if (json_array_size(json_object_get(status, "reservedFor")) == 0)
		return err_set(err, -EAGAIN, "it is reserved for no pod");
	json_array_foreach ((json_t *)results, i, given) {
		const char *driver = json_string_value(json_object_get(given, "driver"));
		int r;

		if (!driver || strcmp(driver, CLAIM_DRIVER) != 0)
			continue;
		if (c->n == CLAIM_RESULTS_MAX)
			return err_set(
				err, -EPROTO, "it has more than %d devices", CLAIM_RESULTS_MAX);
		r = read_result(c, allocation, given, err);
		if (r < 0)
			return r;
	}
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

int claim_read(const json_t *object, const char *uid, struct claim *ret, struct err *err)
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
	r = read_results(&c, object, err);
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
