/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin's half of NRI as a state machine: bytes in, calls of the owner's handlers, bytes out.
 * Used by the program that holds the runtime's socket; it has no socket, no clock, no opinion.
 *
 * A connection is: connected -> RegisterPlugin; Configure -> Synchronize, in pieces -> events. The
 * runtime may call Configure before it answers RegisterPlugin. It waits 5 s for the registration
 * and 2 s for each answer, by default. Source: containerd/nri pkg/adaptation/plugin.go.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "cluster/wire/nri/objects.h"

#define NRI_SOCKET "/var/run/nri/nri.sock" /* the runtimes' default */

struct nri_identity {
	const char *name; /* letters, digits and _.+- */
	const char *index; /* two digits: the order among plugins */
	/*
	 * What the runtime does when no answer comes in time or the connection is lost: fails the
	 * request, instead of going on without us; after a late answer, keeps the connection.
	 * Runtimes before NRI 0.12.4 ignore both.
	 */
	bool fail_request, keep_connected;
};

/* Who runs the containers; borrowed. */
struct nri_runtime {
	const char *name, *version; /* "containerd", "v2.3.7" */
	const char *nri_version; /* "": before NRI 0.12 */
	const char *config; /* of this plugin, from the runtime's configuration */
	int64_t request_timeout_ms; /* 0: not said */
};

/*
 * What the owner wants to hear. A runtime sends only what has a handler here, and waits for each
 * to return. All they get is borrowed and lives until they return. They may call
 * nri_plugin_adjust, _refuse and _update, and no other function of the plugin.
 */
struct nri_handlers {
	void (*configured)(void *user, const struct nri_runtime *runtime);

	/* Everything that is there, one by one, and then `synchronized`: forget what was not told. */
	void (*known_pod)(void *user, const struct nri_pod *pod);
	void (*known_container)(void *user, const struct nri_container *container);
	void (*synchronized)(void *user);

	/* Never NULL. To be answered by nri_plugin_adjust or nri_plugin_refuse, now or later. */
	void (*create_container)(void *user, uint64_t call, const struct nri_pod *pod,
		const struct nri_container *container);

	void (*container_created)(
		void *user, const struct nri_pod *pod, const struct nri_container *container);
	void (*container_starting)(
		void *user, const struct nri_pod *pod, const struct nri_container *container);
	void (*container_started)(
		void *user, const struct nri_pod *pod, const struct nri_container *container);
	void (*container_updating)(
		void *user, const struct nri_pod *pod, const struct nri_container *container);
	void (*container_updated)(
		void *user, const struct nri_pod *pod, const struct nri_container *container);
	void (*container_stopped)(
		void *user, const struct nri_pod *pod, const struct nri_container *container);
	void (*container_removed)(
		void *user, const struct nri_pod *pod, const struct nri_container *container);

	void (*pod_started)(void *user, const struct nri_pod *pod);
	void (*pod_updating)(void *user, const struct nri_pod *pod); /* since NRI 0.12 */
	void (*pod_stopped)(void *user, const struct nri_pod *pod);
	void (*pod_removed)(void *user, const struct nri_pod *pod);

	void (*shutdown)(void *user); /* the runtime is going down */
};

enum nri_state {
	NRI_DISCONNECTED,
	NRI_REGISTERING,
	NRI_CONFIGURED,
	NRI_SYNCHRONIZING, /* some pieces have come, the last has not */
	NRI_READY,
	_NRI_STATE_MAX,
};

struct nri_plugin;

/*
 * Lives through any number of connections. `handlers` and the texts of `id` outlive it. -EINVAL: a
 * name or an index that runtimes refuse, or no create_container; -ENOMEM.
 */
int nri_plugin_create(const struct nri_identity *id, const struct nri_handlers *handlers,
	void *user, struct nri_plugin **ret, struct err *err);
/* As nri_plugin_disconnected before; accepts NULL. */
void nri_plugin_destroy(struct nri_plugin *p);

enum nri_state nri_plugin_state(const struct nri_plugin *p);

/* A new connection has been made: nri_plugin_output() has the registration. -ENOMEM. */
int nri_plugin_connected(struct nri_plugin *p, struct err *err);
/* The connection is gone: calls that were to be answered are void, ours end with -ECONNRESET. */
void nri_plugin_disconnected(struct nri_plugin *p);

/*
 * Takes what the socket had. < 0: the connection cannot go on, close it and call
 * nri_plugin_disconnected(): -EPROTO, -EMSGSIZE: the runtime broke the protocol; -ENOBUFS: it does
 * not read what it is sent; -ENOMEM; or the registration was refused (-EINVAL and others).
 */
int nri_plugin_feed(struct nri_plugin *p, struct bytes in, struct err *err);

/* What is to be written to the socket; lives until the next call of any other function here. */
struct bytes nri_plugin_output(const struct nri_plugin *p);
/* The first n bytes of it have been written. */
void nri_plugin_written(struct nri_plugin *p, size_t n);

/*
 * Answers create_container. -ENOENT: the call is answered already or its connection is gone;
 * -EMSGSIZE: the adjustment is too long, and the container is refused; -ENOMEM, -ENOBUFS: the
 * call is still open.
 */
int nri_plugin_adjust(struct nri_plugin *p, uint64_t call, const struct nri_adjustment *adjustment,
	struct err *err);
/* The container is not created; people read the sentence in the pod's events. Errors as above. */
int nri_plugin_refuse(struct nri_plugin *p, uint64_t call, const char *sentence, struct err *err);

/* err: NULL, and `failed` are the ids of those that the runtime could not update; else why. */
typedef void (*nri_updated)(
	void *user, const char *const *failed, size_t n_failed, const struct err *err);

/*
 * Asks the runtime to change containers. `done` is called once after success, and never after
 * -ENOTCONN: not NRI_READY; -EBUSY: too many such calls; -EMSGSIZE, -ENOBUFS, -ENOMEM,
 * -EOVERFLOW. containerd up to 2.3.4 can deadlock on it (containerd/nri pull request 301).
 */
int nri_plugin_update(struct nri_plugin *p, const struct nri_update *updates, size_t n,
	nri_updated done, void *user, struct err *err);
