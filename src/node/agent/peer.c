// SPDX-License-Identifier: Apache-2.0
/*
 * Peers are strangers: each has a bounded buffer, a bounded queue of what it does not read, one
 * call a turn of the loop, and ten seconds to end a message that it began. Connections are counted
 * by user, and on a reservation's own socket by socket, so that nobody takes another's. What all
 * together may cost is bounded, too, and who takes the most of it goes first.
 */
#include "node/agent/door_private.h"

#include <stdlib.h>
#include <string.h>

#include "api/encode.h"
#include "api/frame.h"
#include "api/service.h"
#include "base/cleanup.h"
#include "node/agent/agent.h"
#include "node/agent/calls.h"

#define PEERS_OF_USER 128
#define PEERS_OF_OWN 16
#define PEERS_MAX 768
#define BUFFERED_MAX_BYTES (8 * 1024 * 1024) /* long messages of all peers, as they come in */
#define BUFFERED_ALWAYS_BYTES 8192 /* every peer has this, whatever the others take */
#define OWN_MESSAGE_MAX 4096
#define UNREAD_PAUSE_BYTES (64 * 1024) /* answers not read: no more calls are taken */
#define UNREAD_MAX_BYTES (1024 * 1024) /* changes that a watcher does not read */
#define UNREAD_ALL_MAX_BYTES (32 * 1024 * 1024) /* of all peers together */
#define MESSAGE_TIME_MS 10000

static void peer_go_on(struct peer *p);
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret);
static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

static void watcher_remove(struct door *d, struct door_call *call)
{
	for (struct door_call **at = &d->watchers; *at; at = &(*at)->next)
		if (*at == call) {
			*at = call->next;
			return;
		}
}

static void call_destroy(struct door_call *call)
{
	if (call->peer)
		call->peer->call = NULL;
	api_call_fini(&call->message);
	free(call);
}

static void on_peer_closed(uv_handle_t *handle)
{
	struct peer *p = handle->data;
	struct listener *l = p->listener;

	if (--p->open_handles > 0)
		return;
	l->n_peers--;
	listener_free_if_done(l);
	free(p->buffer);
	free(p);
}

/* What a buffer counts against BUFFERED_MAX_BYTES. */
static size_t counted(size_t size)
{
	return size > BUFFERED_ALWAYS_BYTES ? size : 0;
}

void peer_close(struct peer *p)
{
	struct door *d = p->listener->door;

	if (p->closing)
		return;
	p->closing = true;
	if (p->call) {
		struct door_call *call = p->call;

		call->peer = NULL;
		p->call = NULL;
		if (call->watching) {
			watcher_remove(d, call);
			call_destroy(call);
		}
	}
	if (p->previous)
		p->previous->next = p->next;
	else
		d->peers = p->next;
	if (p->next)
		p->next->previous = p->previous;
	d->n_peers--;
	d->buffered -= counted(p->size);
	uv_close((uv_handle_t *)&p->pipe, on_peer_closed);
	uv_close((uv_handle_t *)&p->patience, on_peer_closed);
	uv_close((uv_handle_t *)&p->turn, on_peer_closed);
	if (p->tell_end)
		calls_peer_gone(d->agent, p);
}

static void on_impatient(uv_timer_t *timer)
{
	peer_close(timer->data);
}

struct outgoing {
	uv_write_t write;
	char text[];
};

static void on_written(uv_write_t *write, int status)
{
	struct peer *p = write->handle->data;

	free(container_of(write, struct outgoing, write));
	if (status < 0)
		peer_close(p);
	else
		peer_go_on(p);
}

static size_t unread(const struct peer *p)
{
	return uv_stream_get_write_queue_size((const uv_stream_t *)&p->pipe);
}

/* Makes room for `len` bytes: peers that leave the most unread are dropped. */
static void drop_hogs(struct door *d, size_t len)
{
	for (;;) {
		struct peer *worst = d->peers;
		size_t sum = len;

		for (struct peer *p = d->peers; p; p = p->next) {
			sum += unread(p);
			if (unread(p) > unread(worst))
				worst = p;
		}
		if (sum <= UNREAD_ALL_MAX_BYTES || !worst || unread(worst) == 0)
			return;
		peer_close(worst);
	}
}

/* `text` is copied into the request; a peer that leaves too much unread is dropped. */
static void peer_send(struct peer *p, const char *text, size_t len)
{
	struct outgoing *o;
	uv_buf_t buf;

	if (p->closing)
		return;
	if (unread(p) > UNREAD_MAX_BYTES) {
		peer_close(p);
		return;
	}
	o = malloc(sizeof(*o) + len);
	if (!o) {
		peer_close(p);
		return;
	}
	memcpy(o->text, text, len);
	buf = uv_buf_init(o->text, len);
	if (uv_write(&o->write, (uv_stream_t *)&p->pipe, &buf, 1, on_written) < 0) {
		free(o);
		peer_close(p);
	}
}

