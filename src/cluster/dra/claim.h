/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a ResourceClaim (resource.k8s.io/v1) was given of our driver, and the reservations that it
 * means. Reads the object as the API server has it, and decides nothing about room. Used by
 * prepare.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/err.h"
#include "core/model/resv.h"

#define CLAIM_DRIVER "rt.takt.dev"
#define CLAIM_CAPACITY "bandwidth" /* of a device, in millionths of one CPU */
#define CLAIM_DEVICE_SHARED "shared"
#define CLAIM_DEVICE_CPU "cpu" /* and its number */
#define CLAIM_RESULTS_MAX 32 /* resource/v1, AllocationResultsMaxSize */

#define CLAIM_REQUEST_MAX 64 /* a DNS label, with its NUL */

/* Text points into the claim's object. */
struct claim_result {
	char request[CLAIM_REQUEST_MAX]; /* of a subrequest ("a/b") its request ("a") */
	const char *full_request; /* "a/b" */
	const char *pool, *device;
	const char *share_id; /* NULL: none */
	const json_t *consumed; /* NULL: nothing was counted */
	/*
	 * Named after the claim; labels say whose it is. All CPUs of one request are one reservation
	 * of as many cores: their results have the same one, which to reserve again is nothing new.
	 */
	struct resv_request resv;
};

struct claim {
	const char *namespace, *name, *uid;
	const char *pod; /* that it was made for, from a template; NULL: none */
	struct claim_result results[CLAIM_RESULTS_MAX]; /* of our driver */
	size_t n;
};

#define CLAIM_NULL ((struct claim){ 0 })

void claim_fini(struct claim *c); /* accepts NULL and a zeroed claim */
#define cleanup_claim __attribute__((cleanup(claim_fini)))

/*
 * `uid`: the claim that was asked for. `node`: the name of this node, and so of its pool. `object`
 * must outlive *ret, which changes on success only.
 * -ESTALE: another claim has the name now. -EAGAIN: not allocated, or nobody may use it yet.
 * -EINVAL: parameters that do not make a reservation, or one that needs more than was given.
 * -EXDEV: it has devices of another node: the kubelet does not look (a pod whose nodeName was set by
 * hand), and the scheduler counts what it needs there; nothing else of it was looked at.
 * -ENOENT: nothing of it is ours. -EPROTO: not a claim as the API has them. -ENOMEM.
 */
int claim_read(const json_t *object, const char *uid, const char *node, struct claim *ret,
	struct err *err);

/*
 * What the names of all reservations of that claim begin with; each goes on with nothing, or with a
 * dot and a number.
 */
void claim_prefix(const char *name, const char *uid, char ret[static RESV_NAME_MAX + 1]);

/* The reservation of that name was made for the claim with that uid. */
bool claim_owns(const char *reservation, const char *uid);
