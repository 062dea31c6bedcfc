// SPDX-License-Identifier: Apache-2.0
#include "api/params.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/cleanup.h"
#include "core/model/resv.h"

/* `names` ends with NULL. */
static int names_check(const json_t *p, const char *const *names, struct err *err)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)p, key, value) {
		const char *const *n = names;

		while (*n && strcmp(*n, key) != 0)
			n++;
		if (!*n)
			return err_set(err, -EINVAL, "%.64s: this call has no such parameter", key);
	}
	return 0;
}

/* Varlink writes an absent optional value as null, too. */
static const json_t *get(const json_t *p, const char *key)
{
	const json_t *value = json_object_get(p, key);

	return json_is_null(value) ? NULL : value;
}

static int name_get(const json_t *p, bool required, const char **ret, struct err *err)
{
	const json_t *value = get(p, "name");

	if (!value && required)
		return err_set(err, -EINVAL, "name: missing; give the name of a reservation");
	if (!value) {
		*ret = NULL;
		return 0;
	}
	if (!json_is_string(value) || !resv_name_valid(json_string_value(value)))
		return err_set(err, -EINVAL,
			"name: not the name of a reservation, which is 1 to %d "
			"letters, digits, '-', '_' or '.'",
			RESV_NAME_MAX);
	*ret = json_string_value(value);
	return 0;
}

static int id_check(const json_t *value, const char *key, struct err *err)
{
	if (!json_is_integer(value) || json_integer_value(value) < 1 ||
		json_integer_value(value) > INT_MAX)
		return err_set(err, -EINVAL,
			"%s: not an id of a process or thread, which is 1 to %d", key, INT_MAX);
	return 0;
}

static int container_get(const json_t *p, const char **ret, struct err *err)
{
	const json_t *value = get(p, "container");

	if (value && (!json_is_string(value) || json_string_length(value) == 0 ||
			     json_string_length(value) > API_CONTAINER_MAX))
		return err_set(err, -EINVAL, "container: not a container's id of 1 to %d bytes",
			API_CONTAINER_MAX);
	*ret = json_string_value(value);
	return 0;
}

static int via_get(const json_t *p, enum bind_via *ret, struct err *err)
{
	const json_t *value = get(p, "via");

	*ret = via_parse(json_string_value(value));
	if (value && *ret == VIA_NONE)
		return err_set(err, -EINVAL, "via: not hook or nri");
	return 0;
}

static int bool_get(const json_t *p, const char *key, bool *ret, struct err *err)
{
	const json_t *value = get(p, key);

	if (value && !json_is_boolean(value))
		return err_set(err, -EINVAL, "%s: not true or false", key);
	*ret = json_is_true(value);
	return 0;
}

int api_bind_decode(const json_t *p, struct api_bind *ret, struct err *err)
{
	static const char *const names[] = { "name", "pid", "container", "via", "running", NULL };
	struct api_bind b = { 0 };
	int r = names_check(p, names, err);

	if (r < 0)
		return r;
	r = name_get(p, true, &b.name, err);
	if (r < 0)
		return r;
	r = id_check(json_object_get(p, "pid"), "pid", err);
	if (r < 0)
		return r;
	b.pid = (pid_t)json_integer_value(json_object_get(p, "pid"));
	r = container_get(p, &b.container, err);
	if (r == 0)
		r = via_get(p, &b.via, err);
	if (r == 0)
		r = bool_get(p, "running", &b.running, err);
	if (r < 0)
		return r;
	*ret = b;
	return 0;
}

static bool is_among(pid_t tid, const struct api_threads *t, size_t n)
{
	while (n > 0)
		if (t->tids[--n] == tid)
			return true;
	return false;
}

int api_threads_decode(const json_t *p, struct api_threads *ret, struct err *err)
{
	static const char *const names[] = { "name", "tids", NULL };
	const json_t *tids = json_object_get(p, "tids");
	struct api_threads t = { 0 };
	int r = names_check(p, names, err);

	if (r < 0)
		return r;
	r = name_get(p, false, &t.name, err);
	if (r < 0)
		return r;
	t.n = json_array_size(tids);
	if (t.n < 1 || t.n > API_TIDS_MAX)
		return err_set(
			err, -EINVAL, "tids: not a list of 1 to %d thread ids", API_TIDS_MAX);
	for (size_t i = 0; i < t.n; i++) {
		const json_t *tid = json_array_get(tids, i);

		r = id_check(tid, "tids", err);
		if (r < 0)
			return r;
		t.tids[i] = (pid_t)json_integer_value(tid);
		if (is_among(t.tids[i], &t, i))
			return err_set(err, -EINVAL, "tids: %d is there twice", t.tids[i]);
	}
	*ret = t;
	return 0;
}

int api_name_decode(const json_t *p, const char **ret, struct err *err)
{
	static const char *const names[] = { "name", NULL };
	int r = names_check(p, names, err);

	return r < 0 ? r : name_get(p, true, ret, err);
}

