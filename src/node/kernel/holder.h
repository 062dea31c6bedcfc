/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Placeholders: sleeping threads of our own under SCHED_DEADLINE which carry what is promised but
 * not running, so that nobody else on the machine can take it. Used by the `shared` placement and
 * by the probe, which learns from them what the kernel grants.
 */
#pragma once

#include "base/err.h"
#include "core/model/units.h"

struct holder;

/* One thread for each CPU's worth: a thread cannot hold more than one CPU. */
int holder_create(struct holder **ret, unsigned n_cpus, struct err *err);
void holder_destroy(struct holder *h);

/*
 * Holds exactly `total` from now on. Takes microseconds; a smaller total is free for others when
 * this returns. -EBUSY: the kernel has not that much; what was held before still is.
 */
int holder_set(struct holder *h, bw_t total);

bw_t holder_held(const struct holder *h);

/* The most that the kernel would let us hold now, found by trying; what is held stays held. */
bw_t holder_limit(struct holder *h);
