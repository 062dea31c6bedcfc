// SPDX-License-Identifier: Apache-2.0
/*
 * What the other end of the socket answers the hook. A yes is one to a full parser as well (which
 * may refuse it for its own limits, as the range of numbers); a no has one line of sentence.
 */
#include <jansson.h>

#include "client/hook/reply.h"

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *text = fuzz_text(data, size);
	struct err err = ERR_NULL;
	enum hook_exit e = bind_reply_read((struct bytes){ text, size }, &err);
	cleanup_json json_t *json = json_loadb(text, size, JSON_ALLOW_NUL, NULL);

	if (e != HOOK_OK) {
		FUZZ_CHECK(err.code < 0 && err.text[0] && !strpbrk(err.text, "\n\r\x1b"));
		return 0;
	}
	FUZZ_CHECK(!err.text[0]);
	if (!json)
		return 0;
	FUZZ_CHECK(!json_object_get(json, "error"));
	FUZZ_CHECK(json_is_object(
		json_object_get(json_object_get(json, "parameters"), "reservation")));
	return 0;
}
