// SPDX-License-Identifier: Apache-2.0
/*
 * What fits: the promises, the agent's own thread and the deadline threads of other programs,
 * judged together.
 */
#include "node/agent/agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "core/model/cpus.h"
#include "node/kernel/limit.h"
#include "node/kernel/topology.h"

static struct admit_machine machine(const struct agent *a)
{
	unsigned n = cpus_count(&a->probe.root_domain);

	return (struct admit_machine){
		.n_cpus = n,
		.ceiling = { ceiling_limit(a).q20 / n },
		.granularity_ns = a->overrun.granularity_ns,
	};
}

void room_see_cpus(struct agent *a)
{
	a->usable = topology_usable(&a->probe.root_domain);
}

void room_refresh(struct agent *a)
{
	bw_t before = ceiling_limit(a);
	struct admit_machine m;

	await_nobody(a);
	ceiling_look(a);
	if (ceiling_limit(a).q20 == before.q20)
		return;
	m = machine(a);
	admit_set_machine(a->shared, &m);
}

static int create_sets(struct agent *a, struct err *err)
{
	struct admit_machine m = machine(a);
	int r = admit_set_create(&a->shared, &m, err);

	a->topology = calloc(m.n_cpus, sizeof(*a->topology));
	if (!a->topology)
		return err_set(err, -ENOMEM, "out of memory");
	topology_read(&a->probe.root_domain, a->topology);
	room_see_cpus(a);
	a->speed = speed_read(SPEED_ROOT, &a->probe.root_domain);
	if (r < 0 || !a->probe.unlimited)
		return r;
	a->per_cpu = calloc(CPUS_MAX, sizeof(*a->per_cpu));
	if (!a->per_cpu)
		return err_set(err, -ENOMEM, "out of memory");
	m.n_cpus = 1;
	m.ceiling.q20 = PINNED_CEILING_Q20;
	CPUS_FOREACH(cpu, &a->probe.root_domain)
	{
		if (r == 0)
			r = admit_set_create(&a->per_cpu[cpu], &m, err);
	}
	return r;
}

static void on_settled(uv_timer_t *timer)
{
	struct agent *a = container_of(timer, struct agent, ceiling.settled);

	room_refresh(a);
	a->ceiling.settling = false;
}

/* What an earlier agent held, and what ended a moment ago, is free after its period at last. */
static void settle(struct agent *a)
{
	uv_timer_init(&a->loop, &a->ceiling.settled);
	uv_timer_start(&a->ceiling.settled, on_settled, DL_PERIOD_MAX_NS / NSEC_PER_MSEC + 1, 0);
}

/* The agent's own thread; where each server has a CPU, on all: it may run on any. */
static int hold_own(struct agent *a, struct err *err)
{
	struct admit_task own = { .dl = agent_own(a), .cores = 1, .guarantee = GUARANTEE_SOFT };
	uint32_t id;
	int r = 0;

	if (!a->probe.unlimited)
		return admit_hold(a->shared, &own, &id, err);
	CPUS_FOREACH(cpu, &a->probe.root_domain)
	{
		if (r == 0)
			r = admit_hold(a->per_cpu[cpu], &own, &id, err);
	}
	return r;
}

int room_init(struct agent *a, struct err *err)
{
	int r;

	ceiling_find(a);
	r = create_sets(a, err);
	if (r < 0)
		return r;
	if (a->ceiling.settling)
		settle(a);
	return hold_own(a, err);
}

void room_fini(struct agent *a)
{
	if (a->shared)
		ceiling_fini(a);
	for (unsigned cpu = 0; a->per_cpu && cpu < CPUS_MAX; cpu++)
		admit_set_destroy(a->per_cpu[cpu]);
	free(a->per_cpu);
	free(a->topology);
	admit_set_destroy(a->shared);
}

static struct admit_task task_of(const struct promise *p)
{
	return (struct admit_task){
		.dl = p->request.dl,
		.cores = p->placement == PLACEMENT_PINNED ? 1 : p->request.cores,
		.guarantee = p->request.guarantee,
		.reclaim = p->request.reclaim,
	};
}

