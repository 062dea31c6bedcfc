// SPDX-License-Identifier: Apache-2.0
#include "cluster/nodeplugin/errand.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cluster/nodeplugin/reclaim.h"
#include "cluster/nodeplugin/report.h"

/* The kubelet waits 45 s (kubernetes/kubernetes, pkg/kubelet/cm/dra/plugin, defaultClientCallTimeout). */
#define ERRAND_MS 40000
/* The kubelet asks again only after a minute or more: what comes back soon is waited for here. */
#define BUSY_MS 20 /* taktd is just changing that reservation */
#define AWAY_MS 200 /* taktd does not answer */

const char errand_no_memory[] = "takt-dra is out of memory";

const char *errand_key(const struct errand *e, const char *key)
{
	return json_string_value(json_object_get(e->key, key));
}

static void on_timer_closed(uv_handle_t *handle)
{
	free(container_of((uv_timer_t *)handle, struct errand, timer));
}

static void errand_free(struct errand *e)
{
	struct errand **at = &e->plugin->errands;

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	kube_call_cancel(e->reading);
	claim_fini(&e->claim);
	json_decref(e->object);
	json_decref(e->reservations);
	json_decref(e->releases);
	json_decref(e->key);
	uv_close((uv_handle_t *)&e->timer, on_timer_closed);
}

bool errand_is_of(const struct errand *e, const char *uid, bool unprepare)
{
	return e->unprepare == unprepare && e->key && strcmp(errand_key(e, "uid"), uid) == 0;
}

const struct errand *errand_find(const struct errand *e, const char *uid, bool unprepare)
{
	while (e && !errand_is_of(e, uid, unprepare))
		e = e->next;
	return e;
}

/* A prepare is behind all that came before, as it may give back what another one has found. */
static bool is_behind_another(const struct errand *e)
{
	const char *uid = errand_key(e, "uid");

	return errand_find(e->next, uid, false) ||
	       (!e->unprepare && errand_find(e->next, uid, true));
}

void errand_begin(struct errand *e)
{
	e->waits = is_behind_another(e);
	if (!e->waits)
		e->begin(e);
}

/* Those that waited for one that has ended. */
static void go_on(struct plugin *p)
{
	struct errand *next;

	do {
		next = p->errands;
		while (next && (!next->waits || is_behind_another(next)))
			next = next->next;
		if (next)
			errand_begin(next);
	} while (next);
}

void errand_answer(struct errand *e, const char *error)
{
	if (error)
		plugin_log("claim %s/%s: %s", errand_key(e, "namespace"), errand_key(e, "name"),
			error);
	kubelet_done(TAKE(e->task), error);
}

void errand_end(struct errand *e, int code, const char *error)
{
	struct plugin *p = e->plugin;

	if (e->task)
		errand_answer(e, code < 0 ? error : NULL);
	if (e->unprepare && code == 0)
		report_released(
			p, errand_key(e, "namespace"), errand_key(e, "name"), errand_key(e, "uid"));
	else if (!e->unprepare && code == 0)
		report_prepared(p, e->object, e->reservations);
	else if (!e->unprepare && e->object && code != -ESTALE && !e->given_up && !e->elsewhere)
		report_refused(p, e->object, e->reservations, code, error);
	errand_free(e);
	go_on(p);
}

bool errand_time_is_up(const struct errand *e)
{
	return !e->task || uv_now(&e->plugin->loop) >= e->until;
}

static void on_timer(uv_timer_t *timer)
{
	struct errand *e = container_of(timer, struct errand, timer);
	void (*resume)(struct errand * e) = TAKE(e->resume);

	if (resume && errand_time_is_up(e)) {
		errand_end(e, e->code, e->refusal);
	} else if (resume) {
		uv_timer_start(timer, on_timer, e->until - uv_now(timer->loop), 0);
		resume(e);
	} else if (e->task) {
		errand_answer(e,
			e->refusal[0] ? e->refusal
				      : "taktd or the API server took too long: it is tried again");
		reclaim_hurry(e->plugin, e);
	}
}

void errand_refused(struct errand *e, int code, const char *sentence)
{
	e->code = code;
	snprintf(e->refusal, sizeof(e->refusal), "%s", sentence);
}

void errand_try_again(struct errand *e, uint64_t pause_ms, void (*resume)(struct errand *e))
{
	uint64_t now = uv_now(&e->plugin->loop), left = e->until > now ? e->until - now : 0;

	if (errand_time_is_up(e)) {
		errand_end(e, e->code, e->refusal);
		return;
	}
	e->resume = resume;
	uv_timer_start(&e->timer, on_timer, pause_ms < left ? pause_ms : left, 0);
}

bool errand_is_away(int code)
{
	return code == -ENOENT || code == -ECONNREFUSED || code == -ECONNRESET ||
	       code == -ETIMEDOUT;
}

void errand_agent_refused(
	struct errand *e, int code, const char *sentence, void (*resume)(struct errand *e))
{
	errand_refused(e, code, sentence);
	if (code == -EBUSY)
		errand_try_again(e, BUSY_MS, resume);
	else if (errand_is_away(code))
		errand_try_again(e, AWAY_MS, resume);
	else
		errand_end(e, e->code, e->refusal);
}

struct errand *errand_create(struct plugin *p, struct kubelet_task *task, bool unprepare,
	void (*begin)(struct errand *e))
{
	struct errand *e = calloc(1, sizeof(*e));

	if (!e) {
		kubelet_done(task, errand_no_memory);
		return NULL;
	}
	e->plugin = p;
	e->task = task;
	e->unprepare = unprepare;
	e->begin = begin;
	e->reservations = json_array();
	e->releases = json_array();
	e->key = json_pack("{s:s, s:s, s:s}", "namespace", kubelet_task_namespace(task), "name",
		kubelet_task_name(task), "uid", kubelet_task_uid(task));
	uv_timer_init(&p->loop, &e->timer);
	e->next = p->errands;
	p->errands = e;
	if (!e->key || !e->reservations || !e->releases) {
		errand_end(e, -ENOMEM, errand_no_memory);
		return NULL;
	}
	/* The loop's time may be that of its last turn. */
	uv_update_time(&p->loop);
	e->until = uv_now(&p->loop) + ERRAND_MS;
	uv_timer_start(&e->timer, on_timer, ERRAND_MS, 0);
	return e;
}

void errands_stop(struct plugin *p)
{
	while (p->errands) {
		/* Its call goes with its connection. */
		if (p->errands->task)
			kubelet_done(TAKE(p->errands->task), "takt-dra is ending");
		errand_free(p->errands);
	}
}

static void on_registered(void *user, const char *why)
{
	checks_registered(user, why);
	if (why) {
		plugin_log("the kubelet does not take us: %s", why);
		return;
	}
	plugin_log("registered with the kubelet");
	publish_registered(user);
	reclaim_soon(user);
}

const struct kubelet_handler errand_handler = { prepare_task, unprepare_task, on_registered };
