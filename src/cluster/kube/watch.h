/* SPDX-License-Identifier: Apache-2.0 */
/*
 * List and watch: tells what is there, what changes and what goes, for as long as it runs, over
 * every break of the connection. Used by takt-dra and takt-controller; it keeps names and uids
 * only, so what else has to be remembered is the owner's.
 */
#pragma once

#include "cluster/kube/client.h"
#include "cluster/kube/event.h"

struct kube_watch;

#define KUBE_WATCH_TIMEOUT_S 300
#define KUBE_WATCH_GRACE_S 30
#define KUBE_WATCH_PAGE 500
#define KUBE_WATCH_LINE_MAX_BYTES (4 * 1024 * 1024)

struct kube_watch_options {
	const char *label_selector, *field_selector; /* NULL: all; copied */
	/*
	 * The server is asked to end a stream after this time, and half as long again by chance;
	 * 0: KUBE_WATCH_TIMEOUT_S. We end it ourselves when it lives longer by the grace;
	 * 0: KUBE_WATCH_GRACE_S.
	 */
	unsigned timeout_s, grace_s;
	unsigned page; /* objects in one answer to a list; 0: KUBE_WATCH_PAGE */
	size_t line_max_bytes; /* one event; 0: KUBE_WATCH_LINE_MAX_BYTES */
};

/*
 * All are called from the loop; objects are the watch's, keep one by json_incref(). Any may call
 * kube_watch_stop(). After each list, so also after a gap, every object that is there is told as
 * added or modified, and what is not there any more as deleted; then synced. An object that was
 * deleted and made again under its name in a gap is told as deleted and added.
 */
struct kube_watch_handler {
	void (*added)(void *data, json_t *object);
	void (*modified)(void *data, json_t *object);
	/* last: its last state; NULL where it went in a gap. */
	void (*deleted)(void *data, const struct kube_gone *gone, json_t *last);
	void (*synced)(void *data);
	/* Something failed, and is tried again after that time. NULL: nobody wants to know. */
	void (*trouble)(void *data, const struct err *why, uint64_t retry_ms);
};

/* ref without a name. The client has to live until the watch is stopped. */
int kube_watch_start(struct kube_watch **ret, struct kube_client *c, const struct kube_ref *ref,
	const struct kube_watch_options *options, const struct kube_watch_handler *handler,
	void *data, struct err *err);

/* Nothing is told any more; the memory goes in the loop's next turn. Accepts NULL. */
void kube_watch_stop(struct kube_watch *w);
