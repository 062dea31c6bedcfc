// SPDX-License-Identifier: Apache-2.0
/*
 * Prepare: the claim as the API server has it, then a Reserve for each of its devices; taktd's
 * answer means that the promise is on disk and its CDI file is there. Where the node is full, what
 * it holds for claims that are over is ended first. Unprepare: Release of all that was reserved for
 * the claim's uid, which needs no claim object. While a container holds any of it all is kept,
 * whatever the kubelet thinks, and the answer is an error, so that it asks again: with a shared claim
 * it may unprepare for a pod that never ran, beside one that does (kubernetes/kubernetes 140212). One
 * that comes between the look and the Releases keeps what it holds.
 * Both may come again at any time; on one claim they go one after the other, an unprepare ends the
 * prepare that it finds under way, and a prepare the unprepare that only waits for a container; so
 * nothing is promised once an unprepare went well. What a power cut brings back of a lazy Release,
 * reclaim.c ends. The kubelet is answered first; only then is the outcome told to anybody else.
 */
#include "cluster/nodeplugin/nodeplugin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cluster/dra/claim.h"
#include "cluster/dra/over.h"
#include "cluster/kube/retry.h"
#include "cluster/nodeplugin/door.h"
#include "cluster/nodeplugin/reclaim.h"
#include "cluster/nodeplugin/report.h"
#include "core/document/document.h"

/* The kubelet waits 45 s (kubernetes/kubernetes, pkg/kubelet/cm/dra/plugin, defaultClientCallTimeout). */
#define ERRAND_MS 40000
#define RECLAIM_MS 30000
/* The kubelet asks again only after a minute or more: what comes back soon is waited for here. */
#define BUSY_MS 20 /* taktd is just changing that reservation */
#define HELD_MS 250 /* a container holds it */
/*
 * The kubelet has ended a pod's containers before, and taktd may hear of that late. One that goes on
 * is not waited for, lest its promise is ended between two runs of it.
 */
#define HELD_MAX_MS 2000
#define AWAY_MS 200 /* taktd does not answer */
#define FAILURES_MAX 3 /* of the API server, with which the pause grows: to 1.6 s */

/* One claim on its way. */
struct errand {
	struct errand *next;
	struct plugin *plugin;
	struct kubelet_task
		*task; /* NULL: answered, as its time was up; an answer is still to come */
	bool unprepare;
	bool waits; /* for those before it, on the same claim */
	bool renewed; /* prepare: another promise under the name that comes now was ended */
	bool elsewhere; /* prepare: it is another node's claim, and what is told of it is that one's */
	bool given_up; /* prepare: the kubelet has asked for the opposite since */
	struct kube_call *reading; /* the claim; NULL: not now */
	uint64_t until; /* uv_now() */
	unsigned failures; /* of the API server */
	uv_timer_t timer; /* its time is up, or the pause before `resume` */
	void (*resume)(struct errand *e); /* NULL: it does not pause */
	json_t *key; /* namespace, name, uid: the task's own go with its answer */
	json_t *object;
	struct claim claim;
	size_t at; /* the result that is being reserved */
	json_t *reservations; /* taktd's, of those that were */
	int code; /* of the last refusal */
	char refusal[ERR_TEXT_MAX]; /* "": none yet */
	uint64_t n_released; /* the plugin's, before the last Reserve */
	json_t *releases; /* parameters of those that are still to come; the last one is the next */
	uint64_t held_since; /* unprepare: uv_now() when a container was found; 0: none is there */
};

static const char no_memory[] = "takt-dra is out of memory";

static const char *key_of(const struct errand *e, const char *key)
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

static bool is_of(const struct errand *e, const char *uid, bool unprepare)
{
	return e->unprepare == unprepare && e->key && strcmp(key_of(e, "uid"), uid) == 0;
}

/* The first from that one on. */
static const struct errand *find_of(const struct errand *e, const char *uid, bool unprepare)
{
	while (e && !is_of(e, uid, unprepare))
		e = e->next;
	return e;
}

