// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/event.h"

#include <errno.h>
#include <string.h>

static const char *const event_names[_KUBE_EVENT_MAX] = {
	[KUBE_EVENT_ADDED] = "ADDED",
	[KUBE_EVENT_MODIFIED] = "MODIFIED",
	[KUBE_EVENT_DELETED] = "DELETED",
	[KUBE_EVENT_BOOKMARK] = "BOOKMARK",
	[KUBE_EVENT_ERROR] = "ERROR",
};

/* NULL: not there, not text, or longer than it may be. */
static const char *text_of(const json_t *map, const char *key, size_t size)
{
	const json_t *value = json_object_get(map, key);

	return json_is_string(value) && json_string_length(value) < size ? json_string_value(value)
									 : NULL;
}

static const char *version_of(const json_t *object)
{
	return text_of(json_object_get(object, "metadata"), "resourceVersion", KUBE_VERSION_MAX);
}

int kube_meta_read(const json_t *object, struct kube_meta *ret, struct err *err)
{
	const json_t *metadata = json_object_get(object, "metadata");
	struct kube_meta m = {
		.namespace = "",
		.name = text_of(metadata, "name", KUBE_NAME_MAX),
		.uid = text_of(metadata, "uid", KUBE_VERSION_MAX),
		.resource_version = version_of(object),
	};

	if (json_object_get(metadata, "namespace"))
		m.namespace = text_of(metadata, "namespace", KUBE_NAMESPACE_MAX);
	if (!m.namespace || !m.name || !*m.name || strchr(m.namespace, '/') || !m.uid ||
		!m.resource_version)
		return err_set(err, -EPROTO,
			"the API server sent an object without name, uid or resourceVersion");
	*ret = m;
	return 0;
}

void kube_event_fini(struct kube_event *e)
{
	json_decref(e->object);
	*e = KUBE_EVENT_NULL;
}

static int type_of(const json_t *root)
{
	const char *text = json_string_value(json_object_get(root, "type"));

	for (int i = 0; text && i < _KUBE_EVENT_MAX; i++)
		if (strcmp(event_names[i], text) == 0)
			return i;
	return -1;
}

static int read_meta(struct kube_event *e, struct err *err)
{
	if (e->type == KUBE_EVENT_ERROR)
		return 0;
	if (e->type != KUBE_EVENT_BOOKMARK)
		return kube_meta_read(e->object, &e->meta, err);
	e->meta.resource_version = version_of(e->object);
	if (!e->meta.resource_version)
		return err_set(err, -EPROTO, "the API server sent a bookmark without a version");
	return 0;
}

int kube_event_parse(struct bytes line, struct kube_event *ret, struct err *err)
{
	cleanup_kube_event struct kube_event e = KUBE_EVENT_NULL;
	cleanup_json json_t *root = json_loadb(line.at, line.len, 0, NULL);
	int type = type_of(root), r;

	e.object = json_incref(json_object_get(root, "object"));
	if (type < 0 || !json_is_object(e.object))
		return err_set(
			err, -EPROTO, "the API server sent a line that is no event of a watch");
	e.type = (enum kube_event_type)type;
	r = read_meta(&e, err);
	if (r < 0)
		return r;
	*ret = e;
	e = KUBE_EVENT_NULL;
	return 0;
}

int kube_known_init(struct kube_known *k, struct err *err)
{
	*k = KUBE_KNOWN_NULL;
	k->uids = json_object();
	return k->uids ? 0 : err_set(err, -ENOMEM, "out of memory");
}

void kube_known_fini(struct kube_known *k)
{
	json_decref(k->uids);
	json_decref(k->fresh);
	json_decref(k->missing);
	*k = KUBE_KNOWN_NULL;
}

#define KEY_MAX (KUBE_NAMESPACE_MAX + KUBE_NAME_MAX)

static const char *key_of(char buf[static KEY_MAX], const struct kube_meta *m)
{
	snprintf(buf, KEY_MAX, "%s/%s", m->namespace, m->name);
	return buf;
}

static void gone_fill(struct kube_gone *ret, const char *key, const char *uid)
{
	size_t len = strcspn(key, "/");

	snprintf(ret->namespace, sizeof(ret->namespace), "%.*s", (int)len, key);
	snprintf(ret->name, sizeof(ret->name), "%s", key + len + 1);
	snprintf(ret->uid, sizeof(ret->uid), "%s", uid);
}

static int remember(json_t *set, const char *key, const char *uid, struct err *err)
{
	if (json_object_size(set) >= KUBE_KNOWN_MAX && !json_object_get(set, key))
		return err_set(err, -E2BIG,
			"there are more than %d objects to watch; narrow the selector",
			KUBE_KNOWN_MAX);
	if (json_object_set_new(set, key, json_string(uid)) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	return 0;
}

int kube_known_put(struct kube_known *k, const struct kube_meta *m, enum kube_news *ret,
	struct kube_gone *gone, struct err *err)
{
	char buf[KEY_MAX];
	const char *key = key_of(buf, m);
	const char *uid = json_string_value(json_object_get(k->uids, key));
	enum kube_news news = KUBE_NEWS_ADDED;
	int r = 0;

	if (uid)
		news = strcmp(uid, m->uid) == 0 ? KUBE_NEWS_MODIFIED : KUBE_NEWS_REPLACED;
	if (news == KUBE_NEWS_REPLACED)
		gone_fill(gone, key, uid);
	if (news != KUBE_NEWS_MODIFIED)
		r = remember(k->uids, key, m->uid, err);
	if (r == 0 && k->fresh)
		r = remember(k->fresh, key, m->uid, err);
	if (r == 0)
		*ret = news;
	return r;
}

enum kube_news kube_known_drop(
	struct kube_known *k, const struct kube_meta *m, struct kube_gone *gone)
{
	char buf[KEY_MAX];
	const char *key = key_of(buf, m);
	const char *uid = json_string_value(json_object_get(k->uids, key));

	if (!uid)
		return KUBE_NEWS_NOTHING;
	gone_fill(gone, key, uid);
	json_object_del(k->uids, key);
	return KUBE_NEWS_DELETED;
}

int kube_known_begin_list(struct kube_known *k, struct err *err)
{
	kube_known_abort_list(k);
	k->fresh = json_object();
	return k->fresh ? 0 : err_set(err, -ENOMEM, "out of memory");
}

/* What the list had is what is known from here on; the rest of what was known is missing. */
static void end_list(struct kube_known *k)
{
	const char *key;
	json_t *uid;
	void *next;

	json_object_foreach_safe (k->uids, next, key, uid) {
		if (json_object_get(k->fresh, key))
			json_object_del(k->uids, key);
	}
	k->missing = k->uids;
	k->uids = TAKE(k->fresh);
}

bool kube_known_next_missing(struct kube_known *k, struct kube_gone *ret)
{
	void *at;

	if (k->fresh)
		end_list(k);
	at = json_object_iter(k->missing);
	if (!at) {
		json_decref(TAKE(k->missing));
		return false;
	}
	gone_fill(ret, json_object_iter_key(at), json_string_value(json_object_iter_value(at)));
	json_object_del(k->missing, json_object_iter_key(at));
	return true;
}

void kube_known_abort_list(struct kube_known *k)
{
	json_decref(TAKE(k->fresh));
}
