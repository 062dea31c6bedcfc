/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of a watch into events, and what they mean to one who remembers only which objects there
 * are. Pure; used by watch.c, the metadata by everybody who reads objects.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"

#define KUBE_KNOWN_MAX 200000
/* With the NUL; names and namespaces are DNS names, uid and resourceVersion are opaque. */
#define KUBE_NAME_MAX 254
#define KUBE_NAMESPACE_MAX 64
#define KUBE_VERSION_MAX 64

/* Views into the object. */
struct kube_meta {
	const char *namespace; /* "": of the cluster */
	const char *name, *uid, *resource_version;
};

/* -EPROTO: it has no metadata, name, uid or resourceVersion, or they are too long. */
int kube_meta_read(const json_t *object, struct kube_meta *ret, struct err *err);

enum kube_event_type {
	KUBE_EVENT_ADDED,
	KUBE_EVENT_MODIFIED,
	KUBE_EVENT_DELETED,
	KUBE_EVENT_BOOKMARK,
	KUBE_EVENT_ERROR,
	_KUBE_EVENT_MAX,
};

struct kube_event {
	enum kube_event_type type;
	json_t *object; /* owned; of an ERROR its Status */
	struct kube_meta meta; /* of a BOOKMARK only resource_version; of an ERROR none */
};

#define KUBE_EVENT_NULL ((struct kube_event){ .object = NULL })

void kube_event_fini(struct kube_event *e);
#define cleanup_kube_event __attribute__((cleanup(kube_event_fini)))

/* {"type": ..., "object": ...}; -EPROTO: this is no event. */
int kube_event_parse(struct bytes line, struct kube_event *ret, struct err *err);

/* An object that is gone: what is remembered of it. */
struct kube_gone {
	char namespace[KUBE_NAMESPACE_MAX], name[KUBE_NAME_MAX], uid[KUBE_VERSION_MAX];
};

/* Which objects there are: namespace/name and uid, nothing else. */
struct kube_known {
	json_t *uids; /* "namespace/name": uid */
	json_t *fresh; /* the same of the list that is being read; NULL: none is */
	json_t *missing; /* the same of what a list did not have any more, not yet told */
};

#define KUBE_KNOWN_NULL ((struct kube_known){ .uids = NULL })

enum kube_news {
	KUBE_NEWS_NOTHING, /* it was not known */
	KUBE_NEWS_ADDED,
	KUBE_NEWS_MODIFIED,
	KUBE_NEWS_REPLACED, /* one of that name is gone, and this is another */
	KUBE_NEWS_DELETED,
};

int kube_known_init(struct kube_known *k, struct err *err);
void kube_known_fini(struct kube_known *k);

/*
 * What is new about an object that is there, and remembers it. On KUBE_NEWS_REPLACED *gone is the
 * former one. -E2BIG: more than KUBE_KNOWN_MAX objects; -ENOMEM.
 */
int kube_known_put(struct kube_known *k, const struct kube_meta *m, enum kube_news *ret,
	struct kube_gone *gone, struct err *err);

/* What is new about an object that is gone, and forgets it; if it was known, *gone is that. */
enum kube_news kube_known_drop(
	struct kube_known *k, const struct kube_meta *m, struct kube_gone *gone);

/* From here on each put also counts as "in the list". */
int kube_known_begin_list(struct kube_known *k, struct err *err);

/*
 * true: *ret was known and was not in the list, and is forgotten now. false: none is left, the list
 * is done.
 */
bool kube_known_next_missing(struct kube_known *k, struct kube_gone *ret);

/* The list came to no end: forgets what was in it, not what is known. */
void kube_known_abort_list(struct kube_known *k);