/* One of the other kind came before it; the newest is the first of the list. */
static bool is_behind_another(const struct errand *e)
{
	return find_of(e->next, key_of(e, "uid"), !e->unprepare);
}

static void release_claim(struct errand *e);
static void read_claim(struct errand *e);

static void begin(struct errand *e)
{
	e->waits = is_behind_another(e);
	if (!e->waits && e->unprepare)
		release_claim(e);
	else if (!e->waits)
		read_claim(e);
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
			begin(next);
	} while (next);
}

static void answer(struct errand *e, const char *error)
{
	if (error)
		plugin_log("claim %s/%s: %s", key_of(e, "namespace"), key_of(e, "name"), error);
	kubelet_done(TAKE(e->task), error);
}

/* code 0: it went well. An errand whose time was up is only told now, if it went well after all. */
static void end(struct errand *e, int code, const char *error)
{
	struct plugin *p = e->plugin;

	if (e->task)
		answer(e, code < 0 ? error : NULL);
	if (e->unprepare && code == 0)
		report_released(p, key_of(e, "namespace"), key_of(e, "name"), key_of(e, "uid"));
	else if (!e->unprepare && code == 0)
		report_prepared(p, e->object, e->reservations);
	else if (!e->unprepare && e->object && code != -ESTALE && !e->given_up && !e->elsewhere)
		report_refused(p, e->object, e->reservations, code, error);
	errand_free(e);
	go_on(p);
}

static bool time_is_up(const struct errand *e)
{
	return !e->task || uv_now(&e->plugin->loop) >= e->until;
}

static void on_timer(uv_timer_t *timer)
{
	struct errand *e = container_of(timer, struct errand, timer);
	void (*resume)(struct errand * e) = TAKE(e->resume);

	if (resume && time_is_up(e)) {
		end(e, e->code, e->refusal);
	} else if (resume) {
		uv_timer_start(timer, on_timer, e->until - uv_now(timer->loop), 0);
		resume(e);
	} else if (e->task) {
		answer(e, e->refusal[0]
				  ? e->refusal
				  : "taktd or the API server took too long: it is tried again");
	}
}

static void refused(struct errand *e, int code, const char *sentence)
{
	e->code = code;
	snprintf(e->refusal, sizeof(e->refusal), "%s", sentence);
}

/* What may be otherwise in a moment is tried again, as long as the kubelet waits. */
static void try_again(struct errand *e, uint64_t pause_ms, void (*resume)(struct errand *e))
{
	uint64_t now = uv_now(&e->plugin->loop), left = e->until > now ? e->until - now : 0;

	if (time_is_up(e)) {
		end(e, e->code, e->refusal);
		return;
	}
	e->resume = resume;
	uv_timer_start(&e->timer, on_timer, pause_ms < left ? pause_ms : left, 0);
}

/* taktd is. */
static bool is_away(int code)
{
	return code == -ENOENT || code == -ECONNREFUSED || code == -ECONNRESET ||
	       code == -ETIMEDOUT;
}

/* An answer of taktd that is no yes. */
static void agent_refused(
	struct errand *e, int code, const char *sentence, void (*resume)(struct errand *e))
{
	refused(e, code, sentence);
	if (code == -EBUSY)
		try_again(e, BUSY_MS, resume);
	else if (is_away(code))
		try_again(e, AWAY_MS, resume);
	else
		end(e, e->code, e->refusal);
}

/* unheld: only where nobody holds it by then. */
static int add_release(struct errand *e, const char *name, bool unheld)
{
	return json_array_append_new(e->releases,
		json_pack("{s:s, s:b, s:b}", "name", name, "lazy", 1, "unheld", unheld));
}

/* -ENOENT: none is left; -ENOMEM. */
static int call_release(struct errand *e, door_done *done)
{
	size_t n = json_array_size(e->releases);
	json_t *parameters;

	if (n == 0)
		return -ENOENT;
	parameters = json_incref(json_array_get(e->releases, n - 1));
	json_array_remove(e->releases, n - 1);
	return door_call(e->plugin->door, "rt.takt.Release", parameters, done, e);
}

