/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where takt-dra's sockets are: several instances, as in a rolling update, have names of their own.
 * Used by takt-dra's main.c and publish.c.
 */
#pragma once

#include "base/err.h"

#define SOCKETS_PATH_MAX 108 /* unix(7), with the NUL */
#define SOCKETS_INSTANCE_MAX 63

struct sockets {
	char folder[SOCKETS_PATH_MAX]; /* of the endpoint, takt-dra's own */
	char registry[SOCKETS_PATH_MAX]; /* the folder of the registration, the kubelet's */
	char endpoint[SOCKETS_PATH_MAX];
	char registration[SOCKETS_PATH_MAX];
};

/*
 * instance: letters, digits, '-' and '.', at most SOCKETS_INSTANCE_MAX; NULL: the only one. -EINVAL:
 * it is not so. -ENAMETOOLONG: too long a path, even with a short number in its place.
 */
int sockets_name(
	const char *kubelet_dir, const char *instance, struct sockets *ret, struct err *err);

/*
 * Removes what instances that were killed have left: sockets on which nobody listens. The kubelet
 * would call them for half an hour (kubernetes issue 132660). One of the last second stays: it may
 * not be listened on yet.
 */
void sockets_sweep(const struct sockets *s);
