/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which threads of a container should hold its servers, and the steps from what is to what should
 * be. Pure; the agent feeds it with the kernel's truth and carries the steps out.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "core/model/resv.h"

/* A thread of the container, or one that was attached by hand. */
struct plan_thread {
	pid_t tid;
	char name[THREAD_NAME_LEN];
	bool main; /* leads the container's first process */
	bool by_hand; /* somebody asked for this thread */
	bool on; /* the kernel says that it is under the reservation */
	bool waits; /* no rule holds for it: its container's program has not begun */
};

enum plan_kind {
	PLAN_NONE,
	PLAN_THREAD_OFF,
	PLAN_THREAD_ON,
	_PLAN_MAX,
};

struct plan_step {
	enum plan_kind kind;
	size_t thread; /* index into the threads */
};

/* The rule alone: would this thread take a server if one were free? */
bool plan_wants(const struct resv_request *r, const struct plan_thread *t);

/*
 * Writes at most n steps to ret and returns how many. Threads give back first, then take. When
 * more want a server than there are, those by hand come first, then those that have one already,
 * then in the order given.
 */
size_t plan_threads(const struct resv_request *r, const struct plan_thread *threads, size_t n,
	struct plan_step *ret);
