/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pods may use which reservations: what claims say, kept in memory so that a runtime need
 * not wait for the API server. A cache only; used by takt-dra's NRI plugin.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "cluster/dra/claim.h"

#define TIES_CLAIMS_MAX 2048 /* some ten times what a kubelet takes by default, one a pod */
#define TIES_PODS_MAX 256 /* resource/v1, ResourceClaimReservedForMaxSize */
#define TIES_UID_MAX 64

/* One reservation of a claim. */
struct tie {
	char name[RESV_NAME_MAX + 1];
	struct dl_params dl;
	/* One thread, the first, under SCHED_DEADLINE: what process.scheduler can say. */
	bool scheduler;
};

struct tied_claim {
	struct tied_claim *next;
	char *namespace, *name, *uid;
	bool shared; /* other pods may come to use it; one of a template is its pod's */
	char (*pods)[TIES_UID_MAX]; /* uids that it is reserved for */
	size_t n_pods;
	struct tie *ties;
	size_t n_ties;
};

struct ties {
	struct tied_claim *first; /* what was learned last comes last: all have their turn */
	size_t n;
};

#define TIES_NULL ((struct ties){ 0 })

void ties_fini(struct ties *t);

/*
 * `claim` was read from `object`, and all of it is reserved at taktd. Replaces what was known of
 * that claim. -ENOSPC: TIES_CLAIMS_MAX; -ENOMEM.
 */
int ties_learn(struct ties *t, const json_t *object, const struct claim *claim, struct err *err);
/* The claim is over. */
void ties_forget(struct ties *t, const char *uid);

/* The claim that has that reservation, and which it is; NULL: none is known. */
const struct tied_claim *ties_find(
	const struct ties *t, const char *reservation, const struct tie **ret);
bool ties_has_pod(const struct tied_claim *c, const char *pod_uid);

/* Shared claims of that namespace which are not reserved for the pod as far as is known. */
const struct tied_claim *ties_next_unsure(const struct ties *t, const struct tied_claim *after,
	const char *namespace, const char *pod_uid);
