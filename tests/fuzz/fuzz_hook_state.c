// SPDX-License-Identifier: Apache-2.0
/*
 * What a runtime writes to the hook. A state that is taken has the same id and pid to a full
 * parser (which may refuse it for its own limits, as the range of numbers); so has the call that
 * is made of it.
 */
#include <jansson.h>

#include "client/hook/json_scan.h"
#include "client/hook/reply.h"
#include "client/hook/state.h"

#include "fuzz/fuzz.h"

static void check_call(const struct oci_state *state)
{
	char buf[BIND_CALL_MAX];
	size_t len = bind_call_write(buf, "camera", state);
	json_t *call = len > 0 ? json_loadb(buf, len - 1, 0, NULL) : NULL;
	const char *id = NULL;
	int pid = 0;

	FUZZ_CHECK(call && buf[len - 1] == '\0');
	FUZZ_CHECK(json_unpack(call, "{s:{s:i, s:s}}", "parameters", "pid", &pid, "container",
			   &id) == 0);
	FUZZ_CHECK(pid == state->pid && strcmp(id, state->id) == 0);
	json_decref(call);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *text = fuzz_text(data, size);
	struct bytes bytes = { text, size };
	struct oci_state state;
	struct err err = ERR_NULL;
	cleanup_json json_t *json = NULL;

	if (oci_state_parse(bytes, &state, &err) < 0) {
		FUZZ_CHECK(err.code < 0 && err.text[0]);
		return 0;
	}
	FUZZ_CHECK(scan_valid(bytes) && state.pid > 0);
	check_call(&state);
	json = json_loadb(text, size, JSON_ALLOW_NUL, NULL);
	if (!json)
		return 0;
	FUZZ_CHECK(strcmp(json_string_value(json_object_get(json, "id")), state.id) == 0);
	FUZZ_CHECK(json_integer_value(json_object_get(json, "pid")) == state.pid);
	return 0;
}
