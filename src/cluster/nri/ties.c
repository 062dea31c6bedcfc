// SPDX-License-Identifier: Apache-2.0
#include "cluster/nri/ties.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static void tied_claim_free(struct tied_claim *c)
{
	free(c->namespace);
	free(c->name);
	free(c->uid);
	free(c->pods);
	free(c->ties);
	free(c);
}

CLEANUP_DEFINE(struct tied_claim *, tied_claim_free)
#define cleanup_tied_claim __attribute__((cleanup(tied_claim_free_p)))

void ties_fini(struct ties *t)
{
	while (t->first) {
		struct tied_claim *c = t->first;

		t->first = c->next;
		tied_claim_free(c);
	}
	*t = TIES_NULL;
}

void ties_forget(struct ties *t, const char *uid)
{
	for (struct tied_claim **at = &t->first; *at; at = &(*at)->next)
		if (strcmp((*at)->uid, uid) == 0) {
			struct tied_claim *c = *at;

			*at = c->next;
			t->n--;
			tied_claim_free(c);
			return;
		}
}

/* The uid of a consumer that is a pod; else NULL (resource/v1, ResourceClaimConsumerReference). */
static const char *pod_of(const json_t *consumer)
{
	const char *resource = json_string_value(json_object_get(consumer, "resource"));
	const char *group = json_string_value(json_object_get(consumer, "apiGroup"));
	const char *uid = json_string_value(json_object_get(consumer, "uid"));

	if (!resource || strcmp(resource, "pods") != 0 || (group && *group))
		return NULL;
	return uid && *uid && strlen(uid) < TIES_UID_MAX ? uid : NULL;
}

static bool take_pods(struct tied_claim *c, const json_t *object)
{
	const json_t *consumers = json_object_get(json_object_get(object, "status"), "reservedFor");
	size_t n = json_array_size(consumers);

	if (n > TIES_PODS_MAX)
		n = TIES_PODS_MAX;
	c->pods = calloc(n + 1, sizeof(*c->pods));
	for (size_t i = 0; c->pods && i < n; i++) {
		const char *uid = pod_of(json_array_get(consumers, i));

		if (uid)
			strcpy(c->pods[c->n_pods++], uid);
	}
	return c->pods;
}

static bool take_ties(struct tied_claim *c, const struct claim *claim)
{
	c->ties = calloc(claim->n + 1, sizeof(*c->ties));
	for (size_t i = 0; c->ties && i < claim->n; i++) {
		const struct resv_request *q = &claim->results[i].resv;
		struct tie *t = &c->ties[c->n_ties++];

		strcpy(t->name, q->name);
		t->dl = q->dl;
		t->scheduler = q->threads == THREADS_MAIN && q->cores == 1 && !q->reclaim &&
			       q->placement == PLACEMENT_SHARED;
	}
	return c->ties;
}

int ties_learn(struct ties *t, const json_t *object, const struct claim *claim, struct err *err)
{
	cleanup_tied_claim struct tied_claim *c = calloc(1, sizeof(*c));
	struct tied_claim **at = &t->first;

	if (!c)
		return err_set(err, -ENOMEM, "out of memory");
	c->namespace = strdup(claim->namespace);
	c->name = strdup(claim->name);
	c->uid = strdup(claim->uid);
	c->shared = !claim->pod;
	if (!c->namespace || !c->name || !c->uid || !take_pods(c, object) || !take_ties(c, claim))
		return err_set(err, -ENOMEM, "out of memory");
	ties_forget(t, c->uid);
	if (t->n == TIES_CLAIMS_MAX)
		return err_set(err, -ENOSPC, "more than %d claims on one node", TIES_CLAIMS_MAX);
	while (*at)
		at = &(*at)->next;
	*at = TAKE(c);
	t->n++;
	return 0;
}

const struct tied_claim *ties_find(
	const struct ties *t, const char *reservation, const struct tie **ret)
{
	for (const struct tied_claim *c = t->first; c; c = c->next)
		for (size_t i = 0; i < c->n_ties; i++)
			if (strcmp(c->ties[i].name, reservation) == 0) {
				*ret = &c->ties[i];
				return c;
			}
	return NULL;
}

bool ties_has_pod(const struct tied_claim *c, const char *pod_uid)
{
	for (size_t i = 0; i < c->n_pods; i++)
		if (strcmp(c->pods[i], pod_uid) == 0)
			return true;
	return false;
}

const struct tied_claim *ties_next_unsure(const struct ties *t, const struct tied_claim *after,
	const char *namespace, const char *pod_uid)
{
	const struct tied_claim *c = after ? after->next : t->first;

	while (c &&
		(!c->shared || strcmp(c->namespace, namespace) != 0 || ties_has_pod(c, pod_uid)))
		c = c->next;
	return c;
}