static void call_finish(struct door_call *call, const char *text, size_t len)
{
	struct peer *p = call->peer;
	bool silent = call->message.oneway;

	call_destroy(call);
	if (!p)
		return;
	if (!text) {
		peer_close(p);
		return;
	}
	if (!silent) {
		drop_hogs(p->listener->door, len);
		peer_send(p, text, len);
	}
	peer_go_on(p);
}

void door_reply(struct door_call *call, json_t *parameters)
{
	cleanup_json json_t *owned = parameters;
	cleanup_free char *text = NULL;
	size_t len = 0;

	api_reply_encode(owned, false, &text, &len, NULL);
	call_finish(call, text, len);
}

void door_faults(struct door_call *call, const char *reason, char *const *faults, size_t n)
{
	cleanup_free char *text = NULL;
	size_t len = 0;

	api_error_encode(API_BAD_DOCUMENT, NULL, reason, faults, n, &text, &len, NULL);
	call_finish(call, text, len);
}

void door_error(struct door_call *call, enum api_error e, const char *name, const char *reason)
{
	cleanup_free char *text = NULL;
	size_t len = 0;

	api_error_encode(e, name, reason, NULL, 0, &text, &len, NULL);
	call_finish(call, text, len);
}

void door_tell_end(struct door_call *call)
{
	if (call->peer)
		call->peer->tell_end = true;
}

/* One of Varlink's "continues" replies. */
static void send_to_watchers(struct door_call *first, bool all, json_t *parameters)
{
	cleanup_free char *text = NULL;
	size_t len = 0;

	if (!parameters || api_reply_encode(parameters, true, &text, &len, NULL) < 0)
		return;
	for (struct door_call *call = first, *next; call; call = all ? next : NULL) {
		next = call->next;
		peer_send(call->peer, text, len);
	}
}

void door_watch(struct door_call *call)
{
	struct door *d = call->agent->door;
	cleanup_json json_t *empty = json_object();

	if (!call->peer) {
		call_destroy(call);
		return;
	}
	call->next = d->watchers;
	call->watching = true;
	d->watchers = call;
	send_to_watchers(call, false, empty);
}

static json_t *change_parameters(const struct change *c)
{
	return json_pack("{s:o}", "change", api_change_encode(c));
}

void door_publish(struct door *d, const struct change *c)
{
	cleanup_json json_t *changes = NULL;

	if (!d || !d->watchers)
		return;
	/* A watcher that is dropped may have owned a promise, whose end is a change. */
	if (d->unpublished) {
		json_array_append_new(d->unpublished, change_parameters(c));
		return;
	}
	changes = d->unpublished = json_array();
	json_array_append_new(changes, change_parameters(c));
	for (size_t i = 0; i < json_array_size(changes); i++) {
		drop_hogs(d, 0);
		send_to_watchers(d->watchers, true, json_array_get(changes, i));
	}
	d->unpublished = NULL;
}

bool door_is_watched(const struct door *d)
{
	return d && d->watchers;
}

static void dispatch(struct peer *p, struct bytes text)
{
	struct door_call *call = calloc(1, sizeof(*call));
	cleanup_free char *answer = NULL;
	size_t len = 0;
	int r;

	if (!call || api_call_decode(text, &call->message, NULL) < 0) {
		free(call);
		peer_close(p);
		return;
	}
	call->agent = p->listener->door->agent;
	call->peer = p;
	call->pid = p->who.pid;
	memcpy(call->own, p->listener->own, sizeof(call->own));
	p->call = call;
	r = api_service_answer(&call->message, &answer, &len, NULL);
	if (r != 0)
		call_finish(call, r > 0 ? answer : NULL, len);
	else if (call->own[0] && !follow_is_member(call->agent, call->own, call->pid))
		door_error(call, API_NOT_PERMITTED, NULL,
			"this socket is for the processes of its own container only");
	else
		calls_dispatch(call->agent, call);
}

static size_t message_max(const struct peer *p)
{
	return p->listener->own[0] ? OWN_MESSAGE_MAX : API_MESSAGE_MAX;
}

static void buffer_free(struct peer *p)
{
	p->listener->door->buffered -= counted(p->size);
	free(TAKE(p->buffer));
	p->size = 0;
}

/* Takes the first message out of the buffer and answers it, now or later. */
static void peer_take(struct peer *p, struct bytes text, struct bytes rest)
{
	cleanup_free char *copy = malloc(text.len + 1);

	if (!copy) {
		peer_close(p);
		return;
	}
	memcpy(copy, text.at, text.len);
	memmove(p->buffer, rest.at, rest.len);
	p->used = rest.len;
	if (p->used == 0)
		buffer_free(p);
	dispatch(p, (struct bytes){ copy, text.len });
}

