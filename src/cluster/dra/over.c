// SPDX-License-Identifier: Apache-2.0
#include "cluster/dra/over.h"

#include <string.h>

#include "cluster/dra/claim.h"

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* Between the dot after the claim's name and the next one, or the end. */
static bool uid_in(const char *reservation, const char *claim, char ret[static OVER_UID_MAX])
{
	char prefix[RESV_NAME_MAX + 1];
	size_t len, n;

	claim_prefix(claim, "", prefix);
	len = strlen(prefix);
	if (strncmp(reservation, prefix, len) != 0)
		return false;
	n = strcspn(reservation + len, ".");
	/* UUIDs of RFC 9562, section 4: 36 characters. */
	if (n != 36 || n >= OVER_UID_MAX)
		return false;
	memcpy(ret, reservation + len, n);
	ret[n] = '\0';
	return strspn(ret, "0123456789abcdefABCDEF-") == n;
}

bool over_owner_read(const json_t *reservation, struct over_owner *ret)
{
	const json_t *labels = json_object_get(reservation, "labels");
	const char *state = text_of(reservation, "state");
	struct over_owner o = {
		.reservation = text_of(reservation, "name"),
		.namespace = text_of(labels, "namespace"),
		.claim = text_of(labels, "claim"),
	};

	if (!o.reservation || !o.namespace || !o.claim || !state ||
		!uid_in(o.reservation, o.claim, o.uid))
		return false;
	o.held = strcmp(state, resv_state_name(RESV_HELD)) != 0;
	o.draining = strcmp(state, resv_state_name(RESV_DRAINING)) == 0;
	*ret = o;
	return true;
}

static bool has_device_here(const json_t *allocation, const char *node)
{
	const json_t *results = json_object_get(json_object_get(allocation, "devices"), "results");
	const json_t *one;
	size_t i;

	json_array_foreach ((json_t *)results, i, one) {
		const char *driver = text_of(one, "driver"), *pool = text_of(one, "pool");

		if (driver && pool && strcmp(driver, CLAIM_DRIVER) == 0 && strcmp(pool, node) == 0)
			return true;
	}
	return false;
}

const char *over_why(const json_t *claim, const char *uid, const char *node)
{
	const char *now = text_of(json_object_get(claim, "metadata"), "uid");
	const json_t *status = json_object_get(claim, "status");
	const json_t *allocation = json_object_get(status, "allocation");

	if (!claim)
		return "its claim is gone";
	if (!now)
		return NULL; /* no claim as the API has them: nothing is ended because of it */
	if (strcmp(now, uid) != 0)
		return "another claim has its claim's name";
	if (!json_is_object(allocation))
		return "its claim is not allocated any more";
	if (!has_device_here(allocation, node))
		return "its claim is allocated elsewhere";
	if (json_array_size(json_object_get(status, "reservedFor")) == 0)
		return "no pod has its claim reserved any more";
	return NULL;
}
