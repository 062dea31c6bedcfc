// SPDX-License-Identifier: Apache-2.0
/*
 * Prepare: the claim as the API server has it, then a Reserve for each of its devices; taktd's
 * answer means that the promise is on disk and its CDI file is there. Where the node is full, what
 * it holds for claims that are over is ended first. It ends the unprepare that only waits for a
 * container. What a power cut brings back of a lazy Release, reclaim.c ends, or the next prepare finds.
 */
#include "cluster/nodeplugin/errand.h"

#include <errno.h>

#include "cluster/kube/retry.h"
#include "cluster/nodeplugin/reclaim.h"
#include "core/document/document.h"

#define RECLAIM_MS 30000
#define MORE_MAX 3 /* for what others released: each comes with a look at all claims */
#define FAILURES_MAX 3 /* of the API server, with which the pause grows: to 1.6 s */

static void read_claim(struct errand *e);
static void reserve_next(struct errand *e);
static void give_back(struct errand *e);

/* What a container has kept stays promised; what else is left, the next prepare finds. */
static void on_given_back(void *data, int code, const json_t *reply, const char *error)
{
	struct errand *e = data;

	e->plugin->n_released += code == 0;
	if (code == 0 || code == -ESRCH)
		json_array_remove(e->reservations, e->at);
	give_back(e);
}

/*
 * There is no room for all of the claim: what was reserved of it is kept from no other claim that may
 * run with it. Of two that each wait for the rest both would wait for ever.
 */
static void give_back(struct errand *e)
{
	const json_t *name;

	if (e->at == 0) {
		errand_end(e, e->code, e->refusal);
		return;
	}
	name = json_object_get(json_array_get(e->reservations, --e->at), "name");
	if (door_call(e->plugin->door, "rt.takt.Release",
		    json_pack("{s:O, s:b, s:b}", "name", name, "lazy", 1, "unheld", 1),
		    on_given_back, e) < 0)
		errand_end(e, -ENOMEM, errand_no_memory);
}

static void add_device(struct errand *e, const json_t *reply)
{
	const struct claim_result *r = &e->claim.results[e->at];
	struct kubelet_device d = { r->request, r->pool, r->device, r->share_id,
		json_string_value(json_object_get(reply, "device")) };

	if (!d.cdi || kubelet_add_device(e->task, &d) < 0 ||
		json_array_append(e->reservations, json_object_get(reply, "reservation")) < 0) {
		errand_end(e, -ENOMEM, errand_no_memory);
		return;
	}
	e->at++;
	e->renewed = false;
	reserve_next(e);
}

/* What was released makes room, also on another errand meanwhile; else the first answer stands. */
static void on_reclaimed(void *data, const struct reclaimed *result)
{
	struct errand *e = data;
	bool more = result->released > 0 ||
		    (e->plugin->n_released != e->n_released && e->more++ < MORE_MAX);

	if (more && !errand_time_is_up(e))
		reserve_next(e);
	else
		give_back(e);
}

static void no_room(struct errand *e, const char *sentence)
{
	uint64_t now = uv_now(&e->plugin->loop), wait = e->until > now ? e->until - now : 0;

	if (wait > RECLAIM_MS)
		wait = RECLAIM_MS;
	errand_refused(e, -ENOSPC, sentence);
	if (errand_time_is_up(e) || reclaim_start(e->plugin, wait, on_reclaimed, e) < 0)
		give_back(e);
}

/* -ESRCH: somebody else ended it. Whoever holds it keeps it: the first answer stands. */
static void on_old_released(void *data, int code, const json_t *reply, const char *error)
{
	struct errand *e = data;

	e->plugin->n_released += code == 0;
	if (code == 0 || code == -ESRCH) {
		reserve_next(e);
		return;
	}
	e->renewed = !errand_is_away(code);
	if (e->renewed)
		errand_end(e, -EEXIST, e->refusal);
	else
		errand_agent_refused(e, code, error, reserve_next);
}

