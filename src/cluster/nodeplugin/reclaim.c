// SPDX-License-Identifier: Apache-2.0
/*
 * The API server says whose claims are over, taktd says who still holds a promise: its word is the
 * kernel's. Release with `unheld` makes it one step: what is bound in between stays promised.
 */
#include "cluster/nodeplugin/reclaim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cluster/dra/over.h"
#include "cluster/nodeplugin/door.h"
#include "cluster/nodeplugin/nodeplugin.h"

#define AT_ONCE 8 /* questions to the API server */
#define LOOK_MS 50 /* between two looks at what is dying */
#define SOON_MS 500
#define AGAIN_MS (5 * 60 * 1000)
#define AGAIN_BLIND_MS 15000
#define AGAIN_DYING_MS 10000

struct suspect {
	struct sweep *sweep;
	struct over_owner owner; /* text in the sweep's list */
	bool spared;
	bool over; /* and held */
	bool released;
	const char *why;
};

struct sweep {
	struct plugin *plugin;
	struct sweep *next;
	uint64_t until; /* uv_now(); 0: who asked has given up */
	json_t *list;
	struct suspect *suspects;
	size_t n, at;
	unsigned pending;
	struct reclaimed result;
	json_t *dying; /* names */
	uv_timer_t timer;
	reclaim_done *done;
	void *data;
};

static void forget_list(struct sweep *s)
{
	json_decref(TAKE(s->list));
	free(TAKE(s->suspects));
	s->n = s->at = 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct sweep *s = container_of((uv_timer_t *)handle, struct sweep, timer);

	free(s);
}

static void sweep_free(struct sweep *s)
{
	struct sweep **at = &s->plugin->sweeps;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	forget_list(s);
	json_decref(TAKE(s->dying));
	uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}

static void on_reconcile(uv_timer_t *timer);

/* What is dying has nobody else to look after it, where who waited for it has given up. */
static void reconcile_within(struct plugin *p, uint64_t ms)
{
	if (!p->reconciling && uv_timer_get_due_in(&p->reconcile_timer) > ms)
		uv_timer_start(&p->reconcile_timer, on_reconcile, ms, 0);
}

static void finish(struct sweep *s)
{
	struct reclaimed result = s->result;
	reclaim_done *done = s->done;
	void *data = s->data;

	if (result.dying > 0)
		reconcile_within(s->plugin, AGAIN_DYING_MS);
	sweep_free(s);
	done(data, &result);
}

static void look_at_dying(struct sweep *s);

static void on_look(uv_timer_t *timer)
{
	struct sweep *s = container_of(timer, struct sweep, timer);

	look_at_dying(s);
}

static void wait_on(struct sweep *s)
{
	uv_timer_start(&s->timer, on_look, LOOK_MS, 0);
}

static void remember_dying(struct sweep *s)
{
	json_decref(TAKE(s->dying));
	s->dying = json_array();
	for (size_t i = 0; i < s->n; i++)
		if (s->suspects[i].over)
			json_array_append_new(
				s->dying, json_string(s->suspects[i].owner.reservation));
}

/* All of this round was asked and answered. */
static void round_ended(struct sweep *s)
{
	if (s->result.released > 0 || s->result.dying == 0 ||
		uv_now(&s->plugin->loop) >= s->until) {
		finish(s);
		return;
	}
	remember_dying(s);
	forget_list(s);
	wait_on(s);
}

static void go_on(struct sweep *s);

static void answered(struct sweep *s)
{
	s->pending--;
	go_on(s);
}

/* Once nothing of the claim is left. One that is prepared meanwhile is learnt anew. */
static void forget_claim(const struct sweep *s, const struct suspect *last)
{
	const char *uid = last->owner.uid;

	for (size_t i = 0; i < s->n; i++)
		if (!s->suspects[i].released && strcmp(s->suspects[i].owner.uid, uid) == 0)
			return;
	if (!last->spared)
		runtime_forget(s->plugin, uid);
}

static void on_released(void *data, int code, const json_t *reply, const char *error)
{
	struct suspect *one = data;
	struct sweep *s = one->sweep;

	s->plugin->n_released += code == 0;
	if (code == 0 || code == -ESRCH) {
		s->result.released++;
		one->released = true;
		forget_claim(s, one);
		if (code == 0)
			plugin_log("%s: released, as %s and no container holds it",
				one->owner.reservation, one->why);
	} else if (code == -EBUSY) {
		one->over = true;
		s->result.dying++;
	} else {
		s->result.blind = true;
	}
	answered(s);
}

static void on_claim(void *data, const struct kube_answer *answer)
{
	struct suspect *one = data;
	struct sweep *s = one->sweep;
	json_t *parameters;

	if (answer->code < 0 && answer->code != -ENOENT)
		s->result.blind = true;
	else if (!one->spared)
		one->why = over_why(answer->object, one->owner.uid, s->plugin->node);
	if (!one->why) {
		answered(s);
		return;
	}
	if (one->owner.held) {
		one->over = true;
		s->result.dying++;
		answered(s);
		return;
	}
	parameters = json_pack(
		"{s:s, s:b, s:b}", "name", one->owner.reservation, "unheld", 1, "lazy", 1);
	if (door_call(s->plugin->door, "rt.takt.Release", parameters, on_released, one) < 0) {
		s->result.blind = true;
		answered(s);
	}
}

