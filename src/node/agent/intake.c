// SPDX-License-Identifier: Apache-2.0
/*
 * Reserve and Release. A promise is counted, then held in the kernel, then written to disk, and
 * only then said: to who asked first, as a kubelet may wait for it; it ends the other way round.
 */
#include "node/agent/calls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/params.h"
#include "base/cleanup.h"
#include "base/fault.h"
#include "core/document/document.h"
#include "node/agent/agent.h"
#include "node/agent/bind.h"
#include "node/cdi/cdi.h"

static void reply_reserved(struct door_call *call, const struct promise *p)
{
	char device[sizeof(CDI_KIND) + RESV_NAME_MAX + 2];

	snprintf(device, sizeof(device), "%s=%s", CDI_KIND, p->request.name);
	door_reply(call, json_pack("{s:o, s:s}", "reservation", calls_encode(call->agent, p),
				 "device", device));
}

/* Nothing of the promise is left afterwards. */
static void undo(struct agent *a, struct promise *p)
{
	room_give_back(a, p);
	promises_remove(&a->promises, p);
	enforce_hold(a);
	promise_destroy(p);
}

static void reserved(struct agent *a, struct commit *c, int r)
{
	struct door_call *call = c->context;
	struct promise *p = promises_find(&a->promises, c->name);
	struct change change = { agent_now_ms(), c->name, change_name(CHANGE_RESERVED), c->why };

	if (r < 0) {
		undo(a, p);
		door_error(call, API_FAILED, c->name, c->err.text);
		return;
	}
	p->settled = true;
	fault_point("reserve.reply");
	reply_reserved(call, p);
	agent_announce(a, &change);
	intake_expire(a, p); /* who asked may have gone meanwhile */
}

static struct commit *reserve_commit(struct agent *a, const struct promise *p)
{
	struct commit *c = commit_create(a, COMMIT_RESERVE, p->request.name);
	cleanup_json json_t *document = document_to_json(&p->request);
	struct cpus cpus = room_cpus(p);
	bool pinned = cpus_count(&cpus) > 0;
	char text[CPUS_TEXT_MAX];

	if (c && document)
		c->document = json_dumps(document, JSON_COMPACT);
	if (c && pinned)
		c->cpus = strdup(cpus_format(text, &cpus));
	if (!c || !c->document || (pinned && !c->cpus)) {
		commit_destroy(c);
		return NULL;
	}
	c->resv = (struct store_resv){
		.placement = p->placement,
		.test = p->test,
		.reason = p->reason,
		.created_ms = p->created_ms,
		.transient = p->transient,
		.shareable = p->shareable,
	};
	memcpy(c->resv.name, p->request.name, sizeof(c->resv.name));
	c->resv.has_bound = room_bound(a, p, &c->resv.bound_ns);
	c->change = CHANGE_RESERVED;
	snprintf(c->why, sizeof(c->why), "%s", p->reason);
	return c;
}

static void refuse(struct agent *a, struct door_call *call, const char *name, const char *reason)
{
	struct change change = { agent_now_ms(), name, change_name(CHANGE_REFUSED), reason };

	agent_announce(a, &change);
	door_error(call, API_DOES_NOT_FIT, name, reason);
}

/* Who took what admission counted as free; there is somebody, or the kernel grants less. */
static void explain_busy(struct agent *a, char *ret, size_t size)
{
	room_refresh(a);
	if (a->foreign.n)
		snprintf(ret, size,
			"%.2f CPU of deadline bandwidth is held by other programs (first: %s, "
			"process %d): end them or ask for less",
			(double)a->foreign.sum.q20 / BW_ONE_CPU, a->foreign.threads[0].name,
			a->foreign.threads[0].pid);
	else
		snprintf(ret, size, "the kernel grants less than it did: see `takt doctor`");
}

/*
 * The kernel still counts what has just ended: to say no would be wrong, and so would a yes that
 * it does not hold.
 */
static bool put_off(struct agent *a, struct door_call *call)
{
	uint64_t ms = ceiling_ending_ms(a);

	return ms > 0 && later_put_off(a, call, ms);
}

