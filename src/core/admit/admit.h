/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does it fit? What is held in one scheduling domain, and the schedulability tests that answer
 * for one more; used by the agent, `takt admit` and the cluster controller.
 *
 * Model. A reservation of m cores is m servers (Q, D, P), scheduled by EDF: on one CPU, or global
 * over n_cpus. Of the threads nothing is assumed: they run, sleep and wake as they like. Of a
 * server, what kernel/sched/deadline.c does with it, at a time t with c of its budget left and
 * deadline d:
 *
 *  - it may run past c by at most the throttle granularity g. Then it waits for its next period,
 *    d - D + P, gets Q less what it ran too much, and d + P (if that is nothing, another Q and P,
 *    and so on); asleep or not (replenish_dl_entity, dl_task_timer). More than a period late, it
 *    starts afresh.
 *  - it wakes after d: afresh, Q due at t + D; with D < P before d - D + P: it waits until then
 *    (update_dl_entity, dl_check_constrained_dl).
 *  - it wakes before with c <= (d - t) Q / D: c and d are kept. With more: afresh where D = P;
 *    where D < P, c is cut to (d - t) Q / D (dl_entity_overflow, update_dl_revised_wakeup).
 *
 * So whenever a server becomes runnable c <= (d - t) Q / D: all tests rest on this. The kernel
 * compares in units of 1024 ns, by which each wake-up may gain up to 2 us; this, like the cost of
 * each switch, is not in the model and must come out of what the ceiling leaves.
 *
 * A yes with GUARANTEE_HARD, for every hard reservation, whatever the others do: what budget a
 * server has when a wake-up or a replenishment makes it runnable at t, it has run by t + D, if
 * its thread stays runnable so long. (A server that itself overran by Q or more may be
 * replenished with a deadline further away than t + D, and then it is that.) For a job of at most
 * Q, released by a wake-up at t, at least P after the one before, it follows that it is done
 *
 *  - by t + D if the wake-up gave a fresh Q: the deadline was past, or D = P and the rest too
 *    large. A thread whose jobs are all less than Q, and at least P apart, has this every time;
 *    not with D < P one that used up a Q and slept on when it got the next: that is cut;
 *  - by t + P + D otherwise: by t + D it has run the rest of its budget, by t + P it gets
 *    another.
 *
 * A yes with GUARANTEE_SOFT: the same for those already hard; and for this one with the bound
 * instead of D.
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
	ADMIT_TEST_QPA, /* one CPU: processor demand of servers that may sleep */
	ADMIT_TEST_GFB, /* several CPUs, g = 0: sum and largest density */
	ADMIT_TEST_LAG, /* several CPUs: sum of densities, with the tardiness of all */
	ADMIT_TEST_BCL, /* several CPUs: interference in each deadline's window */
	ADMIT_TEST_SUM, /* the kernel's sum, with a tardiness bound: soft */
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
