// SPDX-License-Identifier: Apache-2.0
#include "client/hook/call.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

#include "base/cleanup.h"

#define AWAY_NS (2 * NSEC_PER_SEC)
#define AWAY_PAUSE_NS (20 * NSEC_PER_MSEC)

nsec_t call_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (nsec_t)t.tv_sec * NSEC_PER_SEC + (nsec_t)t.tv_nsec;
}

static nsec_t left_ns(nsec_t deadline_ns)
{
	nsec_t now = call_now_ns();

	return deadline_ns > now ? deadline_ns - now : 0;
}

/* -EAGAIN at the deadline. */
static int wait_readable(int fd, nsec_t deadline_ns)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	nsec_t left = left_ns(deadline_ns);
	struct timespec t = { (time_t)(left / NSEC_PER_SEC), (long)(left % NSEC_PER_SEC) };
	int n = ppoll(&p, 1, &t, NULL);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n == 0 ? -EAGAIN : 0;
}

enum hook_exit call_read_state(
	int fd, nsec_t deadline_ns, char buf[static STATE_MAX], struct bytes *ret, struct err *err)
{
	size_t len = 0;

	while (len < STATE_MAX) {
		int r = wait_readable(fd, deadline_ns);
		ssize_t n = r < 0 ? r : read(fd, buf + len, STATE_MAX - len);

		if (r < 0 || (n < 0 && errno != EINTR)) {
			err_set(err, -EINVAL,
				"the container's state does not come on standard input: takt-hook "
				"is for container runtimes to call");
			return HOOK_USAGE;
		}
		if (n == 0) {
			*ret = (struct bytes){ buf, len };
			return HOOK_OK;
		}
		len += n > 0 ? (size_t)n : 0;
	}
	err_set(err, -EMSGSIZE, "the container's state is longer than %d bytes", STATE_MAX - 1);
	return HOOK_USAGE;
}

static enum hook_exit unreachable(const char *path, int code, struct err *err)
{
	switch (code) {
	case -ENOENT:
	case -ECONNREFUSED:
		err_set(err, code,
			"taktd is not running at %s: start it (systemctl start taktd), then start "
			"the container again",
			path);
		return HOOK_UNAVAILABLE;
	case -EACCES:
	case -EPERM:
		err_set(err, code,
			"no permission to speak to taktd at %s: start the container as root, or as "
			"a member of the group takt",
			path);
		return HOOK_DENIED;
	case -EAGAIN:
		err_set(err, code,
			"taktd at %s does not answer in time: look at its log (journalctl -u "
			"taktd), then start the container again",
			path);
		return HOOK_UNAVAILABLE;
	case -EPIPE:
	case -ECONNRESET:
		err_set(err, code,
			"taktd at %s hung up without an answer: look at its log (journalctl -u "
			"taktd), then start the container again",
			path);
		return HOOK_UNAVAILABLE;
	default:
		err_set_errno(err, code, "cannot speak to taktd at %s", path);
		return HOOK_UNAVAILABLE;
	}
}

/*
 * SO_SNDTIMEO bounds connect(2) as well, which waits where the listener's queue is full: a
 * non-blocking one could not be waited for (unix(7), socket(7)).
 */
static int socket_connect(const char *path, nsec_t deadline_ns, int *ret_fd)
{
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	nsec_t left = left_ns(deadline_ns);
	struct timeval t = { (time_t)(left / NSEC_PER_SEC),
		(suseconds_t)(left % NSEC_PER_SEC / NSEC_PER_USEC) + 1 };

	if (fd < 0)
		return -errno;
	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)) < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/*
 * A taktd that is started anew, or replaced by the one that stands by, is away for less than a
 * second: no reason to fail a container.
 */
static int connect_patiently(const char *path, nsec_t deadline_ns, int *ret_fd)
{
	static const struct timespec pause = { .tv_nsec = AWAY_PAUSE_NS };
	nsec_t until_ns = call_now_ns() + AWAY_NS;
	int r;

	if (until_ns > deadline_ns)
		until_ns = deadline_ns;
	while ((r = socket_connect(path, deadline_ns, ret_fd)) == -ENOENT || r == -ECONNREFUSED) {
		if (call_now_ns() >= until_ns)
			break;
		nanosleep(&pause, NULL);
	}
	return r;
}

static int message_send(int fd, struct bytes message)
{
	while (message.len > 0) {
		ssize_t n = send(fd, message.at, message.len, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			message = bytes_skip(message, (size_t)n);
	}
	return 0;
}

/* Up to the first NUL. -EMSGSIZE: there is none in BIND_REPLY_MAX bytes. */
static int message_receive(int fd, nsec_t deadline_ns, char *buf, struct bytes *ret)
{
	size_t len = 0;

	while (len < BIND_REPLY_MAX) {
		int r = wait_readable(fd, deadline_ns);
		ssize_t n = r < 0 ? r : recv(fd, buf + len, BIND_REPLY_MAX - len, 0);
		char *end;

		if (r < 0)
			return r;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return -ECONNRESET;
		end = n > 0 ? memchr(buf + len, '\0', (size_t)n) : NULL;
		len += n > 0 ? (size_t)n : 0;
		if (end) {
			*ret = (struct bytes){ buf, (size_t)(end - buf) };
			return 0;
		}
	}
	return -EMSGSIZE;
}

enum hook_exit call_agent(const char *path, nsec_t deadline_ns, struct bytes message,
	char buf[static BIND_REPLY_MAX], struct bytes *ret, struct err *err)
{
	cleanup_fd int fd = -1;
	int r = connect_patiently(path, deadline_ns, &fd);

	if (r == 0)
		r = message_send(fd, message);
	if (r == 0)
		r = message_receive(fd, deadline_ns, buf, ret);
	return r < 0 ? unreachable(path, r, err) : HOOK_OK;
}
