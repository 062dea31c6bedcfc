// SPDX-License-Identifier: Apache-2.0
#include "api/json_private.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Only strings can hold a bracket or comma that does not count; the rest is for the parser. */
static int shape_check(struct bytes text, size_t values_max, struct err *err)
{
	size_t depth = 0, values = 1;
	bool in_string = false;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.at[i];

		if (in_string) {
			if (c == '\\')
				i++;
			in_string = c != '"';
			continue;
		}
		in_string = c == '"';
		if (c == '[' || c == '{')
			depth++;
		if ((c == ']' || c == '}') && depth > 0)
			depth--;
		if (c && strchr("[{,:", c))
			values++;
		if (depth > API_DEPTH_MAX)
			return err_set(err, -EBADMSG, "the message is nested deeper than %d levels",
				API_DEPTH_MAX);
		if (values > values_max)
			return err_set(
				err, -EBADMSG, "the message has more than %zu values", values_max);
	}
	return 0;
}

int api_json_load(struct bytes text, size_t values_max, json_t **ret, struct err *err)
{
	cleanup_json json_t *value = NULL;
	json_error_t why;
	int r = shape_check(text, values_max, err);

	if (r < 0)
		return r;
	value = json_loadb(text.at, text.len, JSON_REJECT_DUPLICATES, &why);
	/* jansson says nothing at all where an allocation failed in the middle. */
	if (!value && (!why.text[0] || json_error_code(&why) == json_error_out_of_memory))
		return err_set(err, -ENOMEM, "out of memory");
	if (!value)
		return err_set(err, -EBADMSG, "the message is not JSON: %s, at byte %d", why.text,
			why.position);
	if (!json_is_object(value))
		return err_set(err, -EBADMSG, "the message is JSON, but not an object");
	*ret = TAKE(value);
	return 0;
}

int api_json_dump(const json_t *value, size_t max, char **ret, size_t *ret_len, struct err *err)
{
	cleanup_free char *text = json_dumps(value, JSON_COMPACT);
	size_t len;

	if (!text)
		return err_set(err, -ENOMEM, "out of memory");
	len = strlen(text) + 1;
	if (len > max)
		return err_set(err, -EMSGSIZE,
			"the message has %zu bytes, more than the %zu that "
			"the other side takes",
			len, max);
	*ret = TAKE(text);
	*ret_len = len;
	return 0;
}

json_t *api_json_text(const char *text)
{
	json_t *value = json_string(text);
	cleanup_free char *plain = NULL;

	if (value)
		return value;
	plain = strdup(text);
	if (!plain)
		return NULL;
	for (char *c = plain; *c; c++)
		if ((unsigned char)*c > 127)
			*c = '?';
	return json_string(plain);
}
