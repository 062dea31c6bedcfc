// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/watch.h"

#include <errno.h>
#include <string.h>

#include "cluster/kube/client_private.h"
#include "cluster/kube/lines.h"
#include "cluster/kube/retry.h"

struct kube_watch {
	struct kube_client *client;
	struct kube_watch_handler handler;
	void *data;
	char *path; /* with the selectors */
	struct kube_call *call; /* the list's page or the stream that is under way */
	uv_timer_t timer; /* the wait before the next try */
	struct kube_known known;
	struct kube_lines lines;
	char version[KUBE_VERSION_MAX]; /* where the next stream begins */
	char *next_page; /* NULL: the list's first */
	bool list_next; /* after the wait */
	bool whole; /* the list in one answer: a page's token had run out */
	bool brought, stopped;
	uint64_t began_ms; /* the stream */
	unsigned failures, timeout_s, grace_s, page;
};

static void begin_list(struct kube_watch *w);
static void begin_stream(struct kube_watch *w);

static void watch_free(struct kube_watch *w)
{
	kube_known_fini(&w->known);
	kube_lines_fini(&w->lines);
	free(w->next_page);
	free(w->path);
	free(w);
}

static void on_closed(uv_handle_t *handle)
{
	watch_free(handle->data);
}

static void on_timer(uv_timer_t *timer)
{
	struct kube_watch *w = timer->data;

	if (w->list_next)
		begin_list(w);
	else
		begin_stream(w);
}

/* Whatever was under way is over; code 0: in good order. */
static void go_on(
	struct kube_watch *w, bool listing, int code, unsigned retry_after_s, const struct err *why)
{
	struct kube_end end = {
		.listing = listing,
		.brought = !listing && w->brought,
		.lived_ms = listing ? 0 : uv_now(w->timer.loop) - w->began_ms,
		.code = code,
		.retry_after_s = retry_after_s,
	};
	struct kube_next next = kube_retry(&end, &w->failures, kube_client_random(w->client));

	kube_call_cancel(TAKE(w->call));
	kube_known_abort_list(&w->known);
	kube_lines_fini(&w->lines);
	free(TAKE(w->next_page));
	w->list_next = next.list;
	uv_timer_start(&w->timer, on_timer, next.delay_ms, 0);
	if (code < 0 && w->handler.trouble)
		w->handler.trouble(w->data, why, next.delay_ms);
}

static void tell_present(
	struct kube_watch *w, enum kube_news news, const struct kube_gone *former, json_t *object)
{
	if (news == KUBE_NEWS_REPLACED)
		w->handler.deleted(w->data, former, NULL);
	if (w->stopped)
		return;
	if (news == KUBE_NEWS_MODIFIED)
		w->handler.modified(w->data, object);
	else
		w->handler.added(w->data, object);
}

static int put(struct kube_watch *w, const struct kube_meta *m, json_t *object, struct err *err)
{
	enum kube_news news;
	struct kube_gone former;
	int r = kube_known_put(&w->known, m, &news, &former, err);

	if (r == 0)
		tell_present(w, news, &former, object);
	return r;
}

