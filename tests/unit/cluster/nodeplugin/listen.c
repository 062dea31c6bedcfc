// SPDX-License-Identifier: Apache-2.0
/* Sockets that come, go, and are left over. */
#include "cluster/nodeplugin/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "test.h"

static uv_loop_t loop;
static char path[108];

static void begin(void)
{
	snprintf(path, sizeof(path), "/tmp/takt-listen-%d.sock", getpid());
	unlink(path);
	uv_loop_init(&loop);
}

static void end(void)
{
	uv_run(&loop, UV_RUN_DEFAULT);
	CHECK_EQ(uv_loop_close(&loop), 0);
	unlink(path);
}

static int connect_to(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(at.sun_path, path);
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

static bool is_there(void)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

/* A program that was killed leaves its socket. */
TEST(a_socket_that_is_left_over_is_replaced)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct listen *l = NULL;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	begin();
	strcpy(at.sun_path, path);
	CHECK_EQ(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	close(fd);
	CHECK_EQ(listen_open(&l, &loop, path, NULL, 0, NULL, NULL), 0);
	fd = connect_to();
	CHECK(fd >= 0);
	close(fd);
	listen_close(l);
	CHECK(!is_there());
	end();
}

TEST(what_is_no_socket_stays)
{
	struct listen *l = NULL;
	struct err err = ERR_NULL;
	int fd;

	begin();
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	CHECK_EQ(listen_open(&l, &loop, path, NULL, 0, NULL, &err), -EEXIST);
	CHECK(strstr(err.text, "is no socket"));
	CHECK(is_there());
	end();
}

TEST(the_socket_of_the_next_one_stays_when_the_one_before_ends)
{
	struct listen *before = NULL, *next = NULL;
	int fd;

	begin();
	CHECK_EQ(listen_open(&before, &loop, path, NULL, 0, NULL, NULL), 0);
	CHECK_EQ(listen_open(&next, &loop, path, NULL, 0, NULL, NULL), 0);
	listen_close(before);
	uv_run(&loop, UV_RUN_NOWAIT);
	CHECK(is_there());
	fd = connect_to();
	CHECK(fd >= 0);
	close(fd);
	listen_close(next);
	CHECK(!is_there());
	end();
}

/* RFC 9113, 4.1: three bytes of length, then the type; 7 is GOAWAY. */
static bool has_goaway(const char *in, ssize_t n)
{
	const uint8_t *at = (const uint8_t *)in;

	for (ssize_t used = 0; used + 9 <= n;) {
		if (at[used + 3] == 7)
			return true;
		used += 9 + (at[used] << 16 | at[used + 1] << 8 | at[used + 2]);
	}
	return false;
}

TEST(draining_takes_no_more_peers_and_says_goodbye_to_those_that_are_there)
{
	struct listen *l = NULL;
	char in[512];
	int fd;

	begin();
	CHECK_EQ(listen_open(&l, &loop, path, NULL, 0, NULL, NULL), 0);
	fd = connect_to();
	CHECK(fd >= 0);
	while (listen_n_peers(l) == 0)
		uv_run(&loop, UV_RUN_ONCE);
	listen_drain(l);
	CHECK(!is_there());
	CHECK_EQ(listen_n_peers(l), 1);
	CHECK(has_goaway(in, recv(fd, in, sizeof(in), MSG_DONTWAIT)));
	close(fd);
	while (listen_n_peers(l) > 0)
		uv_run(&loop, UV_RUN_ONCE);
	listen_close(l);
	end();
}
