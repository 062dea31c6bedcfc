// SPDX-License-Identifier: Apache-2.0
/*
 * Drives the client for the tests in Python: orders come as JSON lines on stdin, what the client
 * tells goes to stdout as JSON lines.
 *   program kubeconfig FILE [TIMEOUT_MS [ANSWER_MAX]] | pod FOLDER [...]
 *   {"do": "get|list|create|update|apply|delete|watch|stop|cancel|quit", "id": ..., "group",
 *   "version", "resource", "namespace", "name", "subresource", "object", ...}
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>

#include "cluster/kube/lines.h"
#include "cluster/kube/watch.h"

#define TASKS_MAX 64

struct task {
	char id[32], last[16]; /* last: quit inside the callback of that event */
	struct kube_call *call;
	struct kube_watch *watch;
};

static struct {
	uv_loop_t loop;
	uv_pipe_t in;
	struct kube_client *client;
	struct kube_lines lines;
	struct task tasks[TASKS_MAX];
	char piece[65536];
} program;

static void tell(json_t *message)
{
	cleanup_json json_t *owned = message;

	json_dumpf(owned, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
}

static uint64_t random_number(void *data)
{
	uint64_t number = 0;

	(void)data;
	if (getrandom(&number, sizeof(number), 0) < 0)
		return 0;
	return number;
}

static const char *text_of(const json_t *order, const char *key)
{
	return json_string_value(json_object_get(order, key));
}

static struct task *task_find(const char *id)
{
	for (size_t i = 0; i < TASKS_MAX; i++)
		if (strcmp(program.tasks[i].id, id) == 0)
			return &program.tasks[i];
	return NULL;
}

static void task_forget(struct task *t)
{
	*t = (struct task){ .call = NULL };
}

static void quit(void);

static void quit_if_last(const struct task *t, const char *what)
{
	if (strcmp(t->last, what) == 0)
		quit();
}

static void on_answer(void *data, const struct kube_answer *a)
{
	struct task *t = data;

	tell(json_pack("{s:s, s:i, s:i, s:i, s:s, s:s, s:O*}", "id", t->id, "code", a->code, "http",
		(int)a->status.http, "retry", (int)a->status.retry_after_s, "reason",
		a->status.reason, "error", a->err.text, "object", a->object));
	t->call = NULL;
	quit_if_last(t, "answer");
	task_forget(t);
}

static void tell_object(struct task *t, const char *what, json_t *object)
{
	tell(json_pack("{s:s, s:s, s:O}", "id", t->id, "event", what, "object", object));
	quit_if_last(t, what);
}

static void on_added(void *data, json_t *object)
{
	tell_object(data, "added", object);
}

static void on_modified(void *data, json_t *object)
{
	tell_object(data, "modified", object);
}

static void on_deleted(void *data, const struct kube_gone *gone, json_t *last)
{
	struct task *t = data;

	tell(json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "id", t->id, "event", "deleted",
		"namespace", gone->namespace, "name", gone->name, "uid", gone->uid, "last",
		last != NULL));
	quit_if_last(t, "deleted");
}

static void on_synced(void *data)
{
	struct task *t = data;

	tell(json_pack("{s:s, s:s}", "id", t->id, "event", "synced"));
	quit_if_last(t, "synced");
}

static void on_trouble(void *data, const struct err *why, uint64_t retry_ms)
{
	struct task *t = data;

	tell(json_pack("{s:s, s:s, s:i, s:s, s:I}", "id", t->id, "event", "trouble", "code",
		why->code, "error", why->text, "retry_ms", (json_int_t)retry_ms));
	quit_if_last(t, "trouble");
}

static int watch(struct task *t, const struct kube_ref *ref, const json_t *o, struct err *err)
{
	static const struct kube_watch_handler handler = { on_added, on_modified, on_deleted,
		on_synced, on_trouble };
	struct kube_watch_options options = {
		.label_selector = text_of(o, "labelSelector"),
		.field_selector = text_of(o, "fieldSelector"),
		.timeout_s = (unsigned)json_integer_value(json_object_get(o, "timeout")),
		.grace_s = (unsigned)json_integer_value(json_object_get(o, "grace")),
		.page = (unsigned)json_integer_value(json_object_get(o, "page")),
		.line_max_bytes = (size_t)json_integer_value(json_object_get(o, "line_max")),
	};

	return kube_watch_start(&t->watch, program.client, ref, &options, &handler, t, err);
}

