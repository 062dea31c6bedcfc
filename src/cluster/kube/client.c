// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/client.h"

#include <errno.h>
#include <string.h>

#include "cluster/kube/client_private.h"

#define CALLS_AT_ONCE 8 /* each has a connection of its own, with what TLS needs */
#define IDLE_CONNECTIONS 4

#define JSON_TYPE "application/json"
#define APPLY_TYPE "application/apply-patch+yaml"

static void client_free(struct kube_client *c)
{
	kube_auth_fini(&c->auth);
	kube_config_fini(&c->config);
	curl_slist_free_all(c->connect_to);
	free(c->base_url);
	free(c->host_header);
	free(c->user_agent);
	free(c);
}

static void part_closed(struct kube_client *c)
{
	if (--c->open_parts == 0)
		client_free(c);
}

static void on_multi_closed(struct kube_multi *m)
{
	part_closed(container_of(m, struct kube_client, multi));
}

static void on_kick_closed(uv_handle_t *handle)
{
	part_closed(container_of((uv_timer_t *)handle, struct kube_client, kick));
}

/*
 * The queue is ours: libcurl's (CURLMOPT_MAX_HOST_CONNECTIONS) begins with the newest, and counts the
 * wait into the time-out, which it then tells as one of resolving the name. Streams live for minutes
 * and take no call's place.
 */
static bool has_room(const struct kube_client *c)
{
	unsigned busy = 0;

	for (const struct kube_call *call = c->calls; call; call = call->next)
		busy += call->easy && !call->more;
	return busy < CALLS_AT_ONCE;
}

static bool is_waiting(const struct kube_client *c)
{
	const struct kube_call *call = c->calls;

	while (call && call->easy)
		call = call->next;
	return call;
}

/* The oldest, of those that may begin; newer ones are further in front. */
static struct kube_call *next_waiting(const struct kube_client *c)
{
	struct kube_call *next = NULL;
	bool room = has_room(c);

	for (struct kube_call *call = c->calls; call; call = call->next)
		if (!call->easy && (room || call->more))
			next = call;
	return next;
}

static struct kube_call *first_failing(const struct kube_client *c)
{
	struct kube_call *call = c->calls;

	while (call && !call->failing)
		call = call->next;
	return call;
}

/* Only those that wait now: a callback may make the next one, which is to wait in its turn. */
static void fail_waiting(struct kube_client *c, int code, const struct err *why)
{
	struct kube_answer answer = { .code = code, .err = *why };
	struct kube_call *call;

	for (call = c->calls; call; call = call->next)
		call->failing = !call->easy;
	while (!c->closing && (call = first_failing(c)))
		kube_call_end(call, &answer);
}

static void start_waiting(struct kube_client *c)
{
	struct kube_call *call;

	while (!c->closing && (call = next_waiting(c))) {
		struct kube_answer answer = { .err = ERR_NULL };
		int r = kube_auth_ask(&c->auth, &answer.err);

		if (r > 0)
			return;
		if (r < 0) {
			fail_waiting(c, r, &answer.err);
			return;
		}
		answer.code = kube_call_start(call, &answer.err);
		if (answer.code < 0)
			kube_call_end(call, &answer);
	}
}

/* While calls wait, the connection of one that has ended is the next one's. */
static void on_kick(uv_timer_t *timer)
{
	struct kube_client *c = container_of(timer, struct kube_client, kick);

	start_waiting(c);
	kube_multi_keep(&c->multi, IDLE_CONNECTIONS + (is_waiting(c) ? CALLS_AT_ONCE : 0));
}

void kube_client_kick(struct kube_client *c)
{
	uv_timer_start(&c->kick, on_kick, 0, 0);
}

static void on_auth_ready(void *data, int code, const struct err *why)
{
	struct kube_client *c = data;

	if (code < 0)
		fail_waiting(c, code, why);
	else
		kube_client_kick(c);
}

static struct kube_call *first_to_deliver(const struct kube_client *c)
{
	struct kube_call *call = c->calls;

	while (call && !kube_call_has_bytes(call))
		call = call->next;
	return call;
}

