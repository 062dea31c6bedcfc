// SPDX-License-Identifier: Apache-2.0
/*
 * Calls wait in one line. A connection that is idle takes the first of it; where none is, another
 * one is opened, up to DOOR_CONNECTIONS. taktd answers a connection's calls in order, so there is
 * one at a time on each: a slow one (Node looks at the whole machine) holds up itself only.
 */
#include "cluster/nodeplugin/door.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "api/frame.h"
#include "api/message.h"
#include "base/cleanup.h"

#define READ_STEP 16384

struct job {
	struct job *next;
	char *text; /* the call, with its NUL */
	size_t len;
	door_done *done;
	void *data;
	bool again; /* it was sent once, and lost with its connection */
};

struct link {
	struct door *door; /* NULL: the door is gone */
	struct link *next;
	uv_pipe_t pipe;
	uv_timer_t patience;
	uv_connect_t connect;
	uv_write_t write;
	unsigned open_handles;
	bool ready, closing;
	bool writing; /* `write` is in use: it may be so for a moment after the answer */
	bool used; /* it has answered a call */
	struct job *job; /* being answered */
	char *in;
	size_t used_bytes, size;
};

struct door {
	uv_loop_t *loop;
	const char *socket;
	struct link *links;
	unsigned n_links;
	struct job *first, *last;
	unsigned n_waiting;
};

static void job_free(struct job *j)
{
	free(j->text);
	free(j);
}

static void job_fail(struct job *j, const struct err *err, int code)
{
	j->done(j->data, code, NULL, err->text);
	job_free(j);
}

static void push(struct door *d, struct job *j)
{
	j->next = NULL;
	if (d->last)
		d->last->next = j;
	else
		d->first = j;
	d->last = j;
	d->n_waiting++;
}

static void push_front(struct door *d, struct job *j)
{
	j->next = d->first;
	d->first = j;
	if (!d->last)
		d->last = j;
	d->n_waiting++;
}

static struct job *pop(struct door *d)
{
	struct job *j = d->first;

	if (!j)
		return NULL;
	d->first = j->next;
	if (!d->first)
		d->last = NULL;
	d->n_waiting--;
	return j;
}

static void on_closed(uv_handle_t *handle)
{
	struct link *l = handle->data;

	if (--l->open_handles > 0)
		return;
	free(l->in);
	free(l);
}

/* Its job, if any, is the caller's to see to. */
static void link_close(struct link *l)
{
	if (l->closing)
		return;
	l->closing = true;
	if (l->door) {
		struct link **at = &l->door->links;

		while (*at != l)
			at = &(*at)->next;
		*at = l->next;
		l->door->n_links--;
	}
	uv_close((uv_handle_t *)&l->pipe, on_closed);
	uv_close((uv_handle_t *)&l->patience, on_closed);
}

static void serve(struct door *d);

static void link_lost(struct link *l, int code, const char *sentence)
{
	struct door *d = l->door;
	struct job *j = TAKE(l->job);
	bool again = l->used && code != -ETIMEDOUT && code != -EPROTO;
	struct err err = ERR_NULL;

	link_close(l);
	if (j && again && !j->again) {
		j->again = true;
		push_front(d, j);
	} else if (j) {
		err_set(&err, code, "%s", sentence);
		job_fail(j, &err, code);
	}
	serve(d);
}

static const char gone[] = "taktd went away before it answered";

static void on_patience(uv_timer_t *timer)
{
	link_lost(container_of(timer, struct link, patience), -ETIMEDOUT,
		"taktd did not answer in time");
}

static void on_written(uv_write_t *write, int status)
{
	struct link *l = container_of(write, struct link, write);

	l->writing = false;
	if (l->closing)
		return;
	if (status < 0)
		link_lost(l, -ECONNRESET, gone);
	else
		serve(l->door);
}

static void on_not_written(uv_timer_t *timer)
{
	link_lost(container_of(timer, struct link, patience), -ECONNRESET, gone);
}

static void link_send(struct link *l)
{
	uv_buf_t buf;

	l->job = pop(l->door);
	if (!l->job)
		return;
	buf = uv_buf_init(l->job->text, l->job->len);
	uv_timer_start(&l->patience, on_patience, DOOR_TIMEOUT_MS, 0);
	l->writing = uv_write(&l->write, (uv_stream_t *)&l->pipe, &buf, 1, on_written) == 0;
	if (!l->writing)
		uv_timer_start(&l->patience, on_not_written, 0, 0);
}

