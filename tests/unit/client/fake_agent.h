/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An agent for tests of clients: it listens on a socket of its own and says what the test wrote
 * down, one step for each message that comes. Included by the tests of libtakt and of the verbs.
 */
#pragma once

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FAKE_MESSAGE_MAX 8192
#define FAKE_STEPS_MAX 16

/* What is said after a message; NULL: nothing, and with `hang_up` the connection ends. */
struct fake_step {
	const char *say; /* a whole message without its NUL */
	const char *then; /* another one behind it */
	bool hang_up;
};

struct fake_agent {
	char folder[32], path[64];
	int listening;
	pthread_t thread;
	struct fake_step steps[FAKE_STEPS_MAX]; /* the first that is all empty ends them */
	char heard[FAKE_STEPS_MAX][FAKE_MESSAGE_MAX];
	size_t n;
};

/* False: the client went away. */
static bool fake_hear(int fd, char text[static FAKE_MESSAGE_MAX])
{
	for (size_t len = 0; len < FAKE_MESSAGE_MAX; len++) {
		if (read(fd, text + len, 1) != 1)
			return false;
		if (!text[len])
			return true;
	}
	return false;
}

static void fake_say(int fd, const char *text)
{
	if (text && send(fd, text, strlen(text) + 1, MSG_NOSIGNAL) < 0 && errno != EPIPE)
		perror("fake agent");
}

static bool fake_is_end(const struct fake_step *s)
{
	return !s->say && !s->hang_up;
}

static void *fake_run(void *data)
{
	struct fake_agent *a = data;
	int fd = -1;

	while (!fake_is_end(&a->steps[a->n])) {
		const struct fake_step *s = &a->steps[a->n];

		if (fd < 0)
			fd = accept(a->listening, NULL, NULL);
		if (fd < 0)
			return NULL;
		if (!fake_hear(fd, a->heard[a->n])) {
			close(fd);
			fd = -1;
			continue;
		}
		fake_say(fd, s->say);
		fake_say(fd, s->then);
		if (s->hang_up) {
			close(fd);
			fd = -1;
		}
		__atomic_add_fetch(&a->n, 1, __ATOMIC_RELEASE);
	}
	/* Stay until the client goes, so that it never sees an end that nobody wrote down. */
	if (fd >= 0 && fake_hear(fd, a->heard[FAKE_STEPS_MAX - 1]))
		fprintf(stderr, "fake agent: one message too many\n");
	if (fd >= 0)
		close(fd);
	return NULL;
}

static void fake_start(struct fake_agent *a)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	strcpy(a->folder, "/tmp/takt-test-XXXXXX");
	if (!mkdtemp(a->folder))
		abort();
	snprintf(a->path, sizeof(a->path), "%s/takt.sock", a->folder);
	strcpy(to.sun_path, a->path);
	a->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(a->listening, (struct sockaddr *)&to, sizeof(to)) < 0 ||
		listen(a->listening, 4) < 0 || pthread_create(&a->thread, NULL, fake_run, a) != 0)
		abort();
}

/* After the client has gone. */
static void fake_stop(struct fake_agent *a)
{
	shutdown(a->listening, SHUT_RDWR);
	pthread_join(a->thread, NULL);
	close(a->listening);
	unlink(a->path);
	rmdir(a->folder);
}