/* Counts it and has the kernel hold it; a no is answered here. */
static bool take(struct agent *a, struct door_call *call, struct promise *p)
{
	char reason[PROMISE_REASON_MAX];

	room_refresh(a);
	if (!room_take(a, p)) {
		refuse(a, call, p->request.name, p->reason);
		promise_destroy(p);
		return false;
	}
	if (promises_add(&a->promises, p, NULL) < 0) {
		room_give_back(a, p);
		promise_destroy(p);
		door_error(call, API_FAILED, NULL, "taktd is out of memory");
		return false;
	}
	if (enforce_hold(a) == 0)
		return true;
	if (put_off(a, call)) {
		undo(a, p);
		return false;
	}
	/* The whole wish may be short for an older reason; then nothing new is promised. */
	explain_busy(a, reason, sizeof(reason));
	refuse(a, call, p->request.name, reason);
	undo(a, p);
	return false;
}

/* A transient promise is its last asker's, who would otherwise wait for an answer that was lost. */
static void own(struct promise *p, struct door_call *call)
{
	p->owner = call->peer;
	door_tell_end(call);
}

static void reserve(struct agent *a, struct door_call *call, struct resv_request *request,
	const struct api_reserve *asked)
{
	struct commit *c;
	struct promise *p;

	if (promise_create(&p, request, NULL) < 0) {
		door_error(call, API_FAILED, NULL, "taktd is out of memory");
		return;
	}
	p->created_ms = agent_now_ms();
	p->transient = asked->transient;
	p->shareable = asked->shareable;
	if (p->transient)
		own(p, call);
	if (!take(a, call, p))
		return;
	fault_point("reserve.held");
	c = reserve_commit(a, p);
	if (!c) {
		undo(a, p);
		door_error(call, API_FAILED, NULL, "taktd is out of memory");
		return;
	}
	c->done = reserved;
	c->context = call;
	commit_start(c);
}

static void reserve_again(struct door_call *call, struct promise *p,
	const struct resv_request *request, const struct api_reserve *asked)
{
	if (!p->settled || p->state == RESV_DRAINING) {
		door_error(call, API_BUSY, p->request.name,
			"it is being changed at this moment: ask again");
	} else if (p->transient == asked->transient && p->shareable == asked->shareable &&
		   resv_request_equal(&p->request, request)) {
		if (p->transient)
			own(p, call);
		reply_reserved(call, p);
	} else {
		door_error(call, API_EXISTS, p->request.name,
			"another reservation has this name: release it first, or use another name");
	}
}

void call_reserve(struct agent *a, struct door_call *call)
{
	struct document_faults faults = DOCUMENT_FAULTS_NULL;
	struct resv_request request = { 0 };
	struct err err = ERR_NULL;
	struct api_reserve asked;
	struct promise *p;
	int r = api_reserve_decode(call->message.parameters, &asked, &err);

	if (r < 0) {
		door_error(call, API_BAD_ARGUMENT, NULL, err.text);
		return;
	}
	r = document_from_json(asked.document, &request, &faults, &err);
	if (r < 0) {
		door_faults(call, err.text, faults.text, faults.n);
		document_faults_fini(&faults);
		return;
	}
	p = promises_find(&a->promises, request.name);
	if (p)
		reserve_again(call, p, &request, &asked);
	else
		reserve(a, call, &request, &asked);
	resv_request_fini(&request);
}

