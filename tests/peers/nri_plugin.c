// SPDX-License-Identifier: Apache-2.0
/*
 * A plugin on the socket that argv[1] names: prints a line for all that it hears, and answers by
 * the container's id. It connects again for as long as it lives.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/cleanup.h"
#include "cluster/wire/nri/plugin.h"

#define READ_BYTES (64 * 1024)
#define RETRY_MS 20
#define LATER_MS 50
#define LONG_VALUE 300000

static uv_loop_t loop;
static uv_pipe_t sock;
static uv_timer_t retry, later;
static uv_connect_t connecting;
static uint64_t late_call;
static struct nri_plugin *plugin;
static const char *path;
static char read_buffer[READ_BYTES];
static unsigned pods, containers;

static void dial(uv_timer_t *timer);
static void flush(void);

static void say_container(const char *what, const struct nri_container *c)
{
	printf("container %s %s\n", what, c->id);
}

static void on_configured(void *user, const struct nri_runtime *r)
{
	pods = containers = 0;
	printf("configured %s %s %s timeout=%lld\n", r->name, r->version, r->nri_version,
		(long long)r->request_timeout_ms);
}

static void on_known_pod(void *user, const struct nri_pod *p)
{
	pods++;
	printf("known pod %s %s %s %s %s\n", p->id, p->name, p->uid, p->namespace,
		p->cgroup_parent);
}

static void on_known_container(void *user, const struct nri_container *c)
{
	containers++;
	printf("known container %s %s %s state=%d pid=%u cpus=%s path=%s env=%zu cdi=%s\n", c->id,
		c->pod_id, c->name, c->state, c->pid, c->cpus, c->cgroups_path, c->n_env,
		c->n_cdi_devices > 0 ? c->cdi_devices[0] : "");
}

static void on_synchronized(void *user)
{
	printf("synchronized %u pods %u containers\n", pods, containers);
}

static void adjust(uint64_t call, const char *id, const char *value)
{
	const char *args[] = { "takt-hook", "bind" };
	struct nri_hook hook = {
		.path = "/usr/libexec/takt-hook",
		.args = args,
		.n_args = ARRAY_SIZE(args),
		.timeout_s = 5,
	};
	struct nri_variable variable = { "TAKT_RESERVATION", value };
	char device[128];
	const char *devices[] = { device };
	struct nri_variable annotation = { "rt.takt.dev/scheduler", "runtime" };
	struct nri_adjustment a = {
		.annotations = &annotation,
		.n_annotations = 1,
		.env = &variable,
		.n_env = 1,
		.create_runtime = &hook,
		.n_create_runtime = 1,
		.cdi_devices = devices,
		.n_cdi_devices = 1,
		.cpus = "1",
		.scheduler = { NRI_SCHED_DEADLINE, true, 2000000, 10000000, 10000000 },
	};
	struct err err = ERR_NULL;

	snprintf(device, sizeof(device), "rt.takt.dev/reservation=%s", id);
	if (nri_plugin_adjust(plugin, call, &a, &err) < 0)
		printf("adjust: %s\n", err.text);
}

static void adjust_verbosely(uint64_t call, const char *id)
{
	cleanup_free char *value = calloc(1, LONG_VALUE + 1);

	if (!value)
		abort();
	memset(value, 'v', LONG_VALUE);
	adjust(call, id, value);
}

static void on_later(uv_timer_t *timer)
{
	adjust(late_call, "later", "later");
	flush();
}

static void on_create(
	void *user, uint64_t call, const struct nri_pod *p, const struct nri_container *c)
{
	size_t sum = 0;
	const char *last = c->n_env > 0 ? c->env[c->n_env - 1] : "";

	for (size_t i = 0; i < c->n_env; i++)
		sum += strlen(c->env[i]);
	printf("create %s env=%zu bytes=%zu last=%.*s\n", c->id, c->n_env, sum,
		(int)strcspn(last, "="), last);
	if (strcmp(c->id, "never") == 0)
		return;
	if (strcmp(c->id, "refused") == 0) {
		nri_plugin_refuse(plugin, call, "no reservation of that name", NULL);
	} else if (strcmp(c->id, "later") == 0) {
		late_call = call;
		uv_timer_start(&later, on_later, LATER_MS, 0);
	} else if (strcmp(c->id, "verbose") == 0) {
		adjust_verbosely(call, c->id);
	} else {
		adjust(call, c->id, c->id);
	}
}

static void on_updated(
	void *user, const char *const *failed, size_t n_failed, const struct err *err)
{
	if (err)
		printf("update: %s\n", err->text);
	else
		printf("update done, %zu failed\n", n_failed);
}

static void on_created(void *user, const struct nri_pod *p, const struct nri_container *c)
{
	say_container("created", c);
}

static void on_starting(void *user, const struct nri_pod *p, const struct nri_container *c)
{
	say_container("starting", c);
}

static void on_started(void *user, const struct nri_pod *p, const struct nri_container *c)
{
	struct nri_update update = { c->id, "1", false };
	struct err err = ERR_NULL;

	say_container("started", c);
	if (strcmp(c->id, "pinned") != 0 && strcmp(c->id, "failing") != 0)
		return;
	if (nri_plugin_update(plugin, &update, 1, on_updated, NULL, &err) < 0)
		printf("update: %s\n", err.text);
}

static void on_updating(void *user, const struct nri_pod *p, const struct nri_container *c)
{
	printf("container updating %s to cpus=%s\n", c->id, c->new_cpus);
}

static void on_update_done(void *user, const struct nri_pod *p, const struct nri_container *c)
{
	say_container("updated", c);
}

static void on_stopped(void *user, const struct nri_pod *p, const struct nri_container *c)
{
	say_container("stopped", c);
}

static void on_removed(void *user, const struct nri_pod *p, const struct nri_container *c)
{
	say_container("removed", c);
}

static void on_pod_started(void *user, const struct nri_pod *p)
{
	printf("pod started %s\n", p->id);
}

static void on_pod_updating(void *user, const struct nri_pod *p)
{
	printf("pod updating %s\n", p->id);
}

static void on_pod_stopped(void *user, const struct nri_pod *p)
{
	printf("pod stopped %s\n", p->id);
}

static void on_pod_removed(void *user, const struct nri_pod *p)
{
	printf("pod removed %s\n", p->id);
}

static const struct nri_handlers handlers = {
	.configured = on_configured,
	.known_pod = on_known_pod,
	.known_container = on_known_container,
	.synchronized = on_synchronized,
	.create_container = on_create,
	.container_created = on_created,
	.container_starting = on_starting,
	.container_started = on_started,
	.container_updating = on_updating,
	.container_updated = on_update_done,
	.container_stopped = on_stopped,
	.container_removed = on_removed,
	.pod_started = on_pod_started,
	.pod_updating = on_pod_updating,
	.pod_stopped = on_pod_stopped,
	.pod_removed = on_pod_removed,
};

static void on_closed(uv_handle_t *handle)
{
	uv_timer_start(&retry, dial, RETRY_MS, 0);
}

static void lost(void)
{
	if (nri_plugin_state(plugin) != NRI_DISCONNECTED)
		printf("disconnected\n");
	nri_plugin_disconnected(plugin);
	if (!uv_is_closing((uv_handle_t *)&sock))
		uv_close((uv_handle_t *)&sock, on_closed);
}

struct outgoing {
	uv_write_t write;
	char text[];
};

static void on_written(uv_write_t *write, int status)
{
	free(container_of(write, struct outgoing, write));
}

static void flush(void)
{
	struct bytes out = nri_plugin_output(plugin);
	struct outgoing *o;
	uv_buf_t buf;

	if (out.len == 0)
		return;
	o = malloc(sizeof(*o) + out.len);
	if (!o)
		abort();
	memcpy(o->text, out.at, out.len);
	buf = uv_buf_init(o->text, out.len);
	nri_plugin_written(plugin, out.len);
	if (uv_write(&o->write, (uv_stream_t *)&sock, &buf, 1, on_written) < 0)
		abort();
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	*ret = uv_buf_init(read_buffer, READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct err err = ERR_NULL;

	if (n == 0)
		return;
	if (n > 0 && nri_plugin_feed(plugin, (struct bytes){ buf->base, n }, &err) == 0) {
		flush();
		return;
	}
	if (n > 0)
		printf("%s\n", err.text);
	lost();
}

static void on_connected(uv_connect_t *request, int status)
{
	if (status < 0 || nri_plugin_connected(plugin, NULL) < 0 ||
		uv_read_start((uv_stream_t *)&sock, on_alloc, on_read) < 0) {
		lost();
		return;
	}
	flush();
}

static void dial(uv_timer_t *timer)
{
	uv_pipe_init(&loop, &sock, 0);
	uv_pipe_connect(&connecting, &sock, path, on_connected);
}

int main(int argc, char **argv)
{
	struct nri_identity id = {
		.name = "takt-test",
		.index = "10",
		.fail_request = true,
		.keep_connected = true,
	};
	struct err err = ERR_NULL;

	if (argc != 2 || nri_plugin_create(&id, &handlers, NULL, &plugin, &err) < 0) {
		fprintf(stderr, "usage: nri_plugin SOCKET %s\n", err.text);
		return 64;
	}
	path = argv[1];
	setvbuf(stdout, NULL, _IOLBF, 0);
	uv_loop_init(&loop);
	uv_timer_init(&loop, &retry);
	uv_timer_init(&loop, &later);
	dial(&retry);
	return uv_run(&loop, UV_RUN_DEFAULT);
}
