// SPDX-License-Identifier: Apache-2.0
/* JSON at the door is either a sound request, equal to its own normal form, or faults. */
#include "core/document/document.h"

#include <errno.h>

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_document_faults struct document_faults faults = DOCUMENT_FAULTS_NULL;
	cleanup_json json_t *json = json_loadb((const char *)data, size,
		JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	cleanup_json json_t *form = NULL;
	struct resv_request request, again;

	if (!json)
		return 0;
	if (document_from_json(json, &request, &faults, NULL) < 0) {
		FUZZ_CHECK(faults.n > 0);
		return 0;
	}
	FUZZ_CHECK(resv_request_check(&request, NULL) == 0);
	form = document_to_json(&request);
	FUZZ_CHECK(form);
	FUZZ_CHECK(document_from_json(form, &again, NULL, NULL) == 0);
	FUZZ_CHECK(resv_request_equal(&request, &again));
	resv_request_fini(&request);
	resv_request_fini(&again);
	return 0;
}