static void released(struct agent *a, struct commit *c, int r)
{
	struct door_call *call = c->context;
	struct promise *p = promises_find(&a->promises, c->name);
	struct change change = { agent_now_ms(), c->name, change_name(CHANGE_RELEASED), c->why };
	struct err why = ERR_NULL;

	if (r < 0) {
		/* Still on disk, so it still holds; recovery would say the same. */
		for (unsigned i = 0; p->bindings && i < c->n_threads; i++)
			p->threads[p->n_threads++] = c->threads[i];
		p->state = RESV_HELD;
		p->settled = true;
		if (p->bindings)
			promise_event(p, RESV_EV_BIND);
		for (struct binding *b = p->bindings; b; b = b->next)
			if (bind_prepare(a, p, b, &why) < 0)
				agent_log("%s: %s", c->name, why.text);
		enforce_threads(a, p);
		follow_unbind_ended(a, p);
		look_start(a);
		agent_log("%s: still promised, as its end was not written to disk: %s", c->name,
			c->err.text);
		if (call)
			door_error(call, API_FAILED, c->name, c->err.text);
		return;
	}
	promise_event(p, RESV_EV_STOPPED);
	for (struct binding *b = p->bindings; b; b = b->next)
		tasks_remove_all(&a->tasks, b);
	room_give_back(a, p);
	promises_remove(&a->promises, p);
	promise_destroy(p);
	follow_listen(a);
	enforce_hold(a);
	fault_point("release.reply");
	if (call)
		door_reply(call, NULL);
	agent_announce(a, &change);
}

/* Out of memory: they are not brought back. */
static void keep_threads(struct commit *c, const struct promise *p)
{
	c->threads = calloc(p->n_threads + 1, sizeof(*c->threads));
	for (unsigned i = 0; c->threads && i < p->n_threads; i++)
		if (p->threads[i].by_hand) {
			c->threads[c->n_threads] = p->threads[i];
			c->threads[c->n_threads++].on = false;
		}
}

/* `call`: who asked, and is answered; NULL: nobody. `c` is taken over. */
static void release(struct agent *a, struct promise *p, struct commit *c, struct door_call *call)
{
	promise_event(p, RESV_EV_RELEASE);
	p->settled = false;
	keep_threads(c, p);
	enforce_stop(a, p);
	fault_point("release.stopped");
	door_unlisten(TAKE(p->listener));
	for (struct binding *b = p->bindings; b; b = b->next)
		enforce_unbind(a, p, b);
	c->change = CHANGE_RELEASED;
	c->done = released;
	c->context = call;
	commit_start(c);
}

void intake_expire(struct agent *a, struct promise *p)
{
	struct commit *c;

	/* Recovery writes CDI files, and looks at the rest when it is done. */
	if (a->recovering || !p->transient || p->owner || p->bindings || !p->settled ||
		p->state != RESV_HELD)
		return;
	c = commit_create(a, COMMIT_RELEASE, p->request.name);
	if (!c)
		return; /* out of memory: left to `takt release`, or to the next start */
	snprintf(c->why, sizeof(c->why), "nobody holds it any more");
	release(a, p, c, NULL);
}

void calls_peer_gone(struct agent *a, const struct peer *peer)
{
	for (struct promise *p = a->promises.first, *next; p; p = next) {
		next = p->next;
		if (p->owner != peer)
			continue;
		p->owner = NULL;
		intake_expire(a, p);
	}
}

void call_release(struct agent *a, struct door_call *call)
{
	struct api_release asked;
	struct err err = ERR_NULL;
	struct promise *p;
	struct commit *c;
	const char *name;

	if (api_release_decode(call->message.parameters, &asked, &err) < 0) {
		door_error(call, API_BAD_ARGUMENT, NULL, err.text);
		return;
	}
	name = asked.name;
	p = calls_find(call, name);
	if (!p)
		return;
	if (asked.unheld && p->state != RESV_HELD) {
		follow_forget_ended(a, p); /* the event may still be on the way */
		p = calls_find(call, name);
		if (!p)
			return;
	}
	if (asked.unheld && p->state != RESV_HELD) {
		bind_refuse_held(call, p);
		return;
	}
	c = commit_create(a, COMMIT_RELEASE, name);
	if (!p->settled || p->state == RESV_DRAINING || !c) {
		commit_destroy(c);
		door_error(call, API_BUSY, name, "it is being changed at this moment: ask again");
		return;
	}
	c->lazy = asked.lazy;
	snprintf(c->why, sizeof(c->why), "asked for by process %d", call->pid);
	release(a, p, c, call);
}