int api_reserve_decode(const json_t *p, struct api_reserve *ret, struct err *err)
{
	static const char *const names[] = { "document", "transient", "shareable", NULL };
	struct api_reserve a = { .document = json_object_get(p, "document") };
	int r = names_check(p, names, err);

	if (r < 0)
		return r;
	if (!json_is_object(a.document))
		return err_set(err, -EINVAL, "document: missing, or not an object");
	r = bool_get(p, "transient", &a.transient, err);
	if (r == 0)
		r = bool_get(p, "shareable", &a.shareable, err);
	if (r < 0)
		return r;
	*ret = a;
	return 0;
}

int api_list_decode(const json_t *p, struct api_list *ret, struct err *err)
{
	static const char *const names[] = { "name", "prefix", NULL };
	const json_t *prefix = get(p, "prefix");
	struct api_list a = { 0 };
	int r = names_check(p, names, err);

	if (r == 0)
		r = name_get(p, false, &a.name, err);
	if (r < 0)
		return r;
	if (prefix && (!json_is_string(prefix) || json_string_length(prefix) > RESV_NAME_MAX))
		return err_set(
			err, -EINVAL, "prefix: not a text of at most %d bytes", RESV_NAME_MAX);
	a.prefix = json_string_value(prefix);
	if (a.prefix && a.name)
		return err_set(err, -EINVAL, "prefix: give a name or a prefix, not both");
	*ret = a;
	return 0;
}

int api_release_decode(const json_t *p, struct api_release *ret, struct err *err)
{
	static const char *const names[] = { "name", "unheld", "lazy", NULL };
	struct api_release a = { 0 };
	int r = names_check(p, names, err);

	if (r == 0)
		r = name_get(p, true, &a.name, err);
	if (r == 0)
		r = bool_get(p, "unheld", &a.unheld, err);
	if (r == 0)
		r = bool_get(p, "lazy", &a.lazy, err);
	if (r < 0)
		return r;
	*ret = a;
	return 0;
}

static bool is_word(const char *text)
{
	size_t n = text ? strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") : 0;

	return n > 0 && n <= API_TELL_NAME_MAX && !text[n];
}

static bool is_text(const json_t *value)
{
	size_t n = json_string_length(value);

	return n > 0 && n <= API_TELL_TEXT_MAX;
}

static int check_get(const json_t *p, struct check *ret, struct err *err)
{
	static const char *const names[] = { "name", "status", "detail", "mend", NULL };
	const json_t *detail = get(p, "detail"), *mend = get(p, "mend");
	struct check c = { .name = json_string_value(get(p, "name")),
		.status = check_status_parse(json_string_value(get(p, "status"))),
		.detail = json_string_value(detail),
		.mend = json_string_value(mend) };
	int r = names_check(p, names, err);

	if (r < 0)
		return err_wrap(err, r, "checks");
	if (!is_word(c.name))
		return err_set(err, -EINVAL,
			"checks: name: not 1 to %d small letters, digits or '-'",
			API_TELL_NAME_MAX);
	if (c.status == CHECK_NONE)
		return err_set(err, -EINVAL, "checks: %s: status: not ok, limited or no", c.name);
	if (!is_text(detail) || (mend && !is_text(mend)))
		return err_set(err, -EINVAL,
			"checks: %s: detail and mend are texts of 1 to %d bytes, and mend may be "
			"absent",
			c.name, API_TELL_TEXT_MAX);
	*ret = c;
	return 0;
}

static int checks_get(const json_t *list, struct api_tell *t, struct err *err)
{
	if (!json_is_array(list) || json_array_size(list) > API_TELL_CHECKS_MAX)
		return err_set(err, -EINVAL, "checks: not a list of at most %d lines",
			API_TELL_CHECKS_MAX);
	for (t->n = 0; t->n < json_array_size(list); t->n++) {
		int r = check_get(json_array_get(list, t->n), &t->checks[t->n], err);

		if (r < 0)
			return r;
		for (size_t i = 0; i < t->n; i++)
			if (strcmp(t->checks[i].name, t->checks[t->n].name) == 0)
				return err_set(err, -EINVAL, "checks: %s is there twice",
					t->checks[i].name);
	}
	return 0;
}

int api_tell_decode(const json_t *p, struct api_tell *ret, struct err *err)
{
	static const char *const names[] = { "source", "checks", "forMs", NULL };
	struct api_tell t = { .source = json_string_value(get(p, "source")) };
	int64_t for_ms = json_integer_value(get(p, "forMs"));
	int r = names_check(p, names, err);

	if (r < 0)
		return r;
	if (!is_word(t.source))
		return err_set(err, -EINVAL, "source: not 1 to %d small letters, digits or '-'",
			API_TELL_NAME_MAX);
	if (for_ms < 1 || for_ms > API_TELL_FOR_MS_MAX)
		return err_set(
			err, -EINVAL, "forMs: not 1 to %d milliseconds", API_TELL_FOR_MS_MAX);
	t.for_ms = for_ms;
	r = checks_get(get(p, "checks"), &t, err);
	if (r < 0)
		return r;
	*ret = t;
	return 0;
}

int api_nothing_decode(const json_t *p, struct err *err)
{
	static const char *const names[] = { NULL };

	return names_check(p, names, err);
}
