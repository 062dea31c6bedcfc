/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Would these reservations, all together, fit on that machine? Used by the verb admit.
 */
#pragma once

#include "core/admit/admit.h"

struct set_answer {
	bool fits;
	struct admit_verdict *verdicts; /* one for each request, in their order; to be freed */
};

/*
 * The whole set is judged first, each beside all others, so that the order of the documents
 * decides nothing where all fit. Where not all fit, they are taken in their order, and those that
 * do not fit beside the ones before are told. Errors as from admit_hold().
 */
int set_judge(const struct admit_machine *m, const struct resv_request *requests, size_t n,
	struct set_answer *ret, struct err *err);

struct admit_task set_task(const struct resv_request *q);
