// SPDX-License-Identifier: Apache-2.0
#include "cluster/nodeplugin/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "cluster/dra/claim.h"
#include "cluster/dra/outcome.h"
#include "cluster/dra/over.h"
#include "cluster/kube/retry.h"
#include "cluster/nodeplugin/door.h"
#include "cluster/nodeplugin/nodeplugin.h"

#define REPORTS_MAX 512 /* that wait; the API server may be away for long */
#define AT_ONCE 4
#define TRIES_MAX 8
#define PODS_MAX 8 /* that get an Event of one refusal */
#define SOON_MS 500 /* a pod that starts needs the CPUs and the API server more */
#define TIME_MAX 40

/* What is to be told of one claim. */
struct report {
	struct report *next;
	struct plugin *plugin;
	json_t *key; /* namespace, name, uid */
	json_t *claim; /* NULL: to be read first */
	json_t *reservations; /* NULL: none */
	bool ask_taktd; /* for the reservations, first */
	bool ready;
	char reason[32], message[ERR_TEXT_MAX];
	bool say; /* an Event as well; later tries do not */
	bool running, read_again;
	unsigned failures;
	uint64_t due_ms; /* not before: uv_now() */
};

static const char *key_of(const struct report *r, const char *key)
{
	return json_string_value(json_object_get(r->key, key));
}

static struct outcome outcome_of(const struct report *r)
{
	return (struct outcome){ r->ready, r->reason, r->message };
}

static struct kube_ref claim_ref(const struct report *r, const char *subresource)
{
	return (struct kube_ref){ { "resource.k8s.io", "v1", "resourceclaims" },
		key_of(r, "namespace"), key_of(r, "name"), subresource };
}

static void report_free(struct report *r)
{
	json_decref(r->key);
	json_decref(r->claim);
	json_decref(r->reservations);
	free(r);
}