static int call(struct task *t, const struct kube_ref *ref, const json_t *o, struct err *err)
{
	const char *verb = text_of(o, "do");
	const json_t *object = json_object_get(o, "object");
	struct kube_list_options list = {
		.field_selector = text_of(o, "fieldSelector"),
		.limit = (unsigned)json_integer_value(json_object_get(o, "limit")),
		.next = text_of(o, "next"),
	};

	if (strcmp(verb, "get") == 0)
		return kube_get(program.client, ref, on_answer, t, &t->call, err);
	if (strcmp(verb, "list") == 0)
		return kube_list(program.client, ref, &list, on_answer, t, &t->call, err);
	if (strcmp(verb, "create") == 0)
		return kube_create(program.client, ref, object, on_answer, t, &t->call, err);
	if (strcmp(verb, "update") == 0)
		return kube_update(program.client, ref, object, on_answer, t, &t->call, err);
	if (strcmp(verb, "apply") == 0)
		return kube_apply(program.client, ref, object, text_of(o, "manager"),
			json_is_true(json_object_get(o, "force")), on_answer, t, &t->call, err);
	if (strcmp(verb, "delete") == 0)
		return kube_delete(program.client, ref, text_of(o, "uid"),
			text_of(o, "resourceVersion"), on_answer, t, &t->call, err);
	return err_set(err, -EINVAL, "no such order: %s", verb);
}

static void quit(void)
{
	for (size_t i = 0; i < TASKS_MAX; i++)
		kube_watch_stop(program.tasks[i].watch);
	kube_client_destroy(program.client);
	if (!uv_is_closing((uv_handle_t *)&program.in))
		uv_close((uv_handle_t *)&program.in, NULL);
}

static void end_task(const char *id)
{
	struct task *t = task_find(id);

	if (!t)
		return;
	kube_call_cancel(t->call);
	kube_watch_stop(t->watch);
	tell(json_pack("{s:s, s:s}", "id", id, "event", "ended"));
	task_forget(t);
}

static void obey(const json_t *o)
{
	const char *verb = text_of(o, "do"), *id = text_of(o, "id");
	struct kube_ref ref = {
		{ text_of(o, "group"), text_of(o, "version"), text_of(o, "resource") },
		text_of(o, "namespace"),
		text_of(o, "name"),
		text_of(o, "subresource"),
	};
	struct err err = ERR_NULL;
	struct task *t;
	int r;

	if (strcmp(verb, "quit") == 0) {
		quit();
		return;
	}
	if (strcmp(verb, "cancel") == 0 || strcmp(verb, "stop") == 0) {
		end_task(id);
		return;
	}
	t = task_find("");
	snprintf(t->id, sizeof(t->id), "%s", id);
	if (json_object_get(o, "last"))
		snprintf(t->last, sizeof(t->last), "%s",
			text_of(o, "last") ? text_of(o, "last") : "answer");
	r = strcmp(verb, "watch") == 0 ? watch(t, &ref, o, &err) : call(t, &ref, o, &err);
	if (r == 0)
		return;
	tell(json_pack(
		"{s:s, s:i, s:s, s:b}", "id", id, "code", r, "error", err.text, "refused", 1));
	task_forget(t);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	(void)handle;
	(void)suggested;
	*ret = uv_buf_init(program.piece, sizeof(program.piece));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct bytes line;

	(void)stream;
	if (n < 0) {
		quit();
		return;
	}
	if (kube_lines_feed(&program.lines, (struct bytes){ buf->base, (size_t)n }) < 0)
		abort();
	while (kube_lines_next(&program.lines, &line) == 1) {
		cleanup_json json_t *order = json_loadb(line.at, line.len, 0, NULL);

		obey(order);
	}
}

static int configure(char **argv, struct kube_config *ret, struct err *err)
{
	if (strcmp(argv[1], "pod") == 0)
		return kube_config_in_cluster(argv[2], ret, err);
	return kube_config_read(argv[2], NULL, ret, err);
}

int main(int argc, char **argv)
{
	cleanup_kube_config struct kube_config config = KUBE_CONFIG_NULL;
	struct kube_client_options options = {
		.user_agent = "takt-test/1",
		.random = random_number,
		.timeout_ms = argc > 3 ? (unsigned)atoi(argv[3]) : 0,
		.answer_max_bytes = argc > 4 ? (size_t)atol(argv[4]) : 0,
	};
	struct err err = ERR_NULL;

	if (argc < 3)
		return 64;
	signal(SIGPIPE, SIG_IGN);
	uv_loop_init(&program.loop);
	program.lines = KUBE_LINES(16 * 1024 * 1024);
	if (configure(argv, &config, &err) < 0 ||
		kube_client_create(&program.client, &program.loop, &config, &options, &err) < 0) {
		tell(json_pack("{s:s, s:i}", "error", err.text, "code", err.code));
		return 1;
	}
	uv_pipe_init(&program.loop, &program.in, 0);
	uv_pipe_open(&program.in, STDIN_FILENO);
	uv_read_start((uv_stream_t *)&program.in, on_alloc, on_read);
	uv_run(&program.loop, UV_RUN_DEFAULT);
	kube_lines_fini(&program.lines);
	return uv_loop_close(&program.loop) == 0 ? 0 : 2;
}
