/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a container runtime tells its hooks on standard input: the state of the container, as JSON
 * (opencontainers/runtime-spec: runtime.md, "State"). For takt-hook.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/err.h"

#define STATE_MAX (64 << 10) /* bytes of JSON */
#define STATE_ID_MAX 1024
/* What takt-dra writes on a container for which it asks the runtime by process.scheduler. */
#define STATE_ANNOTATION "rt.takt.dev/scheduler"

struct oci_state {
	char id[STATE_ID_MAX];
	pid_t pid; /* the container's first process, in the runtime's pid namespace */
	bool scheduled; /* the runtime itself puts it under the reservation */
};

/* -EINVAL and a sentence for what is not a state, or has no process yet. */
int oci_state_parse(struct bytes text, struct oci_state *ret, struct err *err);
