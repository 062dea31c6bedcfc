/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does it fit? What is held in one scheduling domain, and the schedulability tests that answer
 * for one more; used by the agent, `takt admit` and the cluster controller.
 *
 * Model. A reservation of m cores is m servers (Q, D, P). A server gets a budget Q at a
 * replenishment, to be had by D later; replenishments are at least P apart. Scheduling is EDF:
 * exact on one CPU, global over n_cpus otherwise. CBS lets any server run past its budget by at
 * most the throttle granularity g and takes that back at the next replenishment, so in k periods
 * it runs at most k Q + g: every test counts one g for every other server.
 *
 * A yes with GUARANTEE_HARD: every budget of every hard reservation is had by its deadline.
 * A yes with GUARANTEE_SOFT: the same for those already hard, and this one's budgets are had by
 * the bound.
 *
 * A neighbour that never yields is within the model. One that sleeps is, if it does so with budget
 * left and wakes when its next period has begun, or later. One that wakes before keeps its old
 * deadline (the CBS wake-up rule), and one that overran and slept through its replenishment is
 * forgiven part of what it owes: both can put more work under early deadlines than Q, D, P and g
 * say, so that a budget proven by QPA or BCL, or by GFB at g > 0, may come late (tests/sim/oracle.c
 * shows one). UTILISATION, and GFB at g = 0, hold whatever the neighbours do.
 *
 * Pure: integers only, no clock, no file, no log. Everything is rounded so that a doubt is a no.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "core/model/resv.h"

#define ADMIT_TIME_MAX_NS (1ull << 42) /* longest period and granularity taken, 73 minutes */
#define ADMIT_CPUS_MAX (1u << 16)
#define ADMIT_SERVERS_MAX (1u << 20) /* in one set; with the two above all sums fit 64 bits */

enum admit_test {
	ADMIT_TEST_NONE,
	ADMIT_TEST_UTILISATION, /* one CPU, D = P, g = 0: exact */
	ADMIT_TEST_QPA, /* one CPU: exact */
	ADMIT_TEST_GFB, /* several CPUs: sum and largest density */
	ADMIT_TEST_BCL, /* several CPUs: interference in each deadline's window */
	ADMIT_TEST_SUM, /* the kernel's sum, with a tardiness bound: soft */
	ADMIT_TEST_SUPPLY, /* periodic resource, see supply.h */
	_ADMIT_TEST_MAX,
};

/* Why not. */
enum admit_refusal {
	ADMIT_REFUSAL_NONE, /* it is a yes */
	ADMIT_REFUSAL_PARAMS, /* not 0 < Q <= D <= P, or out of range */
	ADMIT_REFUSAL_BANDWIDTH, /* the kernel's sum: more than is free */
	ADMIT_REFUSAL_DEADLINE, /* no test proves its own deadline */
	ADMIT_REFUSAL_VICTIM, /* a hard promise already given would no longer be proven */
	ADMIT_REFUSAL_TARDINESS, /* soft: no tardiness bound is proven */
	ADMIT_REFUSAL_RECLAIM, /* reclaiming beside hard promises is not proven */
	ADMIT_REFUSAL_WORK, /* the test would have taken too long: refused to be safe */
	_ADMIT_REFUSAL_MAX,
};

const char *admit_test_name(enum admit_test test); /* "gfb"; "none" out of range */
const char *admit_refusal_name(enum admit_refusal why); /* "bandwidth"; "none" out of range */

struct admit_machine {
	unsigned n_cpus; /* of the scheduling domain */
	bw_t ceiling; /* per CPU, what the kernel really grants */
	nsec_t granularity_ns; /* g: how far a server may run past its budget */
};

struct admit_task {
	struct dl_params dl;
	unsigned cores;
	enum guarantee guarantee;
	bool reclaim;
};

struct admit_verdict {
	bool yes;
	enum admit_test test; /* that decided */
	enum admit_refusal why;
	bool has_bound; /* of a yes; false: soft beside reclaiming ones */
	nsec_t bound_ns; /* a full budget is had by then, from its replenishment */
	bw_t asked; /* all servers together, rounded up */
	bw_t free; /* of the kernel's sum, before this one */
	nsec_t would_fit_runtime_ns; /* of a no: this runtime is a yes, found largest; 0: none known */
	uint32_t victim; /* of a no: the held reservation that would break; 0: none */
	bool granularity; /* of a no: a yes if g were 0 */
};

struct admit_set;

/* An empty domain. -EINVAL: no CPU, too many, or a granularity out of range. -ENOMEM. */
int admit_set_create(struct admit_set **ret, const struct admit_machine *m, struct err *err);
void admit_set_destroy(struct admit_set *s); /* accepts NULL */

CLEANUP_DEFINE(struct admit_set *, admit_set_destroy)
#define cleanup_admit_set __attribute__((cleanup(admit_set_destroy_p)))

/*
 * The machine found anew. Judges nothing: see admit_bound(). A changed granularity or CPU count
 * costs O(n^2), a changed ceiling nothing. Values out of range change nothing.
 */
void admit_set_machine(struct admit_set *s, const struct admit_machine *m);

/* Would it fit beside what is held? Changes nothing that can be seen; allocates nothing. */
struct admit_verdict admit_evaluate(struct admit_set *s, const struct admit_task *t);

/*
 * Adds without judging: after a yes, at recovery, and for deadline threads of other programs (as
 * soft). *ret_id is never 0 and not used again. -EINVAL, -ENOSPC (ADMIT_SERVERS_MAX), -ENOMEM.
 */
int admit_hold(struct admit_set *s, const struct admit_task *t, uint32_t *ret_id, struct err *err);
void admit_release(struct admit_set *s, uint32_t id); /* an unknown id is nothing to do */

/*
 * The bound as things are held now. Hard: D, for good. Soft: D + tardiness, which changes as others
 * come and go. False: none is proven (of a hard one: something was held without being judged).
 */
bool admit_bound(const struct admit_set *s, uint32_t id, nsec_t *ret_ns);

bw_t admit_promised(const struct admit_set *s); /* sum of what is held, rounded up per server */

/*
 * The sentence: "9 ms every 10 ms asked, 0.85 CPU of 1.90 free; 8.5 ms would fit". Always ends
 * in a NUL; size 0 is nothing to do.
 */
void admit_explain(const struct admit_verdict *v, const struct admit_task *t,
	const struct admit_machine *m, char *buf, size_t size);
