// SPDX-License-Identifier: Apache-2.0
/* YAML text is either a set of sound requests, each equal to its own normal form, or faults. */
#include "core/document/document.h"

#include <errno.h>

#include "fuzz/fuzz.h"

static void check_request(const struct resv_request *r)
{
	cleanup_json json_t *json = document_to_json(r);
	struct resv_request again;

	FUZZ_CHECK(json);
	FUZZ_CHECK(resv_request_check(r, NULL) == 0);
	FUZZ_CHECK(document_from_json(json, &again, NULL, NULL) == 0);
	FUZZ_CHECK(resv_request_equal(r, &again));
	resv_request_fini(&again);
}

/* Told on terminals and in JSON. */
static void check_fault(const char *fault)
{
	FUZZ_CHECK(strncmp(fault, "f:", 2) == 0);
	for (; *fault; fault++)
		FUZZ_CHECK(*fault >= ' ' && *fault < 127);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_document_set struct document_set set = DOCUMENT_SET_NULL;
	struct err err = ERR_NULL;
	int r = document_parse((const char *)data, size, "f", &set, &err);

	FUZZ_CHECK(r == 0 || r == -EINVAL);
	FUZZ_CHECK(err.code == r);
	FUZZ_CHECK((r == 0) == (set.n > 0) && (r < 0) == (set.n_faults > 0));
	for (size_t i = 0; i < set.n; i++)
		check_request(&set.requests[i]);
	for (size_t i = 0; i < set.n_faults; i++)
		check_fault(set.faults[i]);
	return 0;
}
