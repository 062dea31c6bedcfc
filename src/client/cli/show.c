// SPDX-License-Identifier: Apache-2.0
#include "client/cli/show.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/text.h"

#define PPM_PER_MILLI 1000
#define MS_PER_SEC 1000

_Static_assert(SHOW_TEXT_MAX >= TEXT_NUMBER_MAX, "a duration fits");

const char *show_text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

const char *show_duration(char buf[static SHOW_TEXT_MAX], const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return NULL;
	return duration_format(buf, (uint64_t)json_integer_value(value));
}

const char *show_cpu(char buf[static SHOW_TEXT_MAX], int64_t ppm)
{
	const char *sign = ppm < 0 ? "-" : "";
	uint64_t size = ppm < 0 ? -(uint64_t)ppm : (uint64_t)ppm;
	uint64_t milli = (size + PPM_PER_MILLI / 2) / PPM_PER_MILLI;
	size_t end;

	snprintf(buf, SHOW_TEXT_MAX, "%s%" PRIu64 ".%03u", sign, milli / 1000,
		(unsigned)(milli % 1000));
	for (end = strlen(buf); buf[end - 1] == '0'; end--)
		buf[end - 1] = '\0';
	if (buf[end - 1] == '.')
		buf[end - 1] = '\0';
	return buf;
}

const char *show_moment(char buf[static SHOW_TEXT_MAX], int64_t ms)
{
	time_t seconds = ms / MS_PER_SEC;
	struct tm tm;
	size_t n;

	if (ms < 0 || !localtime_r(&seconds, &tm))
		return "-";
	n = strftime(buf, SHOW_TEXT_MAX, "%F %T", &tm);
	snprintf(buf + n, SHOW_TEXT_MAX - n, ".%03d", (int)(ms % MS_PER_SEC));
	return buf;
}

static int complete(json_t *resv, struct err *err)
{
	static const char *const keys[] = { "boundNs", "container", "cgroup", "via", "trouble" };

	for (size_t k = 0; json_is_object(resv) && k < ARRAY_SIZE(keys); k++)
		if (!json_object_get(resv, keys[k]) &&
			json_object_set_new(resv, keys[k], json_null()) < 0)
			return err_set(err, -ENOMEM, "out of memory");
	return 0;
}

int show_complete(json_t *reply, struct err *err)
{
	json_t *reservations = json_object_get(reply, "reservations");
	int r = complete(json_object_get(reply, "reservation"), err);

	for (size_t i = 0; r == 0 && i < json_array_size(reservations); i++)
		r = complete(json_array_get(reservations, i), err);
	return r;
}
