// SPDX-License-Identifier: Apache-2.0
#include "client/cli/admit_set.h"

#include <errno.h>
#include <stdlib.h>

struct admit_task set_task(const struct resv_request *q)
{
	return (struct admit_task){
		.dl = q->dl,
		.cores = q->cores,
		.guarantee = q->guarantee,
		.reclaim = q->reclaim,
	};
}

static int hold_all(struct admit_set *s, const struct resv_request *requests, size_t n,
	uint32_t *ids, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		struct admit_task t = set_task(&requests[i]);
		int r = admit_hold(s, &t, &ids[i], err);

		if (r < 0)
			return r;
	}
	return 0;
}

/* 1: every one is proven beside all others. */
static int judge_whole(const struct admit_machine *m, const struct resv_request *requests, size_t n,
	struct admit_verdict *verdicts, struct err *err)
{
	cleanup_admit_set struct admit_set *s = NULL;
	cleanup_free uint32_t *ids = calloc(n, sizeof(*ids));
	int r = ids ? admit_set_create(&s, m, err) : err_set(err, -ENOMEM, "out of memory");

	if (r < 0)
		return r;
	r = hold_all(s, requests, n, ids, err);
	for (size_t i = 0; i < n && r >= 0; i++) {
		struct admit_task t = set_task(&requests[i]);

		admit_release(s, ids[i]);
		verdicts[i] = admit_evaluate(s, &t);
		if (!verdicts[i].yes)
			return 0;
		r = admit_hold(s, &t, &ids[i], err);
	}
	return r < 0 ? r : 1;
}

static int judge_in_order(const struct admit_machine *m, const struct resv_request *requests,
	size_t n, struct admit_verdict *verdicts, struct err *err)
{
	cleanup_admit_set struct admit_set *s = NULL;
	int r = admit_set_create(&s, m, err);

	for (size_t i = 0; i < n && r >= 0; i++) {
		struct admit_task t = set_task(&requests[i]);
		uint32_t id;

		verdicts[i] = admit_evaluate(s, &t);
		if (verdicts[i].yes)
			r = admit_hold(s, &t, &id, err);
	}
	return r;
}

int set_judge(const struct admit_machine *m, const struct resv_request *requests, size_t n,
	struct set_answer *ret, struct err *err)
{
	cleanup_free struct admit_verdict *verdicts = calloc(n, sizeof(*verdicts));
	bool all = true;
	int r;

	if (!verdicts)
		return err_set(err, -ENOMEM, "out of memory");
	r = judge_whole(m, requests, n, verdicts, err);
	if (r == 0)
		r = judge_in_order(m, requests, n, verdicts, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		all &= verdicts[i].yes;
	*ret = (struct set_answer){ .fits = all, .verdicts = TAKE(verdicts) };
	return 0;
}