/* One call at a time: the rest of the buffer waits for the answer, and until that is read. */
static void peer_consume(struct peer *p)
{
	struct bytes in = { p->buffer, p->used }, text;
	int r;

	if (p->call || p->closing || unread(p) > UNREAD_PAUSE_BYTES)
		return;
	r = api_frame_next_max(&in, message_max(p), &text);
	if (r < 0) {
		peer_close(p);
		return;
	}
	if (r == 0) {
		if (p->used > 0 && !uv_is_active((uv_handle_t *)&p->patience))
			uv_timer_start(&p->patience, on_impatient, MESSAGE_TIME_MS, 0);
		return;
	}
	uv_timer_stop(&p->patience);
	peer_take(p, text, in);
}

static bool has_turn(const struct peer *p)
{
	return uv_is_active((const uv_handle_t *)&p->turn);
}

static bool full(const struct peer *p)
{
	return p->used >= DOOR_READ_AT_ONCE &&
	       (p->call || has_turn(p) || unread(p) > UNREAD_PAUSE_BYTES);
}

static void on_turn(uv_idle_t *turn)
{
	struct peer *p = turn->data;

	uv_idle_stop(turn);
	peer_consume(p);
	if (!p->closing && p->paused && !full(p) &&
		uv_read_start((uv_stream_t *)&p->pipe, on_alloc, on_read) == 0)
		p->paused = false;
}

/*
 * In the loop's next round, so that a peer with many calls does not keep the others waiting. A timer
 * of 0 ms would have all its turns in this round (uv__run_timers(), before libuv 1.48).
 */
static void peer_go_on(struct peer *p)
{
	if (p->closing || p->call || (p->used == 0 && !p->paused))
		return;
	uv_idle_start(&p->turn, on_turn);
}

static bool peer_keep(struct peer *p, const char *bytes, size_t n)
{
	struct door *d = p->listener->door;

	if (p->used + n > p->size) {
		size_t size = p->used + n < 1024 ? 1024 : 2 * (p->used + n);
		size_t others = d->buffered - counted(p->size);
		char *grown;

		if (p->used + n > message_max(p) + DOOR_READ_AT_ONCE ||
			(counted(size) && others + size > BUFFERED_MAX_BYTES))
			return false;
		grown = realloc(p->buffer, size);
		if (!grown)
			return false;
		d->buffered = others + counted(size);
		p->buffer = grown;
		p->size = size;
	}
	memcpy(p->buffer + p->used, bytes, n);
	p->used += n;
	return true;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	struct peer *p = handle->data;

	*ret = uv_buf_init(p->listener->door->read_buffer, DOOR_READ_AT_ONCE);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct peer *p = stream->data;

	if (n == 0 || p->closing)
		return;
	if (n < 0 || !peer_keep(p, buf->base, n)) {
		peer_close(p);
		return;
	}
	if (!has_turn(p))
		peer_consume(p);
	if (p->closing || !full(p))
		return;
	if (p->call && p->call->watching) {
		peer_close(p); /* it would never be done */
		return;
	}
	uv_read_stop(stream);
	p->paused = true;
}

static unsigned peers_of(const struct door *d, uid_t uid)
{
	unsigned n = 0;

	for (const struct peer *p = d->peers; p; p = p->next)
		n += !p->listener->own[0] && p->who.uid == uid;
	return n;
}

static bool too_many(const struct peer *p)
{
	const struct door *d = p->listener->door;

	if (p->listener->own[0])
		return p->listener->n_peers > PEERS_OF_OWN;
	return peers_of(d, p->who.uid) > PEERS_OF_USER ||
	       (d->n_peers > PEERS_MAX && p->who.uid != 0);
}

static bool peer_identify(struct peer *p)
{
	socklen_t len = sizeof(p->who);
	uv_os_fd_t fd;

	return uv_fileno((uv_handle_t *)&p->pipe, &fd) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &p->who, &len) == 0;
}

void peer_accept(uv_stream_t *server, int status)
{
	struct listener *l = server->data;
	struct door *d = l->door;
	struct peer *p;

	if (status < 0)
		return;
	p = calloc(1, sizeof(*p));
	if (!p)
		return;
	p->listener = l;
	p->pipe.data = p->patience.data = p->turn.data = p;
	p->open_handles = 3;
	uv_pipe_init(&d->agent->loop, &p->pipe, 0);
	uv_timer_init(&d->agent->loop, &p->patience);
	uv_idle_init(&d->agent->loop, &p->turn);
	p->next = d->peers;
	if (d->peers)
		d->peers->previous = p;
	d->peers = p;
	d->n_peers++;
	l->n_peers++;
	if (uv_accept(server, (uv_stream_t *)&p->pipe) < 0 || !peer_identify(p) || too_many(p) ||
		uv_read_start((uv_stream_t *)&p->pipe, on_alloc, on_read) < 0)
		peer_close(p);
}
