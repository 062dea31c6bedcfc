/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options that say what a reservation asks for, as a request of the model. Used by the verbs
 * run and reserve.
 */
#pragma once

#include "core/model/resv.h"

#define cleanup_request __attribute__((cleanup(resv_request_fini)))

/* Nothing asked yet: one core, hard, the main thread, placement by the agent. */
struct resv_request request_default(void);

/* 1: the option was one of these and is in *q. 0: it is somebody else's. -EINVAL, -ENOMEM. */
int request_option(struct resv_request *q, int key, const char *value, struct err *err);

/* Names it, fills in what follows from the rest, and checks it as the agent will: -EINVAL. */
int request_finish(struct resv_request *q, const char *name, struct err *err);
