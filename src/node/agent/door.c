// SPDX-License-Identifier: Apache-2.0
/*
 * Peers are strangers: each has a bounded buffer, a bounded queue of what it does not read, one
 * call at a time, and ten seconds to end a message that it began. Connections are counted by user,
 * and on a reservation's own socket by socket, so that nobody takes another's.
 */
#include "node/agent/door.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <fcntl.h>

#include "api/encode.h"
#include "api/frame.h"
#include "api/service.h"
#include "base/cleanup.h"
#include "node/agent/agent.h"
#include "node/agent/notify.h"

#define PEERS_OF_USER 128
#define PEERS_OF_OWN 16
#define PEERS_MAX 768
#define BUFFERED_MAX_BYTES (8 * 1024 * 1024) /* half messages of all peers together */
#define OWN_MESSAGE_MAX 4096
#define UNREAD_MAX_BYTES (1024 * 1024) /* answers that a peer does not read */
#define MESSAGE_TIME_MS 10000
#define READ_AT_ONCE 16384

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
	bool closing;
};

struct door {
	struct agent *agent;
	struct listener *main;
	struct peer *peers;
	unsigned n_peers;
	size_t buffered;
	struct door_call *watchers;
	char read_buffer[READ_AT_ONCE]; /* one thread, one read at a time */
	bool own_socket_file;
};

static void peer_consume(struct peer *p);

static void listener_free_if_done(struct listener *l)
{
	if (l->closed && l->n_peers == 0)
		free(l);
}

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

