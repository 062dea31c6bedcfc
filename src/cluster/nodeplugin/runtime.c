// SPDX-License-Identifier: Apache-2.0
/*
 * The runtime's socket: connected to for ever, whoever ends it and why. Without it a container is
 * bound by the hook of its CDI device all the same; what is lost meanwhile is the check that a
 * container is entitled before it is made, and the policy from the first instruction on.
 */
#include "cluster/nodeplugin/runtime_private.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define PLUGIN_NAME "takt"
#define PLUGIN_INDEX "50" /* after those that choose CPUs */
#define AGAIN_FIRST_MS 100
#define AGAIN_MAX_MS 5000
#define READY_MS 30000 /* a runtime takes in one plugin after the other, 5 s each */

static void dial(struct runtime *r);
static void flush(struct runtime *r);

static void on_again(uv_timer_t *timer)
{
	dial(container_of(timer, struct runtime, timer));
}

/* Says a trouble once, not at each try. */
static void tell(struct runtime *r, const char *text)
{
	if (strcmp(r->told, text) == 0)
		return;
	snprintf(r->told, sizeof(r->told), "%s", text);
	checks_changed(r->plugin);
	plugin_log("NRI: %s: %s; until then containers are bound by the hook alone", r->path, text);
}

static uint64_t wait_ms(struct runtime *r)
{
	uint64_t wait = AGAIN_FIRST_MS;

	for (unsigned i = 0; i < r->failures && wait < AGAIN_MAX_MS; i++)
		wait *= 2;
	r->failures++;
	wait = wait < AGAIN_MAX_MS ? wait : AGAIN_MAX_MS;
	return wait / 2 + uv_hrtime() % (wait / 2);
}

static void on_closed(uv_handle_t *handle)
{
	struct runtime *r = container_of((uv_pipe_t *)handle, struct runtime, pipe);

	r->open = false;
	if (!r->stopping)
		uv_timer_start(&r->timer, on_again, wait_ms(r), 0);
}

static void lost(struct runtime *r, const char *why)
{
	if (!r->open || uv_is_closing((uv_handle_t *)&r->pipe))
		return;
	if (!r->stopping)
		tell(r, why);
	nri_plugin_disconnected(r->nri);
	uv_timer_stop(&r->timer);
	uv_close((uv_handle_t *)&r->pipe, on_closed);
}

/* What the socket did not take at once. */
struct outgoing {
	uv_write_t write;
	struct runtime *runtime;
	char text[];
};

static void on_written(uv_write_t *write, int status)
{
	struct outgoing *o = container_of(write, struct outgoing, write);
	struct runtime *r = o->runtime;

	free(o);
	r->writing = false;
	if (status == UV_ECANCELED)
		return;
	if (status < 0)
		lost(r, uv_strerror(status));
	else
		flush(r);
}

/* -errno. The runtime is slow to read; what it still takes is bounded by the plugin's buffer. */
static int write_rest(struct runtime *r, struct bytes out)
{
	struct outgoing *o = malloc(sizeof(*o) + out.len);
	uv_buf_t buf;

	if (!o)
		return -ENOMEM;
	o->runtime = r;
	memcpy(o->text, out.at, out.len);
	buf = uv_buf_init(o->text, out.len);
	nri_plugin_written(r->nri, out.len);
	r->writing = true;
	return uv_write(&o->write, (uv_stream_t *)&r->pipe, &buf, 1, on_written);
}

static void flush(struct runtime *r)
{
	struct bytes out = nri_plugin_output(r->nri);
	int n;

	if (out.len == 0 || r->writing || uv_is_closing((uv_handle_t *)&r->pipe))
		return;
	n = uv_try_write(
		(uv_stream_t *)&r->pipe, &(uv_buf_t){ .base = (char *)out.at, .len = out.len }, 1);
	if (n == UV_EAGAIN)
		n = 0;
	if (n > 0)
		nri_plugin_written(r->nri, n);
	if (n >= 0 && (size_t)n < out.len)
		n = write_rest(r, nri_plugin_output(r->nri));
	if (n < 0)
		lost(r, uv_strerror(n));
}

