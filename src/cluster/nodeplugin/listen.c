// SPDX-License-Identifier: Apache-2.0
#include "cluster/nodeplugin/listen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

#define PEERS_MAX 16 /* a kubelet has one or two */
#define READ_BYTES (64 * 1024)

struct peer {
	uv_pipe_t pipe;
	uv_idle_t flush; /* runs after a handler has answered; while it waits, the loop does not */
	uv_write_t write;
	struct listen *listen;
	struct peer *next;
	struct grpc_conn *conn;
	bool writing, closing;
	int open_handles;
	char in[READ_BYTES];
};

struct listen {
	uv_pipe_t pipe;
	struct grpc_service service;
	struct sockaddr_un at;
	struct stat file; /* the socket that we made */
	void *user;
	struct peer *peers;
	unsigned n_peers;
	bool draining; /* the listener is gone or going */
	bool given_up; /* by its owner */
	bool closed;
};

static void peer_flush(struct peer *p);

static void free_if_done(struct listen *l)
{
	if (l->closed && l->given_up && l->n_peers == 0)
		free(l);
}

static void on_peer_closed(uv_handle_t *handle)
{
	struct peer *p = handle->data;
	struct listen *l = p->listen;

	if (--p->open_handles > 0)
		return;
	l->n_peers--;
	free(p);
	free_if_done(l);
}

static void peer_close(struct peer *p)
{
	if (p->closing)
		return;
	p->closing = true;
	for (struct peer **at = &p->listen->peers; *at; at = &(*at)->next)
		if (*at == p) {
			*at = p->next;
			break;
		}
	grpc_conn_destroy(TAKE(p->conn));
	uv_close((uv_handle_t *)&p->pipe, on_peer_closed);
	uv_close((uv_handle_t *)&p->flush, on_peer_closed);
}

static void on_written(uv_write_t *write, int status)
{
	struct peer *p = write->handle->data;

	p->writing = false;
	if (status < 0)
		peer_close(p);
	else if (!p->closing)
		peer_flush(p);
}

/* A connection that fails is closed: the kubelet comes again. */
static void peer_flush(struct peer *p)
{
	struct bytes out;
	uv_buf_t buf;
	int r;

	if (p->writing || p->closing)
		return;
	r = grpc_conn_send(p->conn, &out, NULL);
	if (r < 0 || (r == 0 && !grpc_conn_want_read(p->conn) && !grpc_conn_want_write(p->conn))) {
		peer_close(p);
		return;
	}
	if (r == 0)
		return;
	buf = uv_buf_init((char *)out.at, out.len);
	p->writing = true;
	if (uv_write(&p->write, (uv_stream_t *)&p->pipe, &buf, 1, on_written) < 0)
		peer_close(p);
}

static void on_idle(uv_idle_t *idle)
{
	struct peer *p = idle->data;

	uv_idle_stop(idle);
	peer_flush(p);
}

static void wake(void *user)
{
	struct peer *p = user;

	uv_idle_start(&p->flush, on_idle);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	struct peer *p = handle->data;

	*ret = uv_buf_init(p->in, sizeof(p->in));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct peer *p = stream->data;

	if (n == 0 || p->closing)
		return;
	if (n < 0 || grpc_conn_receive(p->conn, (struct bytes){ buf->base, n }, NULL) < 0)
		peer_close(p);
	else
		peer_flush(p);
}

static void on_connection(uv_stream_t *server, int status)
{
	struct listen *l = server->data;
	struct peer *p = status < 0 ? NULL : calloc(1, sizeof(*p));

	if (!p)
		return;
	p->listen = l;
	p->pipe.data = p->flush.data = p;
	p->open_handles = 2;
	uv_pipe_init(server->loop, &p->pipe, 0);
	uv_idle_init(server->loop, &p->flush);
	p->next = l->peers;
	l->peers = p;
	l->n_peers++;
	if (uv_accept(server, (uv_stream_t *)&p->pipe) < 0 || l->n_peers > PEERS_MAX ||
		grpc_conn_create(&p->conn, &l->service, p, NULL) < 0 ||
		uv_read_start((uv_stream_t *)&p->pipe, on_alloc, on_read) < 0)
		peer_close(p);
	else
		peer_flush(p);
}

static int remove_old(const char *path, struct err *err)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_set_errno(err, errno, "look at %s", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, -EEXIST, "%s is there and is no socket: move it away", path);
	return unlink(path) < 0 ? err_set_errno(err, errno, "remove the old %s", path) : 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct listen *l = handle->data;

	l->closed = true;
	free_if_done(l);
}

/* Not uv_pipe_bind(): libuv removes what stands at the path when it closes, whoever made it. */
static int bind_socket(struct listen *l)
{
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0 || bind(fd, (struct sockaddr *)&l->at, sizeof(l->at)) < 0 ||
		lstat(l->at.sun_path, &l->file) < 0)
		return -errno;
	r = uv_pipe_open(&l->pipe, fd);
	if (r == 0)
		TAKE_FD(fd);
	return r;
}

/* Of two takt-dra at one path the newer has replaced our socket. */
static void remove_own(struct listen *l)
{
	struct stat now;

	if (lstat(l->at.sun_path, &now) == 0 && now.st_dev == l->file.st_dev &&
		now.st_ino == l->file.st_ino)
		unlink(l->at.sun_path);
}

int listen_open(struct listen **ret, uv_loop_t *loop, const char *path,
	const struct grpc_method *methods, size_t n_methods, void *user, struct err *err)
{
	struct listen *l;
	int r;

	if (strlen(path) >= sizeof(l->at.sun_path))
		return err_set(err, -ENAMETOOLONG, "the path of a socket is too long: %s", path);
	r = remove_old(path, err);
	if (r < 0)
		return r;
	l = calloc(1, sizeof(*l));
	if (!l)
		return err_set(err, -ENOMEM, "out of memory");
	l->at.sun_family = AF_UNIX;
	strcpy(l->at.sun_path, path);
	l->service = (struct grpc_service){ methods, n_methods, wake };
	l->user = user;
	l->pipe.data = l;
	uv_pipe_init(loop, &l->pipe, 0);
	r = bind_socket(l);
	if (r == 0)
		r = uv_listen((uv_stream_t *)&l->pipe, PEERS_MAX, on_connection);
	if (r < 0) {
		err_set_errno(err, r, "listen on %s", path);
		l->given_up = true;
		uv_close((uv_handle_t *)&l->pipe, on_closed);
		return r;
	}
	*ret = l;
	return 0;
}

void *listen_user(void *peer)
{
	return ((struct peer *)peer)->listen->user;
}

unsigned listen_n_peers(const struct listen *l)
{
	return l ? l->n_peers : 0;
}

static void stop_listening(struct listen *l)
{
	if (l->draining)
		return;
	l->draining = true;
	remove_own(l);
	uv_close((uv_handle_t *)&l->pipe, on_closed);
}

void listen_drain(struct listen *l)
{
	struct peer *next;

	if (!l)
		return;
	stop_listening(l);
	for (struct peer *p = l->peers; p; p = next) {
		next = p->next;
		if (grpc_conn_shutdown(p->conn, NULL) < 0)
			peer_close(p);
		else
			peer_flush(p);
	}
}

void listen_close(struct listen *l)
{
	struct peer *next;

	if (!l)
		return;
	stop_listening(l);
	for (struct peer *p = l->peers; p; p = next) {
		next = p->next;
		peer_close(p);
	}
	l->given_up = true;
	free_if_done(l);
}
