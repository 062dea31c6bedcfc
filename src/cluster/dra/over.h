/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the promise that was made for a claim is over: the reservation as taktd tells of it, held
 * against the claim as the API server has it. Pure; used by takt-dra when a node is full, when it
 * looks for what was left over, and wherever it has to know whose a reservation is.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "core/model/resv.h"

#define OVER_UID_MAX 64 /* of an object, with the NUL: a UUID in fact */

/* Whose a reservation is; text points into it. */
struct over_owner {
	const char *reservation;
	const char *namespace, *claim;
	char uid[OVER_UID_MAX];
	bool held; /* a container or a process has it, or it is just changing */
	bool draining; /* its Release is just being written; then it is held too */
};

/*
 * Of one element of rt.takt.List. False: it was made by somebody else, whatever labels it has: the
 * name has to be what takt-dra makes of the label and a uid.
 */
bool over_owner_read(const json_t *reservation, struct over_owner *ret);

/*
 * Why the claim's promise on this node is over, as half a sentence; NULL: it is not. `claim` is what
 * has the name now, NULL: nothing. `node` is the pool that our slices have here.
 */
const char *over_why(const json_t *claim, const char *uid, const char *node);