static void finish(struct kube_client *c, struct kube_call *call, CURLcode rc)
{
	cleanup_json json_t *object = NULL;
	struct kube_answer answer;

	if (rc == CURLE_OK && kube_call_was_refused(call) && !call->retried &&
		kube_auth_refused(&c->auth, call->generation)) {
		call->retried = true;
		kube_call_stop(call);
		kube_client_kick(c);
		return;
	}
	kube_call_judge(call, rc, &answer);
	object = answer.object;
	kube_call_end(call, &answer);
}

static void on_turned(struct kube_multi *m)
{
	struct kube_client *c = container_of(m, struct kube_client, multi);
	struct kube_call *call;
	CURLMsg *message;
	int left;

	while (!c->closing && (call = first_to_deliver(c)))
		kube_call_deliver(call);
	while (!c->closing && (message = curl_multi_info_read(m->curl, &left))) {
		if (message->msg != CURLMSG_DONE)
			continue;
		call = NULL;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
		finish(c, call, message->data.result);
	}
}

/* tls-server-name: libcurl is told that name, and where it really is. */
static int set_other_name(struct kube_client *c)
{
	const struct kube_config *k = &c->config;
	const char *authority = k->server + strlen("https://");
	const char *prefix = authority + strcspn(authority, "/");
	bool v6 = strchr(k->host, ':');
	cleanup_free char *to = NULL;

	if (asprintf(&c->base_url, "https://%s:%s%s", k->tls_server_name, k->port, prefix) < 0) {
		c->base_url = NULL;
		return -ENOMEM;
	}
	if (asprintf(&to, v6 ? "::[%s]:%s" : "::%s:%s", k->host, k->port) < 0) {
		to = NULL;
		return -ENOMEM;
	}
	c->connect_to = curl_slist_append(NULL, to);
	c->host_header = strndup(authority, (size_t)(prefix - authority));
	return c->connect_to && c->host_header ? 0 : -ENOMEM;
}

static int set_texts(struct kube_client *c, const char *user_agent)
{
	c->user_agent = strdup(user_agent);
	if (!c->user_agent)
		return -ENOMEM;
	if (c->config.tls_server_name)
		return set_other_name(c);
	c->base_url = strdup(c->config.server);
	return c->base_url ? 0 : -ENOMEM;
}

static void client_free_p(struct kube_client **c)
{
	if (*c)
		client_free(*c);
}

int kube_client_create(struct kube_client **ret, uv_loop_t *loop, struct kube_config *config,
	const struct kube_client_options *options, struct err *err)
{
	__attribute__((cleanup(client_free_p))) struct kube_client *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_set(err, -ENOMEM, "out of memory");
	c->config = *config;
	*config = KUBE_CONFIG_NULL;
	kube_auth_init(&c->auth, loop, &c->config, on_auth_ready, c);
	c->random = options->random;
	c->random_data = options->data;
	c->timeout_ms = options->timeout_ms ? options->timeout_ms : KUBE_TIMEOUT_MS;
	c->answer_max =
		options->answer_max_bytes ? options->answer_max_bytes : KUBE_ANSWER_MAX_BYTES;
	r = set_texts(c, options->user_agent);
	if (r < 0)
		return err_set(err, r, "out of memory");
	r = kube_multi_init(&c->multi, loop, on_turned, err);
	if (r < 0)
		return r;
	uv_timer_init(loop, &c->kick);
	c->open_parts = 2;
	*ret = TAKE(c);
	return 0;
}

void kube_client_destroy(struct kube_client *c)
{
	if (!c || c->closing)
		return;
	c->closing = true;
	while (c->calls)
		kube_call_drop(c->calls);
	uv_close((uv_handle_t *)&c->kick, on_kick_closed);
	kube_multi_close(&c->multi, on_multi_closed);
}

const char *kube_client_namespace(const struct kube_client *c)
{
	return c->config.namespace;
}

uint64_t kube_client_random(struct kube_client *c)
{
	return c->random(c->random_data);
}

static void call_add(struct kube_client *c, struct kube_call *call)
{
	call->client = c;
	call->next = c->calls;
	if (c->calls)
		c->calls->previous = call;
	c->calls = call;
	kube_client_kick(c);
}

int kube_call_make(struct kube_client *c, const struct kube_order *order, struct kube_call **ret,
	struct err *err)
{
	cleanup_free char *path = order->path, *body = order->body;
	struct kube_call *call = calloc(1, sizeof(*call));

