// SPDX-License-Identifier: Apache-2.0
#include "node/agent/door.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "node/agent/agent.h"
#include "node/agent/door_private.h"
#include "node/agent/notify.h"

void listener_free_if_done(struct listener *l)
{
	if (l->closed && l->n_peers == 0)
		free(l);
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

/* A socket that is there is one that a killed agent left; anything else is somebody's. */
static int unlink_socket(int dir, const char *folder, const char *file, struct err *err)
{
	struct stat st;

	if (fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0
				       : err_set_errno(err, errno, "look at %s/%s", folder, file);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, -EEXIST,
			"%s/%s is there and is not a socket: move it away, or name another path",
			folder, file);
	unlinkat(dir, file, 0);
	return 0;
}

/*
 * By way of the folder's descriptor, so that a long path does not meet the 107 bytes of
 * unix(7).
 */
static int bind_in(struct listener *l, const char *folder, const char *file, struct err *err)
{
	cleanup_fd int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char path[64];
	int r;

	if (dir < 0)
		return err_set_errno(err, errno, "open %s", folder);
	r = unlink_socket(dir, folder, file, err);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir, file);
	fault_point("door.unlinked");
	r = uv_pipe_bind(&l->pipe, path);
	fault_point("door.bound");
	if (r == 0)
		r = uv_listen((uv_stream_t *)&l->pipe, 128, peer_accept);
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
	p->listener = l;
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

static int socket_option(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) < 0 ? -1 : value;
}

/* As sd_is_socket_unix(3) asks; libuv would listen on one of TCP as well. */
static bool is_listening(int fd)
{
	return socket_option(fd, SO_DOMAIN) == AF_UNIX &&
	       socket_option(fd, SO_TYPE) == SOCK_STREAM && socket_option(fd, SO_ACCEPTCONN) == 1;
}

static int listen_on(struct door *d, int fd, struct err *err)
{
	int r;

	if (!is_listening(fd))
		return err_set(err, -EINVAL,
			"file descriptor %d, named by LISTEN_FDS, is no listening unix stream socket: "
			"see ListenStream= in taktd.socket",
			fd);
	r = uv_pipe_open(&d->main->pipe, fd);
	if (r == 0)
		r = uv_listen((uv_stream_t *)&d->main->pipe, 128, peer_accept);
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
	/* Runtimes mount what is in it, as root; nobody else has to get there from outside. */
	if (r == 0 && mkdir(a->config.run_dir, 0700) < 0 && errno != EEXIST)
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