static void now_text(char ret[static TIME_MAX], bool micro)
{
	struct timespec now;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = strftime(ret, TIME_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	if (micro)
		snprintf(ret + n, TIME_MAX - n, ".%06ldZ", now.tv_nsec / 1000);
	else
		snprintf(ret + n, TIME_MAX - n, "Z");
}

static bool is_of(const struct report *r, const char *uid)
{
	return strcmp(key_of(r, "uid"), uid) == 0;
}

/* One word at a time of each claim: at most one runs, and a newer one waits. */
static bool waits_for_another(const struct report *r)
{
	for (const struct report *one = r->plugin->reports; one; one = one->next)
		if (one->running && is_of(one, key_of(r, "uid")))
			return true;
	return false;
}

static bool has_newer(const struct report *r)
{
	for (const struct report *one = r->next; one; one = one->next)
		if (is_of(one, key_of(r, "uid")))
			return true;
	return false;
}

/* The first to be due of those that can run. */
static struct report *next_of(const struct plugin *p)
{
	struct report *next = NULL;

	if (p->n_reports_running == AT_ONCE)
		return NULL;
	for (struct report *r = p->reports; r; r = r->next)
		if (!r->running && (!next || r->due_ms < next->due_ms) && !waits_for_another(r))
			next = r;
	return next;
}

static void on_timer(uv_timer_t *timer);

static void arm(struct plugin *p)
{
	const struct report *next = next_of(p);
	uint64_t now = uv_now(&p->loop);

	if (next)
		uv_timer_start(
			&p->report_timer, on_timer, next->due_ms > now ? next->due_ms - now : 0, 0);
	else
		uv_timer_stop(&p->report_timer);
}

static void ended(struct report *r)
{
	struct plugin *p = r->plugin;
	struct report **at = &p->reports;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	p->n_reports--;
	p->n_reports_running--;
	report_free(r);
	arm(p);
}

static void again(struct report *r, unsigned retry_after_s)
{
	struct plugin *p = r->plugin;

	r->running = false;
	r->due_ms = uv_now(&p->loop) + kube_wait_ms(r->failures++, retry_after_s, uv_hrtime());
	p->n_reports_running--;
	arm(p);
}

/* What the claim's end, or a newer word on it of whomever, makes pointless is not told. */
static void failed(struct report *r, int code, unsigned retry_after_s, const char *why)
{
	bool pointless = code == -ENOENT || code == -EAGAIN || has_newer(r);

	if (!pointless && code != -EINVAL && code != -EPERM && r->failures < TRIES_MAX) {
		again(r, retry_after_s);
		return;
	}
	if (!pointless)
		plugin_log("claim %s/%s: its status is not told: %s", key_of(r, "namespace"),
			key_of(r, "name"), why);
	ended(r);
}

static void failed_answer(struct report *r, const struct kube_answer *answer)
{
	failed(r, answer->code, answer->status.retry_after_s, answer->err.text);
}

static void read_claim(struct report *r);

static void on_applied(void *data, const struct kube_answer *answer)
{
	struct report *r = data;

	if (answer->code == -EINVAL && !r->read_again) {
		/* It may have lost its allocation since it was read, and its devices with that. */
		r->read_again = true;
		json_decref(TAKE(r->claim));
		read_claim(r);
	} else if (answer->code < 0) {
		failed_answer(r, answer);
	} else {
		ended(r);
	}
}

static void apply(struct report *r)
{
	struct outcome o = outcome_of(r);
	struct kube_ref ref = claim_ref(r, "status");
	cleanup_json json_t *wanted = NULL;
	struct err err = ERR_NULL;
	char now[TIME_MAX];

	now_text(now, false);
	wanted = outcome_status(r->claim, r->reservations, &o, r->plugin->node, now);
	if (!wanted || outcome_is_told(r->claim, wanted))
		ended(r);
	else if (kube_apply(r->plugin->kube, &ref, wanted, CLAIM_DRIVER, true, on_applied, r, NULL,
			 &err) < 0)
		failed(r, -ENOMEM, 0, err.text);
}

static void on_claim(void *data, const struct kube_answer *answer)
{
	struct report *r = data;
	const char *uid;

	if (answer->code < 0) {
		failed_answer(r, answer);
		return;
	}
	uid = json_string_value(
		json_object_get(json_object_get(answer->object, "metadata"), "uid"));
	if (!uid || strcmp(uid, key_of(r, "uid")) != 0) {
		ended(r);
		return;
	}
	r->claim = json_incref(answer->object);
	apply(r);
}

static void read_claim(struct report *r)
{
	struct kube_ref ref = claim_ref(r, NULL);
	struct err err = ERR_NULL;

	if (r->claim)
		apply(r);
	else if (kube_get(r->plugin->kube, &ref, on_claim, r, NULL, &err) < 0)
		failed(r, -ENOMEM, 0, err.text);
}

static void on_list(void *data, int code, const json_t *reply, const char *error)
{
	struct report *r = data;

	if (code < 0) {
		failed(r, code == -ENOMEM ? code : -EIO, 0, error);
		return;
	}
	r->reservations = json_incref(json_object_get(reply, "reservations"));
	/* Released meanwhile: who did that tells it. */
	if (json_array_size(r->reservations) == 0)
		ended(r);
	else
		read_claim(r);
}

static void say_all(struct report *r);

static void run(struct report *r)
{
	char prefix[RESV_NAME_MAX + 1];

	r->running = true;
	r->plugin->n_reports_running++;
	if (r->say)
		say_all(r);
	if (!r->ask_taktd || r->reservations) {
		read_claim(r);
		return;
	}
	claim_prefix(key_of(r, "name"), key_of(r, "uid"), prefix);
	if (door_call(r->plugin->door, "rt.takt.List", json_pack("{s:s}", "prefix", prefix),
		    on_list, r) < 0)
		failed(r, -ENOMEM, 0, "out of memory");
}

static void on_timer(uv_timer_t *timer)
{
	struct plugin *p = container_of(timer, struct plugin, report_timer);
	struct report *r;

	while ((r = next_of(p)) && r->due_ms <= uv_now(&p->loop))
		run(r);
	arm(p);
}

/* Of those that wait, an older word on the same claim. */
static void drop_older(struct plugin *p, const char *uid)
{
	struct report **at = &p->reports;

	while (*at) {
		struct report *r = *at;

		if (r->running || !is_of(r, uid)) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		p->n_reports--;
		report_free(r);
	}
}

static struct report *report_create(struct plugin *p, json_t *key)
{
	cleanup_json json_t *owned = key;
	struct report **at = &p->reports;
	struct report *r;
	const char *uid = json_string_value(json_object_get(owned, "uid"));

	if (!uid)
		return NULL;
	drop_older(p, uid);
	if (p->n_reports == REPORTS_MAX)
		return NULL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->plugin = p;
	r->key = TAKE(owned);
	r->due_ms = uv_now(&p->loop) + SOON_MS;
	while (*at)
		at = &(*at)->next;
	*at = r;
	p->n_reports++;
	arm(p);
	return r;
}

static json_t *key_from(const json_t *claim)
{
	const json_t *m = json_object_get(claim, "metadata");

	return json_pack("{s:O, s:O, s:O}", "namespace", json_object_get(m, "namespace"), "name",
		json_object_get(m, "name"), "uid", json_object_get(m, "uid"));
}

static void on_event(void *data, const struct kube_answer *answer)
{
	struct plugin *p = data;

	if (answer->code < 0 && !p->told_no_events)
		plugin_log("an Event was not written: %s", answer->err.text);
	p->told_no_events = answer->code < 0;
}

static void say(struct plugin *p, const struct outcome_about *about,
	const struct outcome_about *related, const struct outcome *o)
{
	static unsigned counter;
	const struct kube_ref ref = { { "events.k8s.io", "v1", "events" }, about->namespace };
	cleanup_json json_t *event = NULL;
	char name[254], now[TIME_MAX];

	if (!about->name || !about->uid || !about->namespace ||
		!outcome_may_say(&p->said, about->uid, o, uv_now(&p->loop)))
		return;
	now_text(now, true);
	snprintf(name, sizeof(name), "%.200s.%llx.%x", about->name, (unsigned long long)time(NULL),
		counter++);
	event = outcome_event(about, related, o, p->node, name, now);
	if (event)
		kube_create(p->kube, &ref, event, on_event, p, NULL, NULL);
}

static struct outcome_about about_claim(const json_t *claim)
{
	const json_t *m = json_object_get(claim, "metadata");

	return (struct outcome_about){ "resource.k8s.io/v1", "ResourceClaim",
		json_string_value(json_object_get(m, "namespace")),
		json_string_value(json_object_get(m, "name")),
		json_string_value(json_object_get(m, "uid")) };
}

/* On the pods that wait for it: there people look first. */
static void say_to_pods(struct plugin *p, const json_t *claim, const struct outcome *o)
{
	const json_t *users = json_object_get(json_object_get(claim, "status"), "reservedFor");
	struct outcome_about related = about_claim(claim);
	const json_t *one;
	size_t i;

	json_array_foreach ((json_t *)users, i, one) {
		const char *resource = json_string_value(json_object_get(one, "resource"));
		struct outcome_about about = { "v1", "Pod", related.namespace,
			json_string_value(json_object_get(one, "name")),
			json_string_value(json_object_get(one, "uid")) };

		if (i < PODS_MAX && resource && strcmp(resource, "pods") == 0)
			say(p, &about, &related, o);
	}
}

static void say_all(struct report *r)
{
	const char *why =
		json_string_value(json_object_get(json_array_get(r->reservations, 0), "reason"));
	struct outcome said = outcome_of(r);
	struct outcome_about about = about_claim(r->claim);

	r->say = false;
	if (r->ready) {
		said.reason = "Prepared";
		said.message = why && *why ? why : "it is promised";
	}
	say(r->plugin, &about, NULL, &said);
	if (!r->ready)
		say_to_pods(r->plugin, r->claim, &said);
}

static struct report *report_of(struct plugin *p, const json_t *claim, const json_t *reservations)
{
	struct report *r = report_create(p, key_from(claim));

	if (!r)
		return NULL;
	r->claim = json_incref((json_t *)claim);
	r->reservations = json_incref((json_t *)reservations);
	r->say = true;
	return r;
}

void report_prepared(struct plugin *p, const json_t *claim, const json_t *reservations)
{
	struct report *r = report_of(p, claim, reservations);

	if (!r)
		return;
	r->ready = true;
	snprintf(r->reason, sizeof(r->reason), OUTCOME_RESERVED);
}

void report_refused(struct plugin *p, const json_t *claim, const json_t *reservations, int code,
	const char *sentence)
{
	struct report *r = report_of(p, claim, reservations);

	if (!r)
		return;
	snprintf(r->reason, sizeof(r->reason), "%s", outcome_reason(code));
	snprintf(r->message, sizeof(r->message), "%s", sentence);
}

void report_released(struct plugin *p, const char *namespace, const char *name, const char *uid)
{
	struct report *r = report_create(
		p, json_pack("{s:s, s:s, s:s}", "namespace", namespace, "name", name, "uid", uid));

	if (!r)
		return;
	snprintf(r->reason, sizeof(r->reason), OUTCOME_RELEASED);
	snprintf(r->message, sizeof(r->message), "no container on this node uses it any more");
}

static bool waits(const struct plugin *p, const char *uid)
{
	const struct report *r = p->reports;

	while (r && (r->running || !is_of(r, uid)))
		r = r->next;
	return r;
}

static void report_changed(struct plugin *p, const json_t *reservation)
{
	struct over_owner o;
	struct report *r;

	if (!over_owner_read(reservation, &o))
		return;
	/* At the first look, what has just been prepared is told anyway, with an event. */
	if (!p->troubles && waits(p, o.uid))
		return;
	r = report_create(p, json_pack("{s:s, s:s, s:s}", "namespace", o.namespace, "name", o.claim,
				     "uid", o.uid));
	if (!r)
		return;
	r->ask_taktd = true;
	snprintf(r->reason, sizeof(r->reason), "NotPrepared");
	snprintf(r->message, sizeof(r->message), "it has no reservation on this node");
}

void report_look(struct plugin *p, const json_t *list)
{
	json_t *troubles = json_object();
	const json_t *one;
	size_t i;

	json_array_foreach ((json_t *)list, i, one) {
		const char *name = json_string_value(json_object_get(one, "name"));
		json_t *trouble = json_object_get(one, "trouble");
		const json_t *before = name ? json_object_get(p->troubles, name) : NULL;
		bool changed = (before || trouble) && !json_equal(before, trouble);

		if (name && json_is_string(trouble))
			json_object_set(troubles, name, trouble);
		/* At the first look: what an earlier takt-dra told may have ended since. */
		if (name && (changed || !p->troubles))
			report_changed(p, one);
	}
	json_decref(p->troubles);
	p->troubles = troubles;
}

void report_stop(struct plugin *p)
{
	struct report *next;

	json_decref(TAKE(p->troubles));

	for (struct report *r = p->reports; r; r = next) {
		next = r->next;
		report_free(r);
	}
	p->reports = NULL;
	p->n_reports = 0;
	uv_timer_stop(&p->report_timer);
}