	if (!call)
		return err_set(err, -ENOMEM, "out of memory");
	call->method = order->method;
	call->content_type = order->content_type;
	call->path = TAKE(path);
	call->body = TAKE(body);
	call->timeout_ms = order->timeout_ms;
	call->more = order->more;
	call->done = order->done;
	call->data = order->data;
	call_add(c, call);
	if (ret)
		*ret = call;
	return 0;
}

void kube_call_cancel(struct kube_call *call)
{
	if (call)
		kube_call_drop(call);
}

/* path is taken over; object NULL: no body. */
static int request(struct kube_client *c, const char *method, const char *type, char *path,
	const json_t *object, kube_done *done, void *data, struct kube_call **ret, struct err *err)
{
	cleanup_free char *owned = path;
	struct kube_order order = {
		.method = method,
		.content_type = object ? type : NULL,
		.body = object ? json_dumps(object, JSON_COMPACT) : NULL,
		.timeout_ms = c->timeout_ms,
		.done = done,
		.data = data,
	};

	if (object && !order.body)
		return err_set(err, -ENOMEM, "out of memory");
	order.path = TAKE(owned);
	return kube_call_make(c, &order, ret, err);
}

int kube_get(struct kube_client *c, const struct kube_ref *ref, kube_done *done, void *data,
	struct kube_call **ret, struct err *err)
{
	char *path = NULL;
	int r = kube_path(ref, &path, err);

	return r < 0 ? r : request(c, "GET", NULL, path, NULL, done, data, ret, err);
}

int kube_list(struct kube_client *c, const struct kube_ref *ref,
	const struct kube_list_options *options, kube_done *done, void *data,
	struct kube_call **ret, struct err *err)
{
	cleanup_free char *path = NULL;
	char limit[16];
	int r = kube_path(ref, &path, err);

	snprintf(limit, sizeof(limit), "%u", options->limit);
	if (r == 0)
		r = kube_path_add(&path, "labelSelector", options->label_selector, err);
	if (r == 0)
		r = kube_path_add(&path, "fieldSelector", options->field_selector, err);
	if (r == 0)
		r = kube_path_add(&path, "limit", options->limit ? limit : NULL, err);
	if (r == 0)
		r = kube_path_add(&path, "continue", options->next, err);
	return r < 0 ? r : request(c, "GET", NULL, TAKE(path), NULL, done, data, ret, err);
}

int kube_create(struct kube_client *c, const struct kube_ref *ref, const json_t *object,
	kube_done *done, void *data, struct kube_call **ret, struct err *err)
{
	char *path = NULL;
	int r = kube_path(ref, &path, err);

	return r < 0 ? r : request(c, "POST", JSON_TYPE, path, object, done, data, ret, err);
}

int kube_update(struct kube_client *c, const struct kube_ref *ref, const json_t *object,
	kube_done *done, void *data, struct kube_call **ret, struct err *err)
{
	char *path = NULL;
	int r = kube_path(ref, &path, err);

	return r < 0 ? r : request(c, "PUT", JSON_TYPE, path, object, done, data, ret, err);
}

int kube_apply(struct kube_client *c, const struct kube_ref *ref, const json_t *object,
	const char *field_manager, bool force, kube_done *done, void *data, struct kube_call **ret,
	struct err *err)
{
	cleanup_free char *path = NULL;
	int r = kube_path(ref, &path, err);

	if (r == 0)
		r = kube_path_add(&path, "fieldManager", field_manager, err);
	if (r == 0)
		r = kube_path_add(&path, "force", force ? "true" : "false", err);
	if (r < 0)
		return r;
	return request(c, "PATCH", APPLY_TYPE, TAKE(path), object, done, data, ret, err);
}

int kube_delete(struct kube_client *c, const struct kube_ref *ref, const char *uid,
	const char *resource_version, kube_done *done, void *data, struct kube_call **ret,
	struct err *err)
{
	cleanup_json json_t *options =
		json_pack("{s:s, s:s, s:{s:s*, s:s*}}", "kind", "DeleteOptions", "apiVersion", "v1",
			"preconditions", "uid", uid, "resourceVersion", resource_version);
	char *path = NULL;
	int r;

	if (!options)
		return err_set(err, -ENOMEM, "out of memory");
	r = kube_path(ref, &path, err);
	return r < 0 ? r : request(c, "DELETE", JSON_TYPE, path, options, done, data, ret, err);
}
