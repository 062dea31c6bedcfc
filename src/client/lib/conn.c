// SPDX-License-Identifier: Apache-2.0
#include "client/lib/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "api/frame.h"
#include "base/cleanup.h"

#define MS_PER_SEC 1000
#define NS_PER_MS 1000000
#define IN_STEP (16 * 1024)

void conn_fini(struct conn *c)
{
	if (!c)
		return;
	if (c->fd >= 0)
		close(c->fd);
	free(c->in);
	*c = CONN_NULL;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * MS_PER_SEC + t.tv_nsec / NS_PER_MS;
}

int64_t conn_deadline(int timeout_ms)
{
	return timeout_ms < 0 ? CONN_FOREVER : now_ms() + timeout_ms;
}

/* For poll(2): -1 waits for ever. */
static int left_ms(int64_t deadline)
{
	int64_t left = deadline - now_ms();

	if (deadline == CONN_FOREVER)
		return -1;
	if (left <= 0)
		return 0;
	return left < INT_MAX ? (int)left : INT_MAX;
}

static int too_late(struct err *err)
{
	return err_set(err, -ETIMEDOUT, "the agent did not answer in time");
}

static int gone(struct err *err)
{
	return err_set(err, -ECONNRESET, "the agent went away before it answered");
}

/* 0: ready. */
static int wait_for(int fd, short events, int64_t deadline, struct err *err)
{
	struct pollfd p = { .fd = fd, .events = events };
	int r;

	do
		r = poll(&p, 1, left_ms(deadline));
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return err_set_errno(err, -errno, "wait for the agent");
	return r == 0 ? too_late(err) : 0;
}

/* Between two calls nothing comes from the agent, except its end. */
static bool is_idle(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 0;
}

static int connect_refused(int code, const char *path, struct err *err)
{
	if (code == -EACCES || code == -EPERM)
		return err_set(err, -EACCES,
			"you may not use the agent at %s: be root, or in the group takt", path);
	if (code == -EAGAIN || code == -EINPROGRESS)
		return too_late(err);
	if (code != -ENOENT && code != -ECONNREFUSED && code != -ENOTDIR)
		return err_set_errno(err, code, "connect to the agent at %s", path);
	return err_set(err, code == -ENOTDIR ? -ENOENT : code,
		"no agent answers at %s: start it (systemctl start taktd), or name another "
		"socket by --socket or TAKT_SOCKET",
		path);
}

int conn_ready(struct conn *c, const struct sockaddr_un *to, int64_t deadline, struct err *err)
{
	cleanup_fd int fd = -1;
	int left = left_ms(deadline);
	/* Zero would be "for ever": unix(7) takes SO_SNDTIMEO for a full backlog. */
	struct timeval limit = { .tv_sec = left / MS_PER_SEC,
		.tv_usec = left % MS_PER_SEC * 1000 + 1 };

	if (c->fd >= 0 && is_idle(c->fd))
		return 0;
	conn_fini(c);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set_errno(err, -errno, "make a socket");
	if (left >= 0 && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return err_set_errno(err, -errno, "limit the time of a socket");
	while (connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0)
		if (errno != EINTR)
			return connect_refused(-errno, to->sun_path, err);
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return err_set_errno(err, -errno, "make a socket that does not block");
	c->fd = TAKE_FD(fd);
	return 0;
}

static int send_all(struct conn *c, struct bytes message, int64_t deadline, struct err *err)
{
	while (message.len > 0) {
		ssize_t n = send(c->fd, message.at, message.len, MSG_NOSIGNAL);
		int r;

		if (n > 0) {
			message = bytes_skip(message, n);
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return gone(err);
		r = wait_for(c->fd, POLLOUT, deadline, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int conn_send(struct conn *c, struct bytes message, int64_t deadline, struct err *err)
{
	int r = send_all(c, message, deadline, err);

	if (r < 0)
		conn_fini(c);
	return r;
}

static int grow(struct conn *c, struct err *err)
{
	size_t size = c->in_size ? c->in_size * 2 : IN_STEP;
	char *in;

	if (c->in_len < c->in_size)
		return 0;
	in = realloc(c->in, size);
	if (!in)
		return err_set(err, -ENOMEM, "out of memory");
	c->in = in;
	c->in_size = size;
	return 0;
}

static int read_some(struct conn *c, int64_t deadline, struct err *err)
{
	ssize_t n;
	int r = grow(c, err);

	if (r < 0)
		return r;
	n = recv(c->fd, c->in + c->in_len, c->in_size - c->in_len, 0);
	if (n > 0) {
		c->in_len += n;
		return 0;
	}
	if (n < 0 && errno == EINTR)
		return 0;
	if (n == 0 || errno != EAGAIN)
		return gone(err);
	return wait_for(c->fd, POLLIN, deadline, err);
}

static int receive(struct conn *c, int64_t deadline, struct bytes *ret, struct err *err)
{
	if (c->in_used > 0) {
		c->in_len -= c->in_used;
		memmove(c->in, c->in + c->in_used, c->in_len);
		c->in_used = 0;
	}
	for (;;) {
		struct bytes in = { c->in, c->in_len };
		int r = api_frame_next_max(&in, API_REPLY_MAX, ret);

		if (r < 0)
			return err_set(err, -EPROTO, "the agent's answer is too long");
		if (r > 0) {
			c->in_used = ret->len + 1;
			return 0;
		}
		r = read_some(c, deadline, err);
		if (r < 0)
			return r;
	}
}

int conn_receive(struct conn *c, int64_t deadline, struct bytes *ret, struct err *err)
{
	int r = receive(c, deadline, ret, err);

	if (r < 0)
		conn_fini(c);
	return r;
}