static void go_on(struct sweep *s)
{
	if (!s->until)
		s->at = s->n;
	while (s->at < s->n && s->pending < AT_ONCE) {
		struct suspect *one = &s->suspects[s->at++];
		struct kube_ref ref = { { "resource.k8s.io", "v1", "resourceclaims" },
			one->owner.namespace, one->owner.claim, NULL };

		if (one->over)
			continue;
		if (kube_get(s->plugin->kube, &ref, on_claim, one, NULL, NULL) == 0)
			s->pending++;
		else
			s->result.blind = true;
	}
	if (s->at == s->n && s->pending == 0)
		round_ended(s);
}

static void on_list(void *data, int code, const json_t *reply, const char *error)
{
	struct sweep *s = data;
	size_t i, n = json_array_size(json_object_get(reply, "reservations"));
	const json_t *resv;

	s->suspects = code == 0 ? calloc(n + 1, sizeof(*s->suspects)) : NULL;
	if (!s->suspects) {
		s->result.blind = true;
		finish(s);
		return;
	}
	s->list = json_incref(json_object_get(reply, "reservations"));
	json_array_foreach (s->list, i, resv) {
		struct suspect *one = &s->suspects[s->n];

		one->sweep = s;
		if (!over_owner_read(resv, &one->owner) || prepare_is_at(s->plugin, one->owner.uid))
			continue;
		/* On its way already: to be waited for, unless that itself waits for who holds it. */
		one->over = unprepare_is_at(s->plugin, one->owner.uid) &&
			    (!one->owner.held || one->owner.draining);
		s->result.dying += one->over;
		s->n++;
	}
	go_on(s);
}

/* gone: what was waited for, and somebody else has released. */
static void look(struct sweep *s, size_t gone)
{
	s->result = (struct reclaimed){ .released = gone };
	if (door_call(s->plugin->door, "rt.takt.List", json_object(), on_list, s) < 0) {
		s->result.blind = true;
		finish(s);
	}
}

static bool find_owner(const json_t *list, const char *name, struct over_owner *ret)
{
	const json_t *resv;
	size_t i;

	json_array_foreach ((json_t *)list, i, resv)
		if (over_owner_read(resv, ret) && strcmp(ret->reservation, name) == 0)
			return true;
	return false;
}

/* One that nobody holds any more: whether its claim is still over is asked again. */
static void on_dying_list(void *data, int code, const json_t *reply, const char *error)
{
	struct sweep *s = data;
	const json_t *list = json_object_get(reply, "reservations"), *name;
	size_t i, gone = 0, held = 0;
	struct over_owner o;

	json_array_foreach (s->dying, i, name)
		if (!find_owner(list, json_string_value(name), &o))
			gone++;
		else
			held += o.held;
	if (code < 0 || uv_now(&s->plugin->loop) >= s->until) {
		s->result.blind |= code < 0;
		finish(s);
	} else if (held == json_array_size(s->dying)) {
		wait_on(s);
	} else {
		look(s, gone);
	}
}

static void look_at_dying(struct sweep *s)
{
	if (door_call(s->plugin->door, "rt.takt.List", json_object(), on_dying_list, s) < 0) {
		s->result.blind = true;
		finish(s);
	}
}

int reclaim_start(struct plugin *p, uint64_t wait_ms, reclaim_done *done, void *data)
{
	struct sweep *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->plugin = p;
	s->until = uv_now(&p->loop) + wait_ms;
	s->done = done;
	s->data = data;
	if (door_call(p->door, "rt.takt.List", json_object(), on_list, s) < 0) {
		free(s);
		return -ENOMEM;
	}
	uv_timer_init(&p->loop, &s->timer);
	s->next = p->sweeps;
	p->sweeps = s;
	return 0;
}

void reclaim_hurry(struct plugin *p, const void *data)
{
	for (struct sweep *s = p->sweeps; s; s = s->next)
		if (s->data == data)
			s->until = 0;
}

void reclaim_spare(struct plugin *p, const char *uid)
{
	for (struct sweep *s = p->sweeps; s; s = s->next)
		for (size_t i = 0; i < s->n; i++)
			if (strcmp(s->suspects[i].owner.uid, uid) == 0)
				s->suspects[i].spared = true;
}

static void on_reconciled(void *data, const struct reclaimed *result)
{
	struct plugin *p = data;

	p->reconciling = false;
	uv_timer_start(&p->reconcile_timer, on_reconcile,
		p->reconcile_again ? SOON_MS
		: result->blind	   ? AGAIN_BLIND_MS
		: result->dying	   ? AGAIN_DYING_MS
				   : AGAIN_MS,
		0);
	p->reconcile_again = false;
}

static void on_reconcile(uv_timer_t *timer)
{
	struct plugin *p = container_of(timer, struct plugin, reconcile_timer);

	p->reconciling = reclaim_start(p, 0, on_reconciled, p) == 0;
	if (!p->reconciling)
		uv_timer_start(&p->reconcile_timer, on_reconcile, AGAIN_BLIND_MS, 0);
}

void reclaim_soon(struct plugin *p)
{
	if (p->reconciling)
		p->reconcile_again = true;
	else
		uv_timer_start(&p->reconcile_timer, on_reconcile, SOON_MS, 0);
}

void reclaim_stop(struct plugin *p)
{
	while (p->sweeps)
		sweep_free(p->sweeps);
	uv_timer_stop(&p->reconcile_timer);
}