static void give_back(struct errand *e);

/* Whether it went well or not: what is left of it, an unprepare ends or the next prepare finds. */
static void on_given_back(void *data, int code, const json_t *reply, const char *error)
{
	struct errand *e = data;

	e->plugin->n_released += code == 0;
	give_back(e);
}

static void give_back(struct errand *e)
{
	if (call_release(e, on_given_back) < 0)
		end(e, e->code, e->refusal);
}

/*
 * There is no room for all of the claim: what was reserved of it is kept from no other claim that may
 * run with it. Of two that each wait for the rest both would wait for ever.
 */
static void no_room_for_all(struct errand *e)
{
	const json_t *one;
	size_t i;

	json_array_foreach (e->reservations, i, one)
		add_release(e, json_string_value(json_object_get(one, "name")), true);
	json_array_clear(e->reservations);
	give_back(e);
}

static void reserve_next(struct errand *e);

static void add_device(struct errand *e, const json_t *reply)
{
	const struct claim_result *r = &e->claim.results[e->at];
	struct kubelet_device d = { r->request, r->pool, r->device, r->share_id,
		json_string_value(json_object_get(reply, "device")) };

	if (!d.cdi || kubelet_add_device(e->task, &d) < 0 ||
		json_array_append(e->reservations, json_object_get(reply, "reservation")) < 0) {
		end(e, -ENOMEM, no_memory);
		return;
	}
	e->at++;
	e->renewed = false;
	reserve_next(e);
}

/* What was released makes room, by whomever; else the first answer stands. */
static void on_reclaimed(void *data, const struct reclaimed *result)
{
	struct errand *e = data;
	bool more = result->released > 0 || e->plugin->n_released != e->n_released;

	if (more && !time_is_up(e))
		reserve_next(e);
	else
		no_room_for_all(e);
}

static void no_room(struct errand *e, const char *sentence)
{
	uint64_t now = uv_now(&e->plugin->loop), left = e->until > now ? e->until - now : 0;

	refused(e, -ENOSPC, sentence);
	if (reclaim_start(e->plugin, left < RECLAIM_MS ? left : RECLAIM_MS, on_reclaimed, e) < 0)
		no_room_for_all(e);
}

/* -ESRCH: somebody else ended it. Whoever holds it keeps it: the first answer stands. */
static void on_old_released(void *data, int code, const json_t *reply, const char *error)
{
	struct errand *e = data;

	if (code == 0 || code == -ESRCH) {
		reserve_next(e);
		return;
	}
	e->renewed = !is_away(code);
	if (e->renewed)
		end(e, -EEXIST, e->refusal);
	else
		agent_refused(e, code, error, reserve_next);
}

/* Of an allocation before this one: a power cut undid its lazy Release. */
static void end_old(struct errand *e, const char *sentence)
{
	json_t *parameters =
		json_pack("{s:s, s:b}", "name", e->claim.results[e->at].resv.name, "unheld", 1);

	e->renewed = true;
	refused(e, -EEXIST, sentence);
	if (door_call(e->plugin->door, "rt.takt.Release", parameters, on_old_released, e) < 0)
		end(e, -ENOMEM, no_memory);
}

static void on_reserved(void *data, int code, const json_t *reply, const char *error)
{
	struct errand *e = data;

	if (code == -ENOSPC && !time_is_up(e))
		no_room(e, error);
	else if (code == -EEXIST && !e->renewed)
		end_old(e, error);
	else if (code < 0)
		agent_refused(e, code, error, reserve_next);
	else if (!e->task)
		end(e, -ETIMEDOUT, "taktd took too long: it is tried again");
	else
		add_device(e, reply);
}

static void reserve_next(struct errand *e)
{
	json_t *document;

	if (e->at == e->claim.n) {
		runtime_learn(e->plugin, e->object, &e->claim);
		end(e, 0, NULL);
		return;
	}
	e->n_released = e->plugin->n_released;
	document = document_to_json(&e->claim.results[e->at].resv);
	if (!document || door_call(e->plugin->door, "rt.takt.Reserve",
				 json_pack("{s:o, s:b}", "document", document, "shareable", 1),
				 on_reserved, e) < 0)
		end(e, -ENOMEM, no_memory);
}

