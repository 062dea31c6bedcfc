// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/multi.h"

#include <errno.h>

#include "base/cleanup.h"

struct kube_multi_socket {
	struct kube_multi *multi;
	struct kube_multi_socket *previous, *next;
	uv_poll_t poll;
	curl_socket_t fd;
	int events; /* that libcurl waits for */
};

static void act(struct kube_multi *m, curl_socket_t fd, int events)
{
	int running;

	curl_multi_socket_action(m->curl, fd, events, &running);
	m->turned(m);
}

static void on_timer(uv_timer_t *timer)
{
	act(container_of(timer, struct kube_multi, timer), CURL_SOCKET_TIMEOUT, 0);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct kube_multi_socket *s = poll->data;
	int flags = 0;

	/*
	 * libuv has stopped the handle on the socket's error (uv__poll_io()). Without flags libcurl
	 * looks itself: it reads what came before the error, or begins anew on another connection.
	 */
	if (status < 0)
		uv_poll_start(poll, s->events, on_poll);
	if (events & UV_READABLE)
		flags |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		flags |= CURL_CSELECT_OUT;
	act(s->multi, s->fd, flags);
}

static int on_timer_wanted(CURLM *curl, long timeout_ms, void *data)
{
	struct kube_multi *m = data;

	(void)curl;
	if (timeout_ms < 0)
		return uv_timer_stop(&m->timer);
	return uv_timer_start(&m->timer, on_timer, (uint64_t)timeout_ms, 0);
}

static void handle_gone(struct kube_multi *m)
{
	if (--m->open_handles == 0 && m->closed)
		m->closed(m);
}

static void on_socket_closed(uv_handle_t *handle)
{
	struct kube_multi_socket *s = handle->data;
	struct kube_multi *m = s->multi;

	free(s);
	handle_gone(m);
}

static void on_timer_closed(uv_handle_t *handle)
{
	handle_gone(container_of((uv_timer_t *)handle, struct kube_multi, timer));
}

static void socket_drop(struct kube_multi_socket *s)
{
	if (s->previous)
		s->previous->next = s->next;
	else
		s->multi->sockets = s->next;
	if (s->next)
		s->next->previous = s->previous;
	uv_poll_stop(&s->poll);
	uv_close((uv_handle_t *)&s->poll, on_socket_closed);
}

static struct kube_multi_socket *socket_add(struct kube_multi *m, curl_socket_t fd)
{
	struct kube_multi_socket *s = calloc(1, sizeof(*s));

	if (!s || uv_poll_init_socket(m->loop, &s->poll, fd) < 0) {
		free(s);
		return NULL;
	}
	s->multi = m;
	s->fd = fd;
	s->poll.data = s;
	s->next = m->sockets;
	if (m->sockets)
		m->sockets->previous = s;
	m->sockets = s;
	m->open_handles++;
	curl_multi_assign(m->curl, fd, s);
	return s;
}

static int on_socket_wanted(CURL *easy, curl_socket_t fd, int what, void *data, void *socket)
{
	struct kube_multi *m = data;
	struct kube_multi_socket *s = socket;
	int events = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (s)
			socket_drop(s);
		curl_multi_assign(m->curl, fd, NULL);
		return 0;
	}
	if (!s)
		s = socket_add(m, fd);
	if (what & CURL_POLL_IN)
		events |= UV_READABLE;
	if (what & CURL_POLL_OUT)
		events |= UV_WRITABLE;
	/* Without memory for it the transfer waits for its timeout; -1 would end all, for ever. */
	if (s) {
		s->events = events;
		uv_poll_start(&s->poll, events, on_poll);
	}
	return 0;
}

int kube_multi_init(
	struct kube_multi *m, uv_loop_t *loop, void (*turned)(struct kube_multi *), struct err *err)
{
	*m = (struct kube_multi){ .loop = loop, .turned = turned };
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(err, -ENOMEM, "libcurl does not start");
	m->curl = curl_multi_init();
	if (!m->curl)
		return err_set(err, -ENOMEM, "out of memory");
	curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, on_socket_wanted);
	curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m);
	curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
	curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m);
	uv_timer_init(loop, &m->timer);
	m->open_handles = 1;
	return 0;
}

void kube_multi_keep(struct kube_multi *m, unsigned connections)
{
	curl_multi_setopt(m->curl, CURLMOPT_MAXCONNECTS, (long)connections);
}

void kube_multi_close(struct kube_multi *m, void (*closed)(struct kube_multi *))
{
	m->closed = closed;
	curl_multi_cleanup(TAKE(m->curl));
	while (m->sockets)
		socket_drop(m->sockets);
	uv_close((uv_handle_t *)&m->timer, on_timer_closed);
}