/* Of an allocation before this one: a power cut undid its lazy Release. */
static void end_old(struct errand *e, const char *sentence)
{
	json_t *parameters =
		json_pack("{s:s, s:b}", "name", e->claim.results[e->at].resv.name, "unheld", 1);

	e->renewed = true;
	errand_refused(e, -EEXIST, sentence);
	if (door_call(e->plugin->door, "rt.takt.Release", parameters, on_old_released, e) < 0)
		errand_end(e, -ENOMEM, errand_no_memory);
}

static void on_reserved(void *data, int code, const json_t *reply, const char *error)
{
	struct errand *e = data;

	if (code == -ENOSPC)
		no_room(e, error);
	else if (code == -EEXIST && !e->renewed)
		end_old(e, error);
	else if (code < 0)
		errand_agent_refused(e, code, error, reserve_next);
	else if (!e->task)
		errand_end(e, -ETIMEDOUT, "taktd took too long: it is tried again");
	else
		add_device(e, reply);
}

static void reserve_next(struct errand *e)
{
	json_t *document;

	if (e->at == e->claim.n) {
		runtime_learn(e->plugin, e->object, &e->claim);
		errand_end(e, 0, NULL);
		return;
	}
	e->n_released = e->plugin->n_released;
	document = document_to_json(&e->claim.results[e->at].resv);
	if (!document || door_call(e->plugin->door, "rt.takt.Reserve",
				 json_pack("{s:o, s:b}", "document", document, "shareable", 1),
				 on_reserved, e) < 0)
		errand_end(e, -ENOMEM, errand_no_memory);
}

/* One that has just begun may not know us yet, and a proxy before one that is away breaks TLS. */
static bool is_perhaps_new(int code)
{
	return code == -EKEYREJECTED || code == -EACCES || code == -EPERM;
}

static bool may_come_back(const struct errand *e, int code)
{
	return code == -ECONNREFUSED || code == -EHOSTUNREACH || code == -ETIMEDOUT ||
	       code == -EIO || code == -EBUSY || code == -EREMOTEIO ||
	       (is_perhaps_new(code) && e->failures < FAILURES_MAX);
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
		errand_refused(e, answer->code, answer->err.text);
		if (may_come_back(e, answer->code))
			errand_try_again(e, may_ask_in_ms(e, answer), read_claim);
		else
			errand_end(e, answer->code, e->refusal);
		return;
	}
	if (!e->task) {
		errand_end(e, -ETIMEDOUT, e->refusal);
		return;
	}
	e->object = json_incref(answer->object);
	r = claim_read(e->object, errand_key(e, "uid"), e->plugin->node, &e->claim, &err);
	e->elsewhere = r == -EXDEV;
	if (r == -ENOENT)
		r = -EPROTO; /* -ENOENT would be taktd */
	if (r < 0)
		errand_end(e, r, err.text);
	else
		reserve_next(e);
}

static void read_claim(struct errand *e)
{
	struct kube_ref ref = { { "resource.k8s.io", "v1", "resourceclaims" },
		errand_key(e, "namespace"), errand_key(e, "name"), NULL };
	struct err err = ERR_NULL;

	if (kube_get(e->plugin->kube, &ref, on_claim, e, &e->reading, &err) < 0)
		errand_end(e, -EINVAL, err.text);
}

bool prepare_is_at(const struct plugin *p, const char *uid)
{
	return errand_find(p->errands, uid, false);
}

/* For a container alone. */
static struct errand *unprepare_that_waits(const struct errand *e)
{
	struct errand *one = e->next;

	while (one && (!one->resume || !one->held_since ||
			      !errand_is_of(one, errand_key(e, "uid"), true)))
		one = one->next;
	return one;
}

void prepare_task(void *user, struct kubelet_task *task)
{
	struct errand *e = errand_create(user, task, false, read_claim), *before;

	if (!e)
		return;
	reclaim_spare(e->plugin, errand_key(e, "uid"));
	while ((before = unprepare_that_waits(e)))
		errand_end(before, before->code, before->refusal);
	errand_begin(e);
}