/* Not on this machine: the sentence; "": it can be. */
static const char *placement_refusal(const struct agent *a, const struct promise *p)
{
	switch (p->placement) {
	case PLACEMENT_SHARED:
		return a->probe.unlimited
			       ? "sched_rt_runtime_us is -1, so the kernel admits everything and only placement "
				 "pinned can be kept: use placement auto or pinned"
			       : "";
	case PLACEMENT_PINNED:
		return a->probe.unlimited
			       ? ""
			       : "placement pinned needs a machine whose administrator runs "
				 "sched_rt_runtime_us = -1: use placement auto or shared";
	case PLACEMENT_GROUP:
		if (!a->kerns[PLACEMENT_GROUP])
			return "placement group needs a kernel with RT_GROUP_SCHED and the v1 cpu "
			       "controller: use placement auto";
		return p->request.guarantee == GUARANTEE_HARD
			       ? "placement group throttles and proves no deadline on this kernel: ask for "
				 "guarantee soft, or placement auto"
			       : "";
	default:
		return "placement exclusive is not in this version: use placement auto";
	}
}

/* Why the tests do not hold here: they are for equal CPUs, and for those that were there when taktd
 * started. "": they do. */
static void why_unproven(
	const struct agent *a, const struct promise *p, char ret[static PROMISE_REASON_MAX])
{
	struct cpus missing = cpus_without(&a->probe.root_domain, &a->usable);
	char text[CPUS_TEXT_MAX];

	ret[0] = '\0';
	if (a->speed.unequal)
		snprintf(ret, PROMISE_REASON_MAX, "the CPUs here differ in size (cpu_capacity)");
	else if (cpus_count(&missing) > 0 && p->placement != PLACEMENT_PINNED)
		snprintf(ret, PROMISE_REASON_MAX,
			"CPUs %.100s are offline or out of taktd's cpuset",
			cpus_format(text, &missing));
}

static bool judge(struct agent *a, struct admit_set *set, struct promise *p)
{
	struct admit_task t = task_of(p);
	struct admit_machine m = machine(a);
	struct admit_verdict v = admit_evaluate(set, &t);
	char unproven[PROMISE_REASON_MAX];

	if (p->placement == PLACEMENT_PINNED)
		m.n_cpus = 1;
	admit_explain(&v, &t, &m, p->reason, sizeof(p->reason));
	why_unproven(a, p, unproven);
	if (v.yes && unproven[0])
		snprintf(p->reason, sizeof(p->reason),
			"within the kernel's sum; no bound is proven, as %.200s", unproven);
	p->test = admit_test_name(v.test);
	return v.yes;
}

static int take_one(struct admit_set *set, struct promise *p, int cpu, struct err *err)
{
	struct admit_task t = task_of(p);
	int r = admit_hold(set, &t, &p->admit_ids[p->n_admitted], err);

	if (r < 0)
		return r;
	p->cpus[p->n_admitted++] = cpu;
	return 0;
}

/* The document may say which CPUs they shall be. */
static bool may_take(const struct agent *a, const struct promise *p, unsigned cpu)
{
	return p->n_admitted < p->request.cores && cpus_contains(&a->usable, cpu) &&
	       (cpus_count(&p->request.cpus) == 0 || cpus_contains(&p->request.cpus, cpu));
}

static bool has_named_cpus(const struct agent *a, struct promise *p)
{
	char have[CPUS_TEXT_MAX], named[CPUS_TEXT_MAX];

	if (cpus_subset(&p->request.cpus, &a->probe.root_domain))
		return true;
	snprintf(p->reason, sizeof(p->reason),
		"spec.cpus names CPUs %.100s, and this machine has %.100s",
		cpus_format(named, &p->request.cpus), cpus_format(have, &a->probe.root_domain));
	return false;
}

/* The document was checked against the kernel's defaults. */
static bool period_is_taken(struct promise *p)
{
	struct limit_periods taken = limit_periods_read();
	char least[TEXT_NUMBER_MAX], most[TEXT_NUMBER_MAX];

	if (p->placement == PLACEMENT_GROUP || (p->request.dl.period_ns >= taken.least_ns &&
						       p->request.dl.period_ns <= taken.most_ns))
		return true;
	snprintf(p->reason, sizeof(p->reason),
		"the kernel takes periods from %s to %s here (sysctl "
		"kernel.sched_deadline_period_min_us and _max_us)",
		duration_words(least, taken.least_ns), duration_words(most, taken.most_ns));
	return false;
}

static bool can_prove(struct agent *a, struct promise *p)
{
	char unproven[PROMISE_REASON_MAX];

	room_see_cpus(a);
	why_unproven(a, p, unproven);
	if (p->request.guarantee != GUARANTEE_HARD || !unproven[0])
		return true;
	snprintf(p->reason, sizeof(p->reason), "%.150s, so nothing hard can be proven: %s",
		unproven,
		a->speed.unequal
			? "ask for guarantee soft"
			: "bring them back or start taktd anew, or ask for guarantee soft");
	return false;
}

