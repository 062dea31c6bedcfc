/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that must not come under SCHED_DEADLINE before a time. Bounded: of too many the oldest is
 * forgotten. Used by enforce.c and unpaid.c.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "core/model/units.h"

#define WAITS_MAX 128

struct waits {
	struct wait {
		pid_t tid;
		uint64_t until_ns; /* uv_hrtime() */
	} threads[WAITS_MAX];
	size_t next;
};

void waits_add(struct waits *w, pid_t tid, nsec_t for_ns);
nsec_t waits_left_ns(const struct waits *w, pid_t tid); /* 0: it need not wait */