static void peer_close(struct peer *p)
{
	struct door *d = p->listener->door;

	if (p->closing)
		return;
	p->closing = true;
	if (p->call) {
		struct door_call *call = p->call;

		call->peer = NULL;
		p->call = NULL;
		if (call->message.more) {
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
	d->buffered -= p->size;
	uv_close((uv_handle_t *)&p->pipe, on_peer_closed);
	uv_close((uv_handle_t *)&p->patience, on_peer_closed);
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
}

/* `text` is copied into the request; a peer that leaves too much unread is dropped. */
static void peer_send(struct peer *p, const char *text, size_t len)
{
	struct outgoing *o;
	uv_buf_t buf;

	if (p->closing)
		return;
	if (uv_stream_get_write_queue_size((uv_stream_t *)&p->pipe) > UNREAD_MAX_BYTES) {
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
	if (!silent)
		peer_send(p, text, len);
	if (!p->closing)
		peer_consume(p);
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

/* A list of JSON values as Varlink's "continues" replies. */
static void watcher_send(struct door_call *call, json_t *parameters)
{
	cleanup_free char *text = NULL;
	size_t len = 0;

	if (parameters && api_reply_encode(parameters, true, &text, &len, NULL) == 0)
		peer_send(call->peer, text, len);
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
	d->watchers = call;
	watcher_send(call, empty);
}

void door_publish(struct door *d, const struct change *c)
{
	cleanup_json json_t *parameters = NULL;

	if (!d || !d->watchers)
		return;
	parameters = json_pack("{s:o}", "change", api_change_encode(c));
	for (struct door_call *call = d->watchers, *next; call; call = next) {
		next = call->next;
		watcher_send(call, parameters);
	}
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
	else
		calls_dispatch(call->agent, call);
}

static size_t message_max(const struct peer *p)
{
	return p->listener->own[0] ? OWN_MESSAGE_MAX : API_MESSAGE_MAX;
}

/* One call at a time: the rest of the buffer waits for the answer. */
static void peer_consume(struct peer *p)
{
	struct bytes in = { p->buffer, p->used }, text;
	int r;

	if (p->call || p->closing)
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
	{
		cleanup_free char *copy = malloc(text.len + 1);
		struct bytes message = { copy, text.len };

		if (!copy) {
			peer_close(p);
			return;
		}
		memcpy(copy, text.at, text.len);
		memmove(p->buffer, in.at, in.len);
		p->used = in.len;
		dispatch(p, message); /* may come back here, when it answers at once */
	}
}

static bool peer_keep(struct peer *p, const char *bytes, size_t n)
{
	struct door *d = p->listener->door;

	if (p->used + n > p->size) {
		size_t size = p->used + n < 1024 ? 1024 : 2 * (p->used + n);
		char *grown;

		if (p->used + n > message_max(p) + READ_AT_ONCE ||
			d->buffered + size - p->size > BUFFERED_MAX_BYTES)
			return false;
		grown = realloc(p->buffer, size);
		if (!grown)
			return false;
		d->buffered += size - p->size;
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

	*ret = uv_buf_init(p->listener->door->read_buffer, READ_AT_ONCE);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct peer *p = stream->data;

	if (n == 0 || p->closing)
		return;
	if (n < 0 || !peer_keep(p, buf->base, n))
		peer_close(p);
	else
		peer_consume(p);
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

static void on_connection(uv_stream_t *server, int status)
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
	p->pipe.data = p->patience.data = p;
	p->open_handles = 2;
	uv_pipe_init(&d->agent->loop, &p->pipe, 0);
	uv_timer_init(&d->agent->loop, &p->patience);
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

static void on_listener_closed(uv_handle_t *handle)
{
	struct listener *l = handle->data;

	l->closed = true;
	listener_free_if_done(l);
}

void door_unlisten(struct listener *l)
{
	struct peer *next;

	if (!l || l->gone)
		return;
	l->gone = true;
	for (struct peer *p = l->door->peers; p; p = next) {
		next = p->next;
		if (p->listener == l)
			peer_close(p);
	}
	uv_close((uv_handle_t *)&l->pipe, on_listener_closed);
}

static struct listener *listener_create(struct door *d)
{
	struct listener *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->door = d;
	l->pipe.data = l;
	uv_pipe_init(&d->agent->loop, &l->pipe, 0);
	return l;
}

/*
 * By way of the folder's descriptor, so that a long path does not meet the 107 bytes of
 * unix(7). A socket that is there is one that a killed agent left.
 */
static int bind_in(struct listener *l, const char *folder, const char *file, struct err *err)
{
	cleanup_fd int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char path[64];
	int r;

	if (dir < 0)
		return err_set_errno(err, errno, "open %s", folder);
	unlinkat(dir, file, 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir, file);
	r = uv_pipe_bind(&l->pipe, path);
	if (r == 0)
		r = uv_listen((uv_stream_t *)&l->pipe, 128, on_connection);
	return r < 0 ? err_set_errno(err, r, "listen on %s/%s", folder, file) : 0;
}

int door_listen_own(struct agent *a, struct promise *p, struct err *err)
{
	char folder[CONFIG_PATH_MAX], path[CONFIG_PATH_MAX + 16];
	struct listener *l = listener_create(a->door);
	int r;

	if (!l)
		return err_set(err, -ENOMEM, "out of memory");
	memcpy(l->own, p->request.name, sizeof(l->own));
	config_own_dir(&a->config, p->request.name, folder);
	if (mkdir(folder, 0755) < 0 && errno != EEXIST)
		r = err_set_errno(err, errno, "make %s", folder);
	else
		r = bind_in(l, folder, "takt.sock", err);
	if (r < 0) {
		door_unlisten(l);
		return r;
	}
	/* Whoever sees the folder is inside the container, whatever user it runs as there. */
	snprintf(path, sizeof(path), "%s/takt.sock", folder);
	chmod(path, 0666);
	p->binding->listener = l;
	return 0;
}

static bool answers(const char *path)
{
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(address.sun_path))
		return false;
	strcpy(address.sun_path, path);
	return fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

static int bind_main(struct door *d, struct err *err)
{
	const struct config *c = &d->agent->config;
	char folder[CONFIG_PATH_MAX];
	struct group *g = getgrnam(c->group);
	char *slash;
	int r;

	if (answers(c->socket))
		return err_set(err, -EADDRINUSE,
			"another taktd answers on %s: stop it first, or "
			"give this one its own --socket",
			c->socket);
	memcpy(folder, c->socket, sizeof(folder));
	slash = strrchr(folder, '/');
	*slash = '\0';
	if (folder[0] && mkdir(folder, 0755) < 0 && errno != EEXIST)
		return err_set_errno(err, errno, "make %s", folder);
	r = bind_in(d->main, folder[0] ? folder : "/", slash + 1, err);
	if (r < 0)
		return r;
	d->own_socket_file = true;
	if (chmod(c->socket, 0660) < 0 || (g && chown(c->socket, -1, g->gr_gid) < 0))
		return err_set_errno(err, errno, "set the mode of %s", c->socket);
	return 0;
}

static int listen_on(struct door *d, int fd, struct err *err)
{
	int r = uv_pipe_open(&d->main->pipe, fd);

	if (r == 0)
		r = uv_listen((uv_stream_t *)&d->main->pipe, 128, on_connection);
	return r < 0 ? err_set_errno(err, r, "listen on the socket that systemd gave") : 0;
}

int door_open(struct agent *a, struct door **ret, struct err *err)
{
	struct door *d = calloc(1, sizeof(*d));
	int fd = notify_listen_fd(), r;

	if (!d)
		return err_set(err, -ENOMEM, "out of memory");
	d->agent = a;
	d->main = listener_create(d);
	if (!d->main) {
		free(d);
		return err_set(err, -ENOMEM, "out of memory");
	}
	*ret = d;
	r = fd < 0 ? bind_main(d, err) : listen_on(d, fd, err);
	if (r == 0 && mkdir(a->config.run_dir, 0755) < 0 && errno != EEXIST)
		r = err_set_errno(err, errno, "make %s", a->config.run_dir);
	return r;
}

void door_close(struct door *d)
{
	if (!d)
		return;
	while (d->peers)
		peer_close(d->peers);
	if (d->own_socket_file)
		unlink(d->agent->config.socket);
	door_unlisten(d->main);
}

void door_free(struct door *d)
{
	free(d);
}
