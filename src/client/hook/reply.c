// SPDX-License-Identifier: Apache-2.0
#include "client/hook/reply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "client/hook/json_scan.h"

#define ERROR_NAME_MAX 128

static const struct {
	const char *name;
	enum hook_exit code;
} errors[] = {
	{ "rt.takt.DoesNotFit", HOOK_NO },
	{ "rt.takt.Busy", HOOK_NO },
	{ "rt.takt.NotPermitted", HOOK_DENIED },
};

size_t bind_call_write(
	char buf[static BIND_CALL_MAX], const char *name, const struct oci_state *state)
{
	size_t len = (size_t)snprintf(buf, BIND_CALL_MAX,
		"{\"method\":\"rt.takt.Bind\",\"parameters\":{\"pid\":%d,\"name\":",
		(int)state->pid);

	if (!scan_put_text(buf, BIND_CALL_MAX, &len, name))
		return 0;
	len += (size_t)snprintf(buf + len, BIND_CALL_MAX - len, ",\"container\":");
	if (len >= BIND_CALL_MAX || !scan_put_text(buf, BIND_CALL_MAX, &len, state->id))
		return 0;
	len += (size_t)snprintf(buf + len, BIND_CALL_MAX - len, ",\"via\":\"%s\"}}",
		state->scheduled ? "nri" : "hook");
	return len < BIND_CALL_MAX ? len + 1 : 0;
}

/* The sentence goes to a terminal or a log as one line. */
static void flatten(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = ' ';
}

static enum hook_exit refused(struct bytes reply, struct bytes error, struct err *err)
{
	char name[ERROR_NAME_MAX], text[ERR_TEXT_MAX];
	struct bytes parameters, reason;

	if (scan_text(error, name, sizeof(name)) < 0)
		snprintf(name, sizeof(name), "an error without a name");
	if (scan_member(reply, "parameters", &parameters) != 1 ||
		scan_member(parameters, "reason", &reason) != 1 ||
		scan_text(reason, text, sizeof(text)) < 1)
		snprintf(text, sizeof(text), "taktd refuses without a reason: %s", name);
	flatten(text);
	err_set(err, -ECONNREFUSED, "%s", text);
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		if (strcmp(errors[i].name, name) == 0)
			return errors[i].code;
	return HOOK_FAILED;
}

enum hook_exit bind_reply_read(struct bytes reply, struct err *err)
{
	struct bytes error, parameters, reservation;

	if (scan_valid(reply) && scan_member(reply, "error", &error) > 0)
		return refused(reply, error, err);
	if (!scan_valid(reply) || scan_member(reply, "parameters", &parameters) != 1 ||
		scan_member(parameters, "reservation", &reservation) != 1 ||
		!scan_is_object(reservation)) {
		err_set(err, -EPROTO,
			"what answers at the socket does not speak rt.takt: look at --socket");
		return HOOK_FAILED;
	}
	return HOOK_OK;
}