/* First fit, one CPU a server. */
static bool take_pinned(struct agent *a, struct promise *p)
{
	char no[PROMISE_REASON_MAX] = "no other CPU is online, in taktd's cpuset and in spec.cpus";
	unsigned found;

	if (!has_named_cpus(a, p))
		return false;
	CPUS_FOREACH(cpu, &a->probe.root_domain)
	{
		if (!may_take(a, p, cpu))
			continue;
		if (!judge(a, a->per_cpu[cpu], p))
			snprintf(no, sizeof(no), "%s", p->reason);
		else if (take_one(a->per_cpu[cpu], p, cpu, NULL) < 0)
			snprintf(no, sizeof(no), "taktd is out of memory");
	}
	found = p->n_admitted;
	if (found == p->request.cores)
		return true;
	room_give_back(a, p);
	if (found == 0)
		snprintf(p->reason, sizeof(p->reason), "%s", no);
	else
		snprintf(p->reason, sizeof(p->reason),
			"%u servers need a CPU each, and %u %s room: %.180s", p->request.cores,
			found, found == 1 ? "has" : "have", no);
	return false;
}

bool room_take(struct agent *a, struct promise *p)
{
	const char *no;

	p->placement = p->request.placement;
	if (p->placement == PLACEMENT_AUTO)
		p->placement = a->probe.unlimited ? PLACEMENT_PINNED : PLACEMENT_SHARED;
	no = placement_refusal(a, p);
	if (*no) {
		snprintf(p->reason, sizeof(p->reason), "%s", no);
		return false;
	}
	if (!period_is_taken(p) || !can_prove(a, p))
		return false;
	if (p->placement == PLACEMENT_PINNED) {
		ceiling_scan(a);
		return take_pinned(a, p);
	}
	return judge(a, a->shared, p) && take_one(a->shared, p, -1, NULL) == 0;
}

static struct admit_set *set_of(const struct agent *a, const struct promise *p, unsigned i)
{
	return p->placement == PLACEMENT_PINNED ? a->per_cpu[p->cpus[i]] : a->shared;
}

struct cpus room_cpus(const struct promise *p)
{
	struct cpus cpus = CPUS_NONE;

	for (unsigned i = 0; p->placement == PLACEMENT_PINNED && i < p->n_admitted; i++)
		cpus_add(&cpus, p->cpus[i]);
	return cpus;
}

static int retake_pinned(
	struct agent *a, struct promise *p, const struct cpus *cpus, struct err *err)
{
	char reason[PROMISE_REASON_MAX];
	int r = 0;

	if (cpus_count(cpus) != p->request.cores || !cpus_subset(cpus, &a->probe.root_domain)) {
		memcpy(reason, p->reason, sizeof(reason));
		if (!take_pinned(a, p))
			r = err_set(err, -ENOSPC, "%s", p->reason);
		memcpy(p->reason, reason, sizeof(reason));
		return r;
	}
	CPUS_FOREACH(cpu, cpus)
	{
		if (r == 0)
			r = take_one(a->per_cpu[cpu], p, cpu, err);
	}
	if (r < 0)
		room_give_back(a, p);
	return r;
}

int room_retake(struct agent *a, struct promise *p, const struct cpus *cpus, struct err *err)
{
	const char *no = placement_refusal(a, p);

	if (*no)
		return err_set(err, -ENOTSUP, "%s", no);
	if (p->placement == PLACEMENT_PINNED)
		return retake_pinned(a, p, cpus, err);
	return take_one(a->shared, p, -1, err);
}

void room_give_back(struct agent *a, struct promise *p)
{
	while (p->n_admitted > 0) {
		p->n_admitted--;
		admit_release(set_of(a, p, p->n_admitted), p->admit_ids[p->n_admitted]);
	}
}

bool room_bound(const struct agent *a, const struct promise *p, nsec_t *ret_ns)
{
	char unproven[PROMISE_REASON_MAX];

	why_unproven(a, p, unproven);
	if (p->placement == PLACEMENT_GROUP || p->n_admitted == 0 || unproven[0])
		return false;
	*ret_ns = 0;
	for (unsigned i = 0; i < p->n_admitted; i++) {
		nsec_t its;

		if (!admit_bound(set_of(a, p, i), p->admit_ids[i], &its))
			return false;
		*ret_ns = its > *ret_ns ? its : *ret_ns;
	}
	return true;
}
