// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/status.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"

#define RETRY_AFTER_MAX_S 3600

static int code_of(unsigned http, const char *reason)
{
	switch (http) {
	case 400:
	case 422:
		return -EINVAL;
	case 401:
		return -EACCES;
	case 403:
		return -EPERM;
	case 404:
		return strcmp(reason, "NotFound") == 0 ? -ENOENT : -EREMOTEIO;
	case 409:
		return strcmp(reason, "AlreadyExists") == 0 ? -EEXIST : -EAGAIN;
	case 410:
		return -ESTALE;
	case 413:
		return -E2BIG;
	case 429:
		return -EBUSY;
	case 504:
		return -ETIMEDOUT;
	default:
		return http / 100 == 2 ? 0 : http / 100 == 5 ? -EREMOTEIO : -EPROTO;
	}
}

/* Foreign text for a log or a terminal: what is not printable ASCII becomes '?', a break ' '. */
static void copy_printable(char *to, size_t size, const char *from, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len && n + 1 < size; i++) {
		unsigned char c = from[i];

		if (c == '\n' || c == '\r' || c == '\t')
			c = ' ';
		to[n++] = c >= ' ' && c < 127 ? (char)c : '?';
	}
	to[n] = '\0';
}

static void copy_text(char *to, size_t size, const json_t *value)
{
	const char *text = json_string_value(value);

	copy_printable(to, size, text ? text : "", json_string_length(value));
}

static void read_details(const json_t *object, struct kube_status *ret)
{
	json_int_t after = json_integer_value(
		json_object_get(json_object_get(object, "details"), "retryAfterSeconds"));

	copy_text(ret->reason, sizeof(ret->reason), json_object_get(object, "reason"));
	copy_text(ret->message, sizeof(ret->message), json_object_get(object, "message"));
	if (after > 0)
		ret->retry_after_s =
			after < RETRY_AFTER_MAX_S ? (unsigned)after : RETRY_AFTER_MAX_S;
}

void kube_status_of(const json_t *object, struct kube_status *ret)
{
	json_int_t code = json_integer_value(json_object_get(object, "code"));

	*ret = (struct kube_status){ 0 };
	read_details(object, ret);
	if (strcmp(ret->reason, "Expired") == 0 || strcmp(ret->reason, "Gone") == 0)
		code = 410;
	ret->http = code >= 300 && code < 600 ? (unsigned)code : 500;
	ret->code = code_of(ret->http, ret->reason);
}

void kube_status_read(unsigned http, struct bytes body, struct kube_status *ret)
{
	cleanup_json json_t *object = NULL;

	*ret = (struct kube_status){ .http = http };
	if (http / 100 == 2)
		return;
	object = body.len ? json_loadb(body.at, body.len, 0, NULL) : NULL;
	if (json_is_object(object))
		read_details(object, ret);
	else
		copy_printable(ret->message, sizeof(ret->message), body.at, body.len);
	ret->code = code_of(http, ret->reason);
}
