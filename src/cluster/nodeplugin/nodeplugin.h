/* SPDX-License-Identifier: Apache-2.0 */
/*
 * takt-dra: what its files share. It keeps no state of its own: the API server has the claims,
 * taktd the promises.
 */
#pragma once

#include <uv.h>

#include "cluster/kube/client.h"
#include "cluster/kube/watch.h"
#include "cluster/nodeplugin/kubelet.h"
#include "cluster/nodeplugin/listen.h"

#define PLUGIN_PATH_MAX 256

struct plugin {
	struct kubelet_owner owner; /* first: what the kubelet's methods get */
	uv_loop_t loop;
	const char *node; /* the Node's name */
	const char *socket; /* of taktd */
	struct kube_client *kube;
	struct listen *registration, *dra;
	char endpoint[PLUGIN_PATH_MAX], registration_path[PLUGIN_PATH_MAX];
	uv_signal_t stop_term, stop_int;

	/* publish.c */
	struct kube_watch *slices;
	uv_timer_t publish_timer;
	unsigned publish_failures;
	char node_uid[64]; /* "": not known yet */
	bool registered; /* before that the kubelet refuses every pod that the slice brings */
	bool publishing, publish_again;
	json_t *list; /* what taktd has promised, while publishing */
	json_t *wanted; /* the slice, while it is applied */
	const char *told_dropped; /* NULL: nothing was */
};

/* A line for the log. */
void plugin_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* prepare.c: a claim becomes reservations, and is over again. */
extern const struct kubelet_handler prepare_handler;

/* publish.c: what the node can promise, as a ResourceSlice that is always there. */
int publish_start(struct plugin *p, struct err *err);
/* The kubelet has taken us: from now on there is a slice. */
void publish_registered(struct plugin *p);
void publish_stop(struct plugin *p);