static void on_alloc(uv_handle_t *handle, size_t wished, uv_buf_t *buf)
{
	struct runtime *r = container_of((uv_pipe_t *)handle, struct runtime, pipe);

	*buf = uv_buf_init(r->read, sizeof(r->read));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct runtime *r = container_of((uv_pipe_t *)stream, struct runtime, pipe);
	uint64_t begun = uv_hrtime();
	struct err err = ERR_NULL;

	if (n < 0) {
		lost(r, n == UV_EOF ? "the runtime has ended, or has closed the connection"
				    : uv_strerror(n));
		return;
	}
	if (nri_plugin_feed(r->nri, (struct bytes){ buf->base, n }, &err) < 0) {
		lost(r, err.text);
		return;
	}
	if (nri_plugin_output(r->nri).len > 0)
		delay_add(&r->delay, uv_hrtime() - begun);
	flush(r);
}

static void on_late(uv_timer_t *timer)
{
	struct runtime *r = container_of(timer, struct runtime, timer);

	lost(r, "the runtime does not take the plugin in");
}

static void on_connected(uv_connect_t *connecting, int status)
{
	struct runtime *r = container_of(connecting, struct runtime, connecting);
	struct err err = ERR_NULL;

	if (status == UV_ECANCELED)
		return;
	if (status < 0) {
		lost(r, uv_strerror(status));
		return;
	}
	if (nri_plugin_connected(r->nri, &err) < 0) {
		lost(r, err.text);
		return;
	}
	uv_timer_start(&r->timer, on_late, READY_MS, 0);
	uv_read_start((uv_stream_t *)&r->pipe, on_alloc, on_read);
	flush(r);
}

static void dial(struct runtime *r)
{
	uv_pipe_init(&r->plugin->loop, &r->pipe, 0);
	r->open = true;
	uv_pipe_connect(&r->connecting, &r->pipe, r->path, on_connected);
}

void runtime_ready(struct runtime *r)
{
	dial(r);
}

void runtime_synchronized(struct runtime *r)
{
	r->failures = 0;
	r->told[0] = '\0';
	uv_timer_stop(&r->timer);
	checks_changed(r->plugin);
}

void runtime_again(struct runtime *r)
{
	lost(r, "asking the runtime again for what is there");
}

void runtime_facts(const struct plugin *p, struct checks_facts *f)
{
	const struct runtime *r = p->runtime;

	f->nri_used = r != NULL;
	if (!r)
		return;
	f->nri_connected = nri_plugin_state(r->nri) == NRI_READY;
	f->nri_scheduler = r->scheduler;
	f->nri_path = r->path;
	f->nri_why = r->told[0] ? r->told : "not tried yet";
	f->nri_name = r->name;
	f->nri_version = r->version;
}

static void tell_delays(const struct runtime *r)
{
	char text[DELAY_TEXT_MAX];

	plugin_log("NRI: %s", delay_text(text, &r->delay));
}

static void on_tell(uv_signal_t *signal, int number)
{
	tell_delays(container_of(signal, struct runtime, tell));
}

int runtime_start(struct plugin *p, const char *socket, struct err *err)
{
	static const struct nri_identity id = {
		.name = PLUGIN_NAME,
		.index = PLUGIN_INDEX,
		/* A takt-dra that hangs must not keep every other pod of the node from starting. */
		.fail_request = false,
		.keep_connected = true,
	};
	struct runtime *r;
	int code;

	if (!socket || strcmp(socket, "none") == 0) {
		signal(SIGUSR1, SIG_IGN);
		plugin_log("NRI: not used; containers are bound by the hook alone");
		return 0;
	}
	r = calloc(1, sizeof(*r));
	if (!r)
		return err_set(err, -ENOMEM, "out of memory");
	r->plugin = p;
	r->path = socket;
	code = nri_plugin_create(&id, &containers_handlers, r, &r->nri, err);
	if (code < 0) {
		free(r);
		return code;
	}
	uv_timer_init(&p->loop, &r->timer);
	uv_timer_init(&p->loop, &r->fill);
	uv_signal_init(&p->loop, &r->tell);
	uv_signal_start(&r->tell, on_tell, SIGUSR1);
	containers_init(r);
	p->runtime = r;
	entitled_fill(r);
	return 0;
}

void runtime_stop(struct plugin *p)
{
	struct runtime *r = p->runtime;

	if (!r)
		return;
	r->stopping = true;
	tell_delays(r);
	lost(r, "");
	uv_close((uv_handle_t *)&r->timer, NULL);
	uv_close((uv_handle_t *)&r->fill, NULL);
	uv_close((uv_handle_t *)&r->compare, NULL);
	uv_close((uv_handle_t *)&r->tell, NULL);
}

void runtime_free(struct plugin *p)
{
	struct runtime *r = p->runtime;

	if (!r)
		return;
	p->runtime = NULL;
	containers_fini(r);
	entitled_fini(r);
	nri_plugin_destroy(r->nri);
	free(r);
}
