/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unix sockets on which gRPC methods are offered: listeners, peers and bytes in the libuv loop.
 * Used by takt-dra for the kubelet's two sockets.
 */
#pragma once

#include <uv.h>

#include "cluster/wire/grpc.h"

struct listen;

/*
 * Listens on a new socket at `path`; one that a killed process left there is replaced. What the
 * methods' start() gets is for listen_user(). `methods` is borrowed. -EEXIST: there is something
 * that is no socket. -ENAMETOOLONG: longer than unix(7) takes.
 */
int listen_open(struct listen **ret, uv_loop_t *loop, const char *path,
	const struct grpc_method *methods, size_t n_methods, void *user, struct err *err);

/* The `user` of listen_open(), from what a method's start() got. */
void *listen_user(void *peer);

/*
 * Removes the socket, takes no more peers, and tells those that are there to go elsewhere: their
 * calls go on, and each goes when they have ended. Accepts NULL.
 */
void listen_drain(struct listen *l);

/* NULL: none. */
unsigned listen_n_peers(const struct listen *l);

/*
 * Removes the socket at once, and its peers; the memory goes in the loop. A socket that another
 * process has put in its place stays. Accepts NULL.
 */
void listen_close(struct listen *l);