static void answer(struct link *l, struct bytes message)
{
	cleanup_api_reply struct api_reply reply = API_REPLY_NULL;
	struct err err = ERR_NULL;
	struct job *j;
	int r;

	if (!l->job || api_reply_decode(message, &reply, &err) < 0) {
		link_lost(l, -EPROTO, "taktd's answer is not understood");
		return;
	}
	j = TAKE(l->job);
	l->used = true;
	uv_timer_stop(&l->patience);
	r = reply.error[0] ? api_reply_error(&reply, &err) : 0;
	j->done(j->data, r, reply.parameters, err.text);
	job_free(j);
	if (l->door && !l->closing)
		serve(l->door);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	struct link *l = handle->data;

	if (l->size - l->used_bytes < READ_STEP) {
		size_t size = l->size ? 2 * l->size : READ_STEP;
		char *in = size <= 2 * API_REPLY_MAX ? realloc(l->in, size) : NULL;

		if (!in) {
			*ret = uv_buf_init(NULL, 0);
			return;
		}
		l->in = in;
		l->size = size;
	}
	*ret = uv_buf_init(l->in + l->used_bytes, l->size - l->used_bytes);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct link *l = stream->data;
	struct bytes in, message;
	int r;

	if (n < 0) {
		link_lost(l, n == UV_ENOBUFS ? -ENOMEM : -ECONNRESET,
			n == UV_ENOBUFS ? "takt-dra is out of memory" : gone);
		return;
	}
	l->used_bytes += n;
	in = (struct bytes){ l->in, l->used_bytes };
	r = n > 0 ? api_frame_next_max(&in, API_REPLY_MAX, &message) : 0;
	if (r < 0) {
		link_lost(l, -EPROTO, "taktd's answer is too long");
		return;
	}
	if (r == 0)
		return;
	/* One call at a time: there is nothing behind its answer. */
	l->used_bytes = 0;
	answer(l, message);
	/* A link that was closed meanwhile is freed in the loop's next turn. */
	if (l->size > READ_STEP) {
		free(TAKE(l->in));
		l->size = 0;
	}
}

/* All that waits, where nothing is left that could take it. */
static void fail_all(struct door *d, const struct err *err, int code)
{
	struct job *j = d->first, *next;

	d->first = d->last = NULL;
	d->n_waiting = 0;
	for (; j; j = next) {
		next = j->next;
		job_fail(j, err, code);
	}
}

static void refused(struct link *l, int code)
{
	struct door *d = l->door;
	struct err err = ERR_NULL;

	if (code == -ENOENT || code == -ECONNREFUSED)
		err_set(&err, code, "taktd does not answer at %s: it is not running", d->socket);
	else
		err_set_errno(&err, code, "connect to taktd at %s", d->socket);
	link_close(l);
	if (!d->links)
		fail_all(d, &err, code);
}

static void on_connected(uv_connect_t *connect, int status)
{
	struct link *l = container_of(connect, struct link, connect);

	if (l->closing)
		return;
	uv_timer_stop(&l->patience);
	if (status == 0)
		status = uv_read_start((uv_stream_t *)&l->pipe, on_alloc, on_read);
	if (status < 0) {
		refused(l, status);
		return;
	}
	l->ready = true;
	serve(l->door);
}

/* -ENOMEM. Its end, good or bad, comes by on_connected(). */
static int link_open(struct door *d)
{
	struct link *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->door = d;
	l->next = d->links;
	d->links = l;
	d->n_links++;
	l->open_handles = 2;
	uv_pipe_init(d->loop, &l->pipe, 0);
	uv_timer_init(d->loop, &l->patience);
	l->pipe.data = l;
	l->patience.data = l;
	uv_pipe_connect(&l->connect, &l->pipe, d->socket, on_connected);
	return 0;
}

/* Gives the first that waits to a connection that is idle, or to a new one. */
static void serve(struct door *d)
{
	unsigned opening = 0;

	for (struct link *l = d->links; l && d->first; l = l->next) {
		opening += !l->ready;
		if (l->ready && !l->job && !l->writing) {
			link_send(l);
			return;
		}
	}
	if (d->n_waiting > opening && d->n_links < DOOR_CONNECTIONS)
		link_open(d);
}

int door_create(struct door **ret, uv_loop_t *loop, const char *socket, struct err *err)
{
	struct door *d;

	if (strlen(socket) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return err_set(err, -ENAMETOOLONG, "%s is too long for a socket's path", socket);
	d = calloc(1, sizeof(*d));
	if (!d)
		return err_set(err, -ENOMEM, "out of memory");
	d->loop = loop;
	d->socket = socket;
	*ret = d;
	return 0;
}

void door_destroy(struct door *d)
{
	struct job *j;

	if (!d)
		return;
	while (d->links) {
		struct link *l = d->links;

		if (l->job)
			job_free(TAKE(l->job));
		link_close(l);
		l->door = NULL;
	}
	while ((j = pop(d)))
		job_free(j);
	free(d);
}

int door_call(struct door *d, const char *method, json_t *parameters, door_done *done, void *data)
{
	cleanup_json json_t *owned = parameters;
	struct job *j;

	if (d->n_waiting == DOOR_WAITING_MAX)
		return -ENOBUFS;
	j = owned ? calloc(1, sizeof(*j)) : NULL;
	if (!j)
		return -ENOMEM;
	j->done = done;
	j->data = data;
	if (api_call_encode(method, owned, false, &j->text, &j->len, NULL) < 0) {
		free(j);
		return -ENOMEM;
	}
	push(d, j);
	serve(d);
	if (d->links)
		return 0;
	/* Nothing was waiting, or there would be a connection. */
	job_free(pop(d));
	return -ENOMEM;
}