static int take_items(struct kube_watch *w, const json_t *items, struct err *err)
{
	if (!json_is_array(items) && !json_is_null(items))
		return err_set(err, -EPROTO, "the API server sent a list without items");
	for (size_t i = 0; i < json_array_size(items) && !w->stopped; i++) {
		json_t *object = json_array_get(items, i);
		struct kube_meta m;
		int r = kube_meta_read(object, &m, err);

		if (r == 0)
			r = put(w, &m, object, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static void finish_list(struct kube_watch *w)
{
	struct kube_gone gone;

	while (!w->stopped && kube_known_next_missing(&w->known, &gone))
		w->handler.deleted(w->data, &gone, NULL);
	w->whole = false;
	if (!w->stopped)
		w->handler.synced(w->data);
	if (!w->stopped)
		begin_stream(w);
}

static int ask_page(struct kube_watch *w, struct err *err);

/* 1: a further page is asked for. 0: that was the last. */
static int take_page(struct kube_watch *w, const json_t *list, struct err *err)
{
	const json_t *metadata = json_object_get(list, "metadata");
	const char *version = json_string_value(json_object_get(metadata, "resourceVersion"));
	const char *next = json_string_value(json_object_get(metadata, "continue"));
	int r;

	if (!version || strlen(version) >= sizeof(w->version))
		return err_set(err, -EPROTO, "the API server sent a list without a version");
	r = take_items(w, json_object_get(list, "items"), err);
	if (r < 0 || w->stopped)
		return r;
	strcpy(w->version, version);
	free(TAKE(w->next_page));
	if (!next || !*next)
		return 0;
	w->next_page = strdup(next);
	if (!w->next_page)
		return err_set(err, -ENOMEM, "out of memory");
	r = ask_page(w, err);
	return r < 0 ? r : 1;
}

static void on_page(void *data, const struct kube_answer *answer)
{
	struct kube_watch *w = data;
	struct err err = answer->err;
	int r = answer->code;

	w->call = NULL;
	if (r == -ESTALE)
		w->whole = true;
	if (r == 0)
		r = take_page(w, answer->object, &err);
	if (w->stopped)
		return;
	if (r < 0)
		go_on(w, true, r, answer->status.retry_after_s, &err);
	else if (r == 0)
		finish_list(w);
}

static int ask_page(struct kube_watch *w, struct err *err)
{
	cleanup_free char *path = strdup(w->path);
	struct kube_order order = {
		.method = "GET",
		.timeout_ms = w->client->timeout_ms,
		.done = on_page,
		.data = w,
	};
	char limit[16];
	int r;

	if (!path)
		return err_set(err, -ENOMEM, "out of memory");
	snprintf(limit, sizeof(limit), "%u", w->page);
	r = kube_path_add(&path, "limit", w->whole ? NULL : limit, err);
	if (r == 0)
		r = kube_path_add(&path, "continue", w->next_page, err);
	if (r < 0)
		return r;
	order.path = TAKE(path);
	return kube_call_make(w->client, &order, &w->call, err);
}

static void begin_list(struct kube_watch *w)
{
	struct err err = ERR_NULL;
	int r = kube_known_begin_list(&w->known, &err);

	if (r == 0)
		r = ask_page(w, &err);
	if (r < 0)
		go_on(w, true, r, 0, &err);
}

static int act_on(
	struct kube_watch *w, struct kube_event *e, unsigned *retry_after_s, struct err *err)
{
	struct kube_status status;
	struct kube_gone gone;
	int r = 0;

	switch (e->type) {
	case KUBE_EVENT_ERROR:
		kube_status_of(e->object, &status);
		*retry_after_s = status.retry_after_s;
		return err_set(err, status.code, "the API server ended the watch: %u %s: %s",
			status.http, status.reason, status.message);
	case KUBE_EVENT_BOOKMARK:
		break;
	case KUBE_EVENT_DELETED:
		if (kube_known_drop(&w->known, &e->meta, &gone) == KUBE_NEWS_DELETED)
			w->handler.deleted(w->data, &gone, e->object);
		break;
	default:
		r = put(w, &e->meta, e->object, err);
	}
	if (r < 0 || w->stopped)
		return r;
	strcpy(w->version, e->meta.resource_version);
	w->brought = true;
	return 0;
}

static void on_bytes(void *data, struct bytes piece)
{
	struct kube_watch *w = data;
	struct err err = ERR_NULL;
	struct bytes line;
	unsigned retry_after_s = 0;
	int r = kube_lines_feed(&w->lines, piece);

	while (r == 0 && !w->stopped) {
		cleanup_kube_event struct kube_event e = KUBE_EVENT_NULL;

		r = kube_lines_next(&w->lines, &line);
		if (r <= 0)
			break;
		r = line.len ? kube_event_parse(line, &e, &err) : 0;
		if (r == 0 && line.len)
			r = act_on(w, &e, &retry_after_s, &err);
	}
	if (r == 0 || w->stopped)
		return;
	if (!err.code)
		err_set(&err, r, "an event of the watch is longer than %zu bytes", w->lines.max);
	go_on(w, false, r, retry_after_s, &err);
}

static void on_stream_end(void *data, const struct kube_answer *answer)
{
	struct kube_watch *w = data;

	w->call = NULL;
	go_on(w, false, answer->code, answer->status.retry_after_s, &answer->err);
}

static int stream_path(struct kube_watch *w, unsigned timeout_s, char **ret, struct err *err)
{
	cleanup_free char *path = strdup(w->path);
	char timeout[16];
	int r;

	if (!path)
		return err_set(err, -ENOMEM, "out of memory");
	snprintf(timeout, sizeof(timeout), "%u", timeout_s);
	r = kube_path_add(&path, "watch", "1", err);
	if (r == 0)
		r = kube_path_add(&path, "allowWatchBookmarks", "true", err);
	if (r == 0)
		r = kube_path_add(&path, "resourceVersion", w->version, err);
	if (r == 0)
		r = kube_path_add(&path, "timeoutSeconds", timeout, err);
	if (r == 0)
		*ret = TAKE(path);
	return r;
}

static void begin_stream(struct kube_watch *w)
{
	unsigned timeout_s =
		w->timeout_s + (unsigned)(kube_client_random(w->client) % (w->timeout_s / 2 + 1));
	struct kube_order order = {
		.method = "GET",
		.timeout_ms = (timeout_s + w->grace_s) * 1000,
		.more = on_bytes,
		.done = on_stream_end,
		.data = w,
	};
	struct err err = ERR_NULL;
	int r = stream_path(w, timeout_s, &order.path, &err);

	w->brought = false;
	w->began_ms = uv_now(w->timer.loop);
	if (r == 0)
		r = kube_call_make(w->client, &order, &w->call, &err);
	if (r < 0)
		go_on(w, false, r, 0, &err);
}

static int set_path(struct kube_watch *w, const struct kube_ref *ref,
	const struct kube_watch_options *options, struct err *err)
{
	int r = kube_path(ref, &w->path, err);

	if (r == 0)
		r = kube_path_add(&w->path, "labelSelector", options->label_selector, err);
	if (r == 0)
		r = kube_path_add(&w->path, "fieldSelector", options->field_selector, err);
	return r;
}

CLEANUP_DEFINE(struct kube_watch *, watch_free)

int kube_watch_start(struct kube_watch **ret, struct kube_client *c, const struct kube_ref *ref,
	const struct kube_watch_options *options, const struct kube_watch_handler *handler,
	void *data, struct err *err)
{
	__attribute__((cleanup(watch_free_p))) struct kube_watch *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return err_set(err, -ENOMEM, "out of memory");
	w->client = c;
	w->handler = *handler;
	w->data = data;
	w->timeout_s = options->timeout_s ? options->timeout_s : KUBE_WATCH_TIMEOUT_S;
	w->grace_s = options->grace_s ? options->grace_s : KUBE_WATCH_GRACE_S;
	w->page = options->page ? options->page : KUBE_WATCH_PAGE;
	w->lines = KUBE_LINES(
		options->line_max_bytes ? options->line_max_bytes : KUBE_WATCH_LINE_MAX_BYTES);
	r = set_path(w, ref, options, err);
	if (r == 0)
		r = kube_known_init(&w->known, err);
	if (r < 0)
		return r;
	w->list_next = true;
	w->timer.data = w;
	uv_timer_init(c->multi.loop, &w->timer);
	uv_timer_start(&w->timer, on_timer, 0, 0);
	*ret = TAKE(w);
	return 0;
}

void kube_watch_stop(struct kube_watch *w)
{
	if (!w || w->stopped)
		return;
	w->stopped = true;
	kube_call_cancel(TAKE(w->call));
	uv_close((uv_handle_t *)&w->timer, on_closed);
}
