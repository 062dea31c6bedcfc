// SPDX-License-Identifier: Apache-2.0
/*
 * Who may use what: learned when a claim is prepared, fetched from the API server when takt-dra
 * begins, and asked for again when a pod begins that a shared claim did not know, when one of its
 * containers was refused, and some time after that failed. So that the runtime's calls are answered from
 * memory.
 */
#include "cluster/nodeplugin/runtime_private.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "cluster/dra/over.h"
#include "cluster/kube/retry.h"
#include "cluster/nodeplugin/door.h"

void runtime_learn(struct plugin *p, const json_t *object, const struct claim *claim)
{
	struct err err = ERR_NULL;

	if (p->runtime && ties_learn(&p->runtime->ties, object, claim, &err) < 0)
		plugin_log(
			"claim %s/%s: its containers cannot be told from others, and NRI refuses "
			"them: %s",
			claim->namespace, claim->name, err.text);
}

void runtime_forget(struct plugin *p, const char *claim_uid)
{
	if (p->runtime)
		ties_forget(&p->runtime->ties, claim_uid);
}

/* A claim that is not what was promised any more is passed over. */
static void learn(struct runtime *r, const json_t *object, const char *uid)
{
	cleanup_claim struct claim claim = CLAIM_NULL;

	if (claim_read(object, uid, r->plugin->node, &claim, NULL) == 0)
		runtime_learn(r->plugin, object, &claim);
}

static int get_claim(
	struct runtime *r, const char *namespace, const char *name, kube_done *done, void *data)
{
	struct kube_ref ref = { { "resource.k8s.io", "v1", "resourceclaims" }, namespace, name,
		NULL };

	return kube_get(r->plugin->kube, &ref, done, data, NULL, NULL);
}

static void fill_next(struct runtime *r);

static void on_fill(uv_timer_t *timer)
{
	entitled_fill(container_of(timer, struct runtime, fill));
}

static void fill_ended(struct runtime *r)
{
	json_decref(TAKE(r->promises));
	r->filling = false;
	if (r->fill_again && !r->stopping) {
		r->fill_again = false;
		entitled_fill(r);
	}
}

static void fill_failed(struct runtime *r, const char *why)
{
	uint64_t wait = kube_backoff_ms(r->fill_failures++, uv_hrtime());

	r->fill_again = false; /* it comes anyway */
	fill_ended(r);
	if (r->stopping)
		return;
	plugin_log("NRI: not known %s who may use what: %s; again in %u ms%s",
		r->filled ? "of all claims" : "yet", why, (unsigned)wait,
		r->filled ? "" : ", until then containers are bound by the hook alone");
	uv_timer_start(&r->fill, on_fill, wait, 0);
}

static void on_filled(void *data, const struct kube_answer *answer)
{
	struct runtime *r = data;
	struct over_owner o;

	if (answer->code < 0 && answer->code != -ENOENT) {
		fill_failed(r, answer->err.text);
		return;
	}
	if (answer->code == 0 && over_owner_read(json_array_get(r->promises, r->at - 1), &o))
		learn(r, answer->object, o.uid);
	fill_next(r);
}

static void fill_next(struct runtime *r)
{
	const struct tie *known;
	struct over_owner o;

	while (r->at < json_array_size(r->promises)) {
		if (!over_owner_read(json_array_get(r->promises, r->at++), &o) ||
			ties_find(&r->ties, o.reservation, &known))
			continue;
		if (get_claim(r, o.namespace, o.claim, on_filled, r) < 0)
			fill_failed(r, "out of memory");
		return;
	}
	r->fill_failures = 0;
	fill_ended(r);
	if (!r->filled) {
		r->filled = true;
		runtime_ready(r);
	}
}

static void on_listed(void *data, int code, const json_t *reply, const char *error)
{
	struct runtime *r = data;

	if (r->stopping)
		return;
	if (code < 0) {
		fill_failed(r, error);
		return;
	}
	r->promises = json_incref(json_object_get(reply, "reservations"));
	r->at = 0;
	fill_next(r);
}

void entitled_fill(struct runtime *r)
{
	struct plugin *p = r->plugin;

	if (r->filling) {
		r->fill_again = true;
		return;
	}
	r->filling = true;
	if (door_call(p->door, "rt.takt.List", json_object(), on_listed, r) < 0)
		fill_failed(r, "out of memory");
}

static void on_refreshed(void *data, const struct kube_answer *answer)
{
	struct refresh *f = data;

	if (answer->code == 0)
		learn(f->runtime, answer->object, f->uid);
	f->uid[0] = '\0';
}

static struct refresh *free_refresh(struct runtime *r, const char *uid)
{
	struct refresh *found = NULL;

	for (size_t i = 0; i < RUNTIME_REFRESH_MAX; i++) {
		if (strcmp(r->refresh[i].uid, uid) == 0)
			return NULL; /* under way */
		if (!r->refresh[i].uid[0])
			found = &r->refresh[i];
	}
	return found;
}

void entitled_refresh(struct runtime *r, const struct nri_pod *pod)
{
	const struct tied_claim *c = NULL;

	entitled_fill(r);
	while ((c = ties_next_unsure(&r->ties, c, pod->namespace, pod->uid))) {
		struct refresh *f = free_refresh(r, c->uid);

		if (!f || strlen(c->uid) >= TIES_UID_MAX)
			continue;
		f->runtime = r;
		strcpy(f->uid, c->uid);
		if (get_claim(r, c->namespace, c->name, on_refreshed, f) < 0)
			f->uid[0] = '\0';
	}
}

void entitled_fini(struct runtime *r)
{
	json_decref(r->promises);
	ties_fini(&r->ties);
}
