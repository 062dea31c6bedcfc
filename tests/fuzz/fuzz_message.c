// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzz target: bytes from a peer of the control socket, as frames, calls, replies and parameters.
 * What was decoded must come back the same after it was encoded.
 */
#include "api/frame.h"
#include "api/params.h"
#include "api/service.h"
#include "fuzz/fuzz.h"

static void parameters_of(const json_t *p)
{
	struct api_bind bind;
	struct api_threads threads;
	struct api_reserve reserve;
	struct api_release release;
	struct api_list list;
	struct api_tell tell;
	const char *name;

	if (api_bind_decode(p, &bind, NULL) == 0)
		FUZZ_CHECK(bind.pid > 0 && bind.name);
	if (api_threads_decode(p, &threads, NULL) == 0)
		FUZZ_CHECK(threads.n >= 1 && threads.n <= API_TIDS_MAX);
	if (api_name_decode(p, &name, NULL) == 0)
		FUZZ_CHECK(name != NULL);
	if (api_release_decode(p, &release, NULL) == 0)
		FUZZ_CHECK(release.name != NULL);
	if (api_list_decode(p, &list, NULL) == 0)
		FUZZ_CHECK(!list.name || !list.prefix);
	if (api_tell_decode(p, &tell, NULL) == 0)
		for (size_t i = 0; i < tell.n; i++)
			FUZZ_CHECK(tell.checks[i].status != CHECK_NONE && tell.checks[i].detail);
	if (api_reserve_decode(p, &reserve, NULL) == 0)
		FUZZ_CHECK(json_is_object(reserve.document));
	api_nothing_decode(p, NULL);
}

static void call_again(const struct api_call *c)
{
	cleanup_api_call struct api_call again = API_CALL_NULL;
	cleanup_free char *text = NULL;
	size_t len = 0;

	/* Short escapes of the input may become long ones: then it does not fit. */
	if (api_call_encode(c->method, c->parameters, c->more, &text, &len, NULL) < 0)
		return;
	FUZZ_CHECK(api_call_decode((struct bytes){ text, len - 1 }, &again, NULL) == 0);
	FUZZ_CHECK(strcmp(again.method, c->method) == 0 && again.more == c->more);
	FUZZ_CHECK(json_equal(again.parameters, c->parameters));
}

static void message(struct bytes text)
{
	cleanup_api_call struct api_call c = API_CALL_NULL;
	cleanup_api_reply struct api_reply r = API_REPLY_NULL;
	cleanup_free char *answer = NULL;
	struct err err = ERR_NULL;
	size_t len = 0;

	if (api_call_decode(text, &c, &err) == 0) {
		parameters_of(c.parameters);
		call_again(&c);
		if (api_service_answer(&c, &answer, &len, NULL) == 1)
			FUZZ_CHECK(answer[len - 1] == '\0');
	} else {
		FUZZ_CHECK(err.text[0] != '\0');
	}
	if (api_reply_decode(text, &r, NULL) == 0)
		FUZZ_CHECK(json_is_object(r.parameters));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { (const char *)data, size }, text;

	while (api_frame_next(&in, &text) == 1)
		message(text);
	message(in);
	return 0;
}
