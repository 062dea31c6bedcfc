// SPDX-License-Identifier: Apache-2.0
/*
 * taktd's List against the containers that the runtime has told of: so that nothing that got lost
 * on the way stays lost, whichever way it was.
 */
#include "cluster/nodeplugin/runtime_private.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "cluster/nodeplugin/door.h"

#define LATER_MS 3000
#define ASK_AGAIN_MS 60000
#define BINDS_MAX 10 /* that taktd is told of one container and reservation */

static void compare(struct runtime *r);

static void on_compare(uv_timer_t *timer)
{
	compare(container_of(timer, struct runtime, compare));
}

void compare_in(struct runtime *r, uint64_t ms)
{
	if (r->stopping)
		return;
	if (r->comparing)
		r->compare_again = true;
	else if (!uv_is_active((uv_handle_t *)&r->compare) || uv_timer_get_due_in(&r->compare) > ms)
		uv_timer_start(&r->compare, on_compare, ms, 0);
}

void compare_later(struct runtime *r)
{
	if (!r->later_ms)
		r->later_ms = uv_now(&r->plugin->loop) + LATER_MS;
}

static void compared(struct runtime *r)
{
	uint64_t now = uv_now(&r->plugin->loop);
	bool again = r->compare_again;

	json_decref(TAKE(r->binds));
	json_decref(TAKE(r->bind));
	r->comparing = r->compare_again = false;
	if (again)
		compare_in(r, COMPARE_SOON_MS);
	else if (r->later_ms)
		compare_in(r, r->later_ms > now ? r->later_ms - now : 0);
}

static const char *bind_text(const struct runtime *r, const char *key)
{
	return json_string_value(json_object_get(r->bind, key));
}

/* What was to be bound; NULL: the container has ended meanwhile. */
static struct seen_name *find_bound(const struct runtime *r)
{
	json_int_t pid = json_integer_value(json_object_get(r->bind, "pid"));

	for (struct seen *s = r->seen; s; s = s->next)
		for (size_t i = 0; i < s->n_names; i++)
			if (s->pid == pid && s->title &&
				strcmp(s->title, bind_text(r, "container")) == 0 &&
				strcmp(s->names[i].name, bind_text(r, "name")) == 0)
				return &s->names[i];
	return NULL;
}

static void not_bound(struct runtime *r, int code, const char *why)
{
	struct seen_name *n = find_bound(r);
	bool again = n && adopt_bind_again(code) && n->binds < BINDS_MAX;

	plugin_log("NRI: %s is not bound to %s: %s%s", bind_text(r, "container"),
		bind_text(r, "name"), why, again ? "; taktd is told again" : "");
	if (!again)
		return;
	n->told = false;
	n->due_ms = uv_now(&r->plugin->loop) + LATER_MS;
	compare_later(r);
}

static void bind_next(struct runtime *r);

static void on_bound(void *data, int code, const json_t *reply, const char *error)
{
	struct runtime *r = data;

	if (code < 0)
		not_bound(r, code, error);
	bind_next(r);
}

static void bind_next(struct runtime *r)
{
	size_t n;
	int code;

	while ((n = json_array_size(r->binds)) > 0 && !r->stopping) {
		json_decref(r->bind);
		r->bind = json_incref(json_array_get(r->binds, n - 1));
		json_array_remove(r->binds, n - 1);
		code = door_call(
			r->plugin->door, "rt.takt.Bind", json_incref(r->bind), on_bound, r);
		if (code == 0)
			return;
		not_bound(r, code, strerror(-code));
	}
	compared(r);
}

/* One that has failed has to wait, and is not forgotten. */
static bool is_due(struct runtime *r, const struct seen_name *n)
{
	if (n->due_ms <= uv_now(&r->plugin->loop))
		return true;
	compare_later(r);
	return false;
}

/* A container that taktd is to be told of; it counts as told from now on, unless that fails. */
static const struct seen *next_to_tell(struct runtime *r, const json_t *resv)
{
	const char *name = json_string_value(json_object_get(resv, "name"));

	for (struct seen *s = r->seen; name && s; s = s->next) {
		struct adopt_seen a = { s->title, s->running };

		for (size_t i = 0; s->title && s->running && i < s->n_names; i++) {
			struct seen_name *n = &s->names[i];

			if (n->told || strcmp(n->name, name) != 0 || !is_due(r, n))
				continue;
			n->told = true;
			n->binds++;
			if (adopt_to_bind(resv, &a))
				return s;
		}
	}
	return NULL;
}

/* A container holds it that the runtime never told of, or which is none of the runtime's. */
static void check_missed(struct runtime *r, const char *id)
{
	uint64_t now = uv_now(&r->plugin->loop);

	if (*containers_find(r, id) || nri_plugin_state(r->nri) != NRI_READY ||
		(r->asked_ms && now - r->asked_ms < ASK_AGAIN_MS))
		return;
	r->asked_ms = now;
	plugin_log("NRI: the runtime has not told of container %s", id);
	runtime_again(r);
}

static void on_listed(void *data, int code, const json_t *reply, const char *error)
{
	struct runtime *r = data;
	const json_t *resv;
	size_t i;

	r->binds = code < 0 ? NULL : json_array();
	if (code < 0)
		plugin_log("NRI: taktd is not compared with what runs: %s", error);
	json_array_foreach (json_object_get(reply, "reservations"), i, resv) {
		const struct seen *s;
		const char *nameless;
		size_t at = 0;

		while ((s = next_to_tell(r, resv)))
			json_array_append_new(r->binds,
				json_pack("{s:O, s:i, s:s, s:s, s:b}", "name",
					json_object_get(resv, "name"), "pid", (int)s->pid,
					"container", s->title, "via", "nri", "running", 1));
		while ((nameless = adopt_nameless(resv, &at)))
			check_missed(r, nameless);
	}
	if (code < 0)
		compare_later(r);
	bind_next(r);
}

static void compare(struct runtime *r)
{
	struct plugin *p = r->plugin;

	r->comparing = true;
	if (r->later_ms <= uv_now(&p->loop))
		r->later_ms = 0;
	if (door_call(p->door, "rt.takt.List", json_object(), on_listed, r) < 0)
		compared(r);
}
