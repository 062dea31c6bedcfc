// SPDX-License-Identifier: Apache-2.0
#include "cluster/nodeplugin/feed.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "api/frame.h"
#include "base/cleanup.h"

static const char question[] = "{\"method\":\"rt.takt.Watch\",\"more\":true}";

/* One connection; it outlives its feed until libuv lets go of it. */
struct link {
	uv_pipe_t pipe;
	uv_connect_t connect;
	uv_write_t write;
	struct feed *feed; /* NULL: given up */
	size_t used;
	char in[FEED_MESSAGE_MAX];
};

struct feed {
	uv_timer_t retry;
	const char *socket;
	const struct feed_handler *handler;
	void *data;
	struct link *link; /* NULL: none now */
	bool began;
};

static void on_link_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void let_go(struct feed *f)
{
	struct link *l = TAKE(f->link);

	if (!l)
		return;
	l->feed = NULL;
	uv_close((uv_handle_t *)&l->pipe, on_link_closed);
}

static void try_again(uv_timer_t *timer);

static void lose(struct feed *f, const char *why)
{
	let_go(f);
	f->began = false;
	uv_timer_start(&f->retry, try_again, FEED_RETRY_MS, 0);
	f->handler->lost(f->data, why);
}

/* The first reply has no change: it says that watching began. False: it is an error. */
static bool take(struct feed *f, struct bytes text)
{
	cleanup_json json_t *reply = json_loadb(text.at, text.len, 0, NULL);
	const json_t *change = json_object_get(json_object_get(reply, "parameters"), "change");
	const char *what = json_string_value(json_object_get(change, "what"));

	if (!reply || json_object_get(reply, "error"))
		return false;
	if (what) {
		f->handler->changed(f->data, what);
	} else if (!f->began) {
		f->began = true;
		f->handler->began(f->data);
	}
	return true;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	struct link *l = handle->data;

	*ret = uv_buf_init(l->in + l->used, sizeof(l->in) - l->used);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct link *l = stream->data;
	struct bytes in, text;
	int r;

	if (n == 0 || !l->feed)
		return;
	if (n < 0) {
		lose(l->feed, n == UV_EOF ? "taktd has closed the connection" : uv_strerror(n));
		return;
	}
	l->used += n;
	in = (struct bytes){ l->in, l->used };
	while ((r = api_frame_next_max(&in, sizeof(l->in), &text)) > 0) {
		if (!take(l->feed, text)) {
			lose(l->feed, "taktd does not let us watch");
			return;
		}
		if (!l->feed) /* the handler has stopped us */
			return;
	}
	memmove(l->in, in.at, in.len);
	l->used = in.len;
	if (r < 0 || l->used == sizeof(l->in))
		lose(l->feed, "taktd sends messages without end");
}

static void on_written(uv_write_t *write, int status)
{
	struct link *l = write->handle->data;

	if (status < 0 && l->feed)
		lose(l->feed, uv_strerror(status));
}

static void on_connected(uv_connect_t *connect, int status)
{
	struct link *l = connect->handle->data;
	uv_buf_t buf = uv_buf_init((char *)question, sizeof(question)); /* with its NUL */
	int r = status;

	if (!l->feed)
		return;
	if (r == 0)
		r = uv_read_start((uv_stream_t *)&l->pipe, on_alloc, on_read);
	if (r == 0)
		r = uv_write(&l->write, (uv_stream_t *)&l->pipe, &buf, 1, on_written);
	if (r < 0)
		lose(l->feed, uv_strerror(r));
}

static void try_again(uv_timer_t *timer)
{
	struct feed *f = container_of(timer, struct feed, retry);
	struct link *l = calloc(1, sizeof(*l));

	if (!l) {
		lose(f, "out of memory");
		return;
	}
	uv_pipe_init(timer->loop, &l->pipe, 0);
	l->pipe.data = l;
	l->feed = f;
	f->link = l;
	uv_pipe_connect(&l->connect, &l->pipe, f->socket, on_connected);
}

int feed_start(struct feed **ret, uv_loop_t *loop, const char *socket,
	const struct feed_handler *handler, void *data, struct err *err)
{
	struct feed *f = calloc(1, sizeof(*f));

	if (!f)
		return err_set(err, -ENOMEM, "out of memory");
	f->socket = socket;
	f->handler = handler;
	f->data = data;
	uv_timer_init(loop, &f->retry);
	uv_timer_start(&f->retry, try_again, 0, 0);
	*ret = f;
	return 0;
}

static void on_stopped(uv_handle_t *handle)
{
	free(container_of((uv_timer_t *)handle, struct feed, retry));
}

void feed_stop(struct feed *f)
{
	if (!f)
		return;
	let_go(f);
	uv_close((uv_handle_t *)&f->retry, on_stopped);
}
