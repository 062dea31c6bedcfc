/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting, before anything is begun, until the agent that has the store has ended. For taktd's main.c.
 */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "base/err.h"

struct agent;

struct standby {
	uv_async_t over; /* sent by the thread that waits */
	int fd; /* of store_wait(): open as long as the store */
	bool is_over;
	int result; /* then */
};

void standby_init(struct agent *a);
/* After the store was closed. */
void standby_fini(struct agent *a);

/* 0: the store is ours to open. 1: told to end. */
int standby_wait(struct agent *a, struct err *err);
