/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the door is made of: listeners, and the peers that came by them. Shared by door.c, which
 * opens and closes, and peer.c, which reads and answers.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <uv.h>

#include "node/agent/door.h"

#define DOOR_READ_AT_ONCE 16384

struct listener {
	uv_pipe_t pipe;
	struct door *door;
	char own[RESV_NAME_MAX + 1];
	unsigned n_peers;
	bool gone; /* freed by its last peer */
	bool closed;
};

struct peer {
	uv_pipe_t pipe;
	uv_timer_t patience;
	struct peer *next, *previous;
	struct listener *listener;
	struct ucred who;
	char *buffer;
	size_t used, size;
	struct door_call *call; /* being answered */
	unsigned open_handles;
	uv_idle_t turn; /* active: it has one in the loop's next round */
	bool paused; /* nothing is read until what is there is done */
	bool tell_end; /* somebody wants to know when it goes */
	bool closing;
};

struct door {
	struct agent *agent;
	struct listener *main;
	struct peer *peers;
	unsigned n_peers;
	size_t buffered;
	struct door_call *watchers;
	json_t *unpublished; /* changes that came while one was being sent; NULL: none is */
	char read_buffer[DOOR_READ_AT_ONCE]; /* one thread, one read at a time */
	bool own_socket_file;
};

/* Once it is closed and its last peer gone. */
void listener_free_if_done(struct listener *l);

/* A listener's callback, uv_listen(): takes the connection, or drops it at once. */
void peer_accept(uv_stream_t *server, int status);
/* It is freed by the loop; its call, if one runs, answers nobody. */
void peer_close(struct peer *p);
