// SPDX-License-Identifier: Apache-2.0
/*
 * Unprepare: Release of all that was reserved for the claim's uid, which needs no claim object. While
 * a container holds any of it all is kept, whatever the kubelet thinks, and the answer is an error, so
 * that it asks again: with a shared claim it may unprepare for a pod that never ran, beside one that
 * does (kubernetes/kubernetes 140212). One that comes between the look and the Releases keeps what it
 * holds. It ends the prepare that it finds under way; so nothing is promised once it went well.
 */
#include "cluster/nodeplugin/errand.h"

#include <errno.h>
#include <stdio.h>

#include "cluster/dra/over.h"
#include "cluster/nodeplugin/reclaim.h"

#define HELD_MS 250 /* between two looks at what a container holds */
/*
 * The kubelet has ended a pod's containers before, and taktd may hear of that late. One that goes on
 * is not waited for, lest its promise is ended between two runs of it.
 */
#define HELD_MAX_MS 2000

static void release_claim(struct errand *e);
static void release_next(struct errand *e);

/* unheld: only where nobody holds it by then. */
static int add_release(struct errand *e, const char *name, bool unheld)
{
	return json_array_append_new(e->releases,
		json_pack("{s:s, s:b, s:b}", "name", name, "lazy", 1, "unheld", unheld));
}

/* What is not there any more was released before. */
static void on_released(void *data, int code, const json_t *reply, const char *error)
{
	struct errand *e = data;

	e->plugin->n_released += code == 0;
	if (code < 0 && code != -ESRCH)
		errand_agent_refused(e, code, error, release_claim);
	else
		release_next(e);
}

static void release_next(struct errand *e)
{
	size_t n = json_array_size(e->releases);
	json_t *parameters;

	if (n == 0) {
		runtime_forget(e->plugin, errand_key(e, "uid"));
		errand_end(e, 0, NULL);
		return;
	}
	parameters = json_incref(json_array_get(e->releases, n - 1));
	json_array_remove(e->releases, n - 1);
	if (door_call(e->plugin->door, "rt.takt.Release", parameters, on_released, e) < 0)
		errand_end(e, -ENOMEM, errand_no_memory);
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
	errand_refused(e, -EBUSY, sentence);
	if (now - e->held_since < HELD_MAX_MS && !prepare_is_at(e->plugin, errand_key(e, "uid")))
		errand_try_again(e, HELD_MS, release_claim);
	else
		errand_end(e, e->code, e->refusal);
}

static void on_listed(void *data, int code, const json_t *reply, const char *error)
{
	const json_t *resv, *running = NULL;
	struct errand *e = data;
	size_t i;

	if (code < 0) {
		errand_agent_refused(e, code, error, release_claim);
		return;
	}
	json_array_clear(e->releases);
	json_array_foreach (json_object_get(reply, "reservations"), i, resv) {
		const char *name = json_string_value(json_object_get(resv, "name"));
		struct over_owner o;
		bool by_hand; /* held by no container: whoever holds it gives way */

		if (!name || !claim_owns(name, errand_key(e, "uid")))
			continue;
		if (container_that_holds(resv))
			running = resv;
		by_hand = over_owner_read(resv, &o) && o.held && !o.draining;
		if (add_release(e, name, !by_hand) < 0) {
			errand_end(e, -ENOMEM, errand_no_memory);
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

	claim_prefix(errand_key(e, "name"), errand_key(e, "uid"), first);
	if (door_call(e->plugin->door, "rt.takt.List", json_pack("{s:s}", "prefix", first),
		    on_listed, e) < 0)
		errand_end(e, -ENOMEM, errand_no_memory);
}

bool unprepare_is_at(const struct plugin *p, const char *uid)
{
	const struct errand *e = p->errands;

	while (e && (!errand_is_of(e, uid, true) || e->held_since))
		e = e->next;
	return e;
}

/* Where it waits for taktd it ends with that answer, and is told to the kubelet now. */
static void give_up(struct errand *e)
{
	static const char why[] = "the kubelet has unprepared the claim meanwhile";

	e->given_up = true;
	reclaim_hurry(e->plugin, e);
	if (e->waits || e->resume || e->reading)
		errand_end(e, -ECANCELED, why);
	else if (e->task)
		errand_answer(e, why);
}

static struct errand *prepare_before(const struct errand *e)
{
	struct errand *one = e->next;

	while (one && (one->given_up || !errand_is_of(one, errand_key(e, "uid"), false)))
		one = one->next;
	return one;
}

void unprepare_task(void *user, struct kubelet_task *task)
{
	struct errand *e = errand_create(user, task, true, release_claim), *before;

	if (!e)
		return;
	while ((before = prepare_before(e)))
		give_up(before);
	errand_begin(e);
}