static bool may_come_back(int code)
{
	return code == -ECONNREFUSED || code == -EHOSTUNREACH || code == -ETIMEDOUT ||
	       code == -EIO || code == -EBUSY || code == -EREMOTEIO;
}

static uint64_t may_ask_in_ms(struct errand *e, const struct kube_answer *answer)
{
	unsigned failures = e->failures < FAILURES_MAX ? e->failures++ : FAILURES_MAX;

	return kube_wait_ms(failures, answer->status.retry_after_s, uv_hrtime());
}

static void on_claim(void *data, const struct kube_answer *answer)
{
	struct errand *e = data;
	struct err err = ERR_NULL;
	int r;

	e->reading = NULL;
	if (answer->code < 0) {
		refused(e, answer->code, answer->err.text);
		if (may_come_back(answer->code))
			try_again(e, may_ask_in_ms(e, answer), read_claim);
		else
			end(e, answer->code, e->refusal);
		return;
	}
	if (!e->task) {
		end(e, -ETIMEDOUT, e->refusal);
		return;
	}
	e->object = json_incref(answer->object);
	r = claim_read(e->object, key_of(e, "uid"), e->plugin->node, &e->claim, &err);
	e->elsewhere = r == -EXDEV;
	if (r < 0)
		end(e, r == -ENOENT ? -EPROTO : r, err.text); /* -ENOENT: taktd is not there */
	else
		reserve_next(e);
}

static void read_claim(struct errand *e)
{
	struct kube_ref ref = { { "resource.k8s.io", "v1", "resourceclaims" },
		key_of(e, "namespace"), key_of(e, "name"), NULL };
	struct err err = ERR_NULL;

	if (kube_get(e->plugin->kube, &ref, on_claim, e, &e->reading, &err) < 0)
		end(e, -EINVAL, err.text);
}

static struct errand *errand_create(void *user, struct kubelet_task *task, bool unprepare)
{
	struct errand *e = calloc(1, sizeof(*e));
	struct plugin *p = user;

	if (!e) {
		kubelet_done(task, no_memory);
		return NULL;
	}
	e->plugin = p;
	e->task = task;
	e->unprepare = unprepare;
	e->reservations = json_array();
	e->releases = json_array();
	e->key = json_pack("{s:s, s:s, s:s}", "namespace", kubelet_task_namespace(task), "name",
		kubelet_task_name(task), "uid", kubelet_task_uid(task));
	uv_timer_init(&p->loop, &e->timer);
	e->next = p->errands;
	p->errands = e;
	if (!e->key || !e->reservations || !e->releases) {
		end(e, -ENOMEM, no_memory);
		return NULL;
	}
	/* The loop's time may be that of its last turn. */
	uv_update_time(&p->loop);
	e->until = uv_now(&p->loop) + ERRAND_MS;
	uv_timer_start(&e->timer, on_timer, ERRAND_MS, 0);
	return e;
}

bool prepare_is_at(const struct plugin *p, const char *uid)
{
	return find_of(p->errands, uid, false);
}

bool unprepare_is_at(const struct plugin *p, const char *uid)
{
	const struct errand *e = p->errands;

	while (e && (!is_of(e, uid, true) || e->held_since))
		e = e->next;
	return e;
}

void prepare_stop(struct plugin *p)
{
	while (p->errands) {
		/* Its call goes with its connection. */
		if (p->errands->task)
			kubelet_done(TAKE(p->errands->task), "takt-dra is ending");
		errand_free(p->errands);
	}
}

/* For a container alone. */
static struct errand *unprepare_that_waits(const struct errand *e)
{
	struct errand *one = e->next;

	while (one && (!one->resume || !one->held_since || !is_of(one, key_of(e, "uid"), true)))
		one = one->next;
	return one;
}

