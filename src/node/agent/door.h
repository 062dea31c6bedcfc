/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket: listeners, peers and their limits. A whole message becomes a door_call,
 * which calls.c answers now or later; a peer that misbehaves costs itself only.
 */
#pragma once

#include <jansson.h>
#include <sys/types.h>

#include "api/message.h"
#include "base/err.h"
#include "core/model/info.h"

struct agent;
struct door;
struct listener;
struct promise;

/* One call of one peer. Ends with door_reply() or door_error(), also when the peer is gone. */
struct door_call {
	struct agent *agent;
	struct peer *peer; /* NULL: gone; the answer goes nowhere */
	struct api_call message;
	char own[RESV_NAME_MAX + 1]; /* came by this reservation's own socket; "": the main one */
	pid_t pid; /* who connected, SO_PEERCRED */
	bool watching; /* never answered: it goes with its peer */
	struct door_call *next; /* among the watchers, or those of later.c */
	char failed[ERR_TEXT_MAX]; /* why a part of it did not succeed; "": all did */
	unsigned times_later; /* how often it was put off */
	uint64_t due_ms; /* uv_now(): when it is asked again */
};

/* The main socket: the one that systemd handed over, or made here. -EADDRINUSE: taktd runs. */
int door_open(struct agent *a, struct door **ret, struct err *err);
/* Closes everything; the loop must run once more for it. */
void door_close(struct door *d);
void door_free(struct door *d);

/* The own socket of the promise, for all that hold it. */
int door_listen_own(struct agent *a, struct promise *p, struct err *err);
void door_unlisten(struct listener *l); /* accepts NULL */

/* `parameters` is taken over; NULL: none, or out of memory while it was made. */
void door_reply(struct door_call *call, json_t *parameters);
void door_error(struct door_call *call, enum api_error e, const char *name, const char *reason);
/* With the faults of a document. */
void door_faults(struct door_call *call, const char *reason, char *const *faults, size_t n);

/* calls_peer_gone() is called when the peer goes. */
void door_tell_end(struct door_call *call);

/* The call becomes a watcher: it gets every change until its peer goes. */
void door_watch(struct door_call *call);
void door_publish(struct door *d, const struct change *c);
bool door_is_watched(const struct door *d);
