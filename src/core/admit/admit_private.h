/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this folder share: a held reservation, the sums kept over all of them, and the
 * load that a test looks at. The unit tests use it to reach each test on its own.
 */
#pragma once

#include "core/admit/admit.h"

typedef unsigned __int128 admit_wide;

/* Shares of a CPU inside: 60 fractional bits, so that a sum straddles a whole number only when it
 * all but equals it. */
#define SHARE_SHIFT 60
#define SHARE_ONE ((admit_wide)1 << SHARE_SHIFT)

/*
 * Upper limit of the steps (one division each) that a test beyond O(n) may take, so that a verdict
 * among 1,000 reservations stays within 100 us. A test that would need more says no.
 */
#define ADMIT_WORK_MAX 4096u
#define ADMIT_WORK_ASIDE (ADMIT_WORK_MAX * 2 / 5) /* for what is only said with a no */

struct admit_entry {
	uint32_t id;
	unsigned cores;
	nsec_t runtime_ns, deadline_ns, period_ns;
	bool hard, reclaim;
	uint64_t density_q60; /* Q / D, rounded up; at most one */
	/* Cache of bcl_interference() over the set, at the set's g; several CPUs only. */
	uint64_t interference_ns;
};

/* A sum of fractions between two bounds: floor <= sum <= floor + inexact, equal at inexact == 0. */
struct share_sum {
	admit_wide floor_q60;
	uint64_t inexact; /* fractions that were rounded, each by less than 2^-60 */
};

struct admit_sums {
	uint64_t servers;
	unsigned hard, reclaiming, constrained; /* reservations: hard ones, GRUB, D < P */
	uint64_t q20; /* dl_bandwidth() of every server: the kernel's sum, rounded up */
	struct share_sum utilisation; /* Q / P */
	struct share_sum density; /* Q / D */
	uint64_t early_ns; /* Q (P - D) / P, each rounded up: what D < P can ask ahead of Q/P */
	uint64_t density_max_q60;
};

/* Memory for one evaluation, one element per entry and one for the candidate. */
struct admit_top {
	uint64_t value;
	unsigned count;
};

struct admit_scratch {
	struct admit_top *top;
	nsec_t *late;
	bool *fails;
};

/* What a test looks at: n entries, their sums, the machine. Owns nothing. */
struct admit_load {
	const struct admit_entry *entries;
	size_t n;
	const struct admit_entry *candidate; /* the last entry, not yet held; NULL: none */
	struct admit_sums sums;
	unsigned n_cpus;
	nsec_t granularity_ns;
	bool cached; /* the interference_ns of the entries but the candidate hold for this load */
	struct admit_scratch scratch;
	unsigned work; /* steps left; 0 after a test said no: it gave up */
};

/* What a test beyond a sum found. */
struct admit_proof {
	bool yes;
	bool all; /* soft ones keep every deadline too */
	bool gave_up; /* no work left: no, to be safe */
	enum admit_test test;
	const struct admit_entry
		*breaks; /* of a no: the first entry that is not proven; may be NULL */
};

struct admit_facts {
	bool fresh;
	bool hard; /* every hard one is proven */
	bool all; /* and every soft one keeps its deadline too */
	bool late_known;
	nsec_t late_ns; /* x of tardiness.c, or the whole tardiness on one CPU */
};

struct admit_set {
	struct admit_machine machine;
	struct admit_entry *entries; /* in the order held; one spare place for a candidate */
	size_t n, room;
	struct admit_sums sums;
	struct admit_scratch scratch;
	uint32_t last_id;
	struct admit_facts *facts; /* made when asked for */
};

/* False: that was more than is left, and nothing is left now. */
static inline bool admit_spend(struct admit_load *l, size_t steps)
{
	l->work = steps < l->work ? l->work - (unsigned)steps : 0;
	return l->work > 0;
}

/* share.c */
uint64_t share_up(nsec_t part, nsec_t whole); /* part / whole in q60; part <= whole */
void share_sum_add(struct share_sum *sum, nsec_t part, nsec_t whole, unsigned count);
void share_sum_sub(struct share_sum *sum, nsec_t part, nsec_t whole, unsigned count);
admit_wide share_sum_up(const struct share_sum *sum);
bool share_utilisation_at_most(const struct admit_load *l, unsigned cpus); /* exact, or no */
bool share_density_at_most(const struct admit_load *l, unsigned cpus);

/* edf.c */
admit_wide edf_demand(const struct admit_load *l, nsec_t t); /* h(t), g included; n >= 1 */
struct admit_proof edf_proves(struct admit_load *l);

/* gfb.c */
bool gfb_proves(const struct admit_load *l);

/* lag.c */
/* late: x of tardiness.c; NULL: none is proven */
struct admit_proof lag_proves(const struct admit_load *l, const nsec_t *late);
nsec_t lag_response(const struct admit_load *l, const struct admit_entry *e, nsec_t late_ns);

/* bcl.c */
nsec_t bcl_interference(const struct admit_entry *by, const struct admit_entry *on, nsec_t g);
struct admit_proof bcl_proves(struct admit_load *l, const nsec_t *late);

/* tardiness.c; false: no bound is proven */
bool tardiness_of_all(const struct admit_load *l, nsec_t *ret_late_ns);
nsec_t tardiness_bound(const struct admit_load *l, const struct admit_entry *e, nsec_t late_ns);

/* set.c */
bool admit_task_valid(const struct admit_task *t);
struct admit_entry admit_entry_of(const struct admit_task *t);
void admit_sums_add(struct admit_sums *sums, const struct admit_entry *e);
/* The set, and one more if t is not NULL (which takes the spare place); g: the set's, or 0. */
struct admit_load admit_set_load(struct admit_set *s, const struct admit_task *t, nsec_t g);

/* admit.c */
bool admit_sum_fits(const struct admit_load *l, bw_t ceiling);
uint64_t admit_limit_q20(const struct admit_machine *m);
struct admit_proof admit_prove(struct admit_load *l); /* every hard one of the load */
