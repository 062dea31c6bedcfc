/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kubelet's calls: registration, prepare and unprepare, as tasks of one claim each. Used by
 * takt-dra; v1 and v1beta1 are the same bytes, but for what a v1beta1 kubelet skips.
 */
#pragma once

#include <stddef.h>

#include "cluster/wire/grpc.h"

#define KUBELET_CLAIMS_MAX 128 /* of one call: those of one pod */

struct health;
struct kubelet_task;

/* What the owner of both sockets does; `user` is listen_open()'s. */
struct kubelet_handler {
	/* Each ends by kubelet_done(), now or later. */
	void (*prepare)(void *user, struct kubelet_task *task);
	void (*unprepare)(void *user, struct kubelet_task *task);
	/* why: what the kubelet does not like; NULL: we are registered. */
	void (*registered)(void *user, const char *why);
};

/* `user` of listen_open() begins with this. */
struct kubelet_owner {
	const struct kubelet_handler *handler;
	const char *endpoint; /* absolute path of the socket with kubelet_dra_methods */
	struct health *health;
};

extern const struct grpc_method kubelet_registration_methods[];
extern const size_t kubelet_n_registration_methods;
extern const struct grpc_method kubelet_dra_methods[];
extern const size_t kubelet_n_dra_methods;

/* One claim of a call; the texts live as long as the task. */
const char *kubelet_task_namespace(const struct kubelet_task *t);
const char *kubelet_task_name(const struct kubelet_task *t);
const char *kubelet_task_uid(const struct kubelet_task *t);

struct kubelet_device {
	const char *request, *pool, *device, *share_id; /* share_id NULL: none */
	const char *cdi; /* "rt.takt.dev/reservation=NAME" */
};

/* Adds a device to a claim's answer; copied. -ENOMEM. */
int kubelet_add_device(struct kubelet_task *t, const struct kubelet_device *d);

/* Ends the task: with the devices that were added, or with a sentence (NULL: none). */
void kubelet_done(struct kubelet_task *t, const char *error);