static void on_prepare(void *user, struct kubelet_task *task)
{
	struct errand *e = errand_create(user, task, false), *before;

	if (!e)
		return;
	reclaim_spare(e->plugin, key_of(e, "uid"));
	while ((before = unprepare_that_waits(e)))
		end(before, before->code, before->refusal);
	begin(e);
}

static void release_next(struct errand *e);

/* What is not there any more was released before. */
static void on_released(void *data, int code, const json_t *reply, const char *error)
{
	struct errand *e = data;

	e->plugin->n_released += code == 0;
	if (code < 0 && code != -ESRCH)
		agent_refused(e, code, error, release_claim);
	else
		release_next(e);
}

static void release_next(struct errand *e)
{
	int r = call_release(e, on_released);

	if (r == -ENOENT) {
		runtime_forget(e->plugin, key_of(e, "uid"));
		end(e, 0, NULL);
	} else if (r < 0) {
		end(e, -ENOMEM, no_memory);
	}
}

/* One that holds it; NULL: none. */
static const char *container_that_holds(const json_t *resv)
{
	return json_string_value(json_array_get(json_object_get(resv, "containers"), 0));
}

static void wait_for_container(struct errand *e, const json_t *resv)
{
	uint64_t now = uv_now(&e->plugin->loop);
	char sentence[ERR_TEXT_MAX];

	if (!e->held_since)
		e->held_since = now;
	snprintf(sentence, sizeof(sentence), "%s is held by container %.64s: it is kept",
		json_string_value(json_object_get(resv, "name")), container_that_holds(resv));
	refused(e, -EBUSY, sentence);
	if (now - e->held_since < HELD_MAX_MS && !prepare_is_at(e->plugin, key_of(e, "uid")))
		try_again(e, HELD_MS, release_claim);
	else
		end(e, e->code, e->refusal);
}

static void on_listed(void *data, int code, const json_t *reply, const char *error)
{
	const json_t *resv, *running = NULL;
	struct errand *e = data;
	size_t i;

	if (code < 0) {
		agent_refused(e, code, error, release_claim);
		return;
	}
	json_array_clear(e->releases);
	json_array_foreach (json_object_get(reply, "reservations"), i, resv) {
		const char *name = json_string_value(json_object_get(resv, "name"));
		struct over_owner o;
		bool by_hand; /* held by no container: whoever holds it gives way */

		if (!name || !claim_owns(name, key_of(e, "uid")))
			continue;
		if (container_that_holds(resv))
			running = resv;
		by_hand = over_owner_read(resv, &o) && o.held && !o.draining;
		if (add_release(e, name, !by_hand) < 0) {
			end(e, -ENOMEM, no_memory);
			return;
		}
	}
	if (running) {
		wait_for_container(e, running);
		return;
	}
	e->held_since = 0;
	release_next(e);
}

static void release_claim(struct errand *e)
{
	char first[RESV_NAME_MAX + 1];

	claim_prefix(key_of(e, "name"), key_of(e, "uid"), first);
	if (door_call(e->plugin->door, "rt.takt.List", json_pack("{s:s}", "prefix", first),
		    on_listed, e) < 0)
		end(e, -ENOMEM, no_memory);
}

/* Where it waits for taktd it ends with that answer, and is told to the kubelet now. */
static void give_up(struct errand *e)
{
	static const char why[] = "the kubelet has unprepared the claim meanwhile";

	e->given_up = true;
	reclaim_hurry(e->plugin, e);
	if (e->waits || e->resume || e->reading)
		end(e, -ECANCELED, why);
	else if (e->task)
		answer(e, why);
}

static struct errand *prepare_before(const struct errand *e)
{
	struct errand *one = e->next;

	while (one && (one->given_up || !is_of(one, key_of(e, "uid"), false)))
		one = one->next;
	return one;
}

static void on_unprepare(void *user, struct kubelet_task *task)
{
	struct errand *e = errand_create(user, task, true), *before;

	if (!e)
		return;
	while ((before = prepare_before(e)))
		give_up(before);
	begin(e);
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

const struct kubelet_handler prepare_handler = { on_prepare, on_unprepare, on_registered };
