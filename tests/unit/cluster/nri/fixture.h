/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claims as takt-dra learns them. For the tests of this folder.
 */
#pragma once

#include "test.h"

#include "base/cleanup.h"
#include "cluster/nri/ties.h"

/* A claim of namespace robots; pods is a JSON list's inside. */
static inline json_t *fixture_object(const char *uid, const char *pods)
{
	json_t *object;
	char text[1024];

	snprintf(text, sizeof(text),
		"{'metadata':{'namespace':'robots','name':'arm','uid':'%s'},"
		"'status':{'reservedFor':[%s]}}",
		uid, pods);
	for (char *c = text; *c; c++)
		if (*c == '\'')
			*c = '"';
	object = json_loads(text, 0, NULL);
	CHECK(object);
	return object;
}

#define POD(uid) "{'resource':'pods','name':'p','uid':'" uid "'}"

/*
 * Learns the claim with one reservation "arm.UID" that process.scheduler can say. pod: that it was
 * made for; NULL: none.
 */
static inline int fixture_learn(struct ties *t, const char *uid, const char *pod, const char *pods)
{
	cleanup_json json_t *object = fixture_object(uid, pods);
	struct claim claim = { "robots", "arm", uid, .pod = pod, .n = 1 };
	struct resv_request *q = &claim.results[0].resv;

	*q = (struct resv_request){
		.dl = { 4000000, 20000000, 20000000 },
		.cores = 1,
		.threads = THREADS_MAIN,
		.placement = PLACEMENT_SHARED,
	};
	snprintf(q->name, sizeof(q->name), "arm.%s", uid);
	return ties_learn(t, object, &claim, NULL);
}
