// SPDX-License-Identifier: Apache-2.0
/*
 * What can change without anybody telling taktd: the kernel's limit, deadline threads of other
 * programs, CPUs that go offline or out of our cpuset; looked at once a second while somebody
 * watches, which is one small file and two tries of the placeholders. And what a running program
 * does to its own threads, or its runtime to its cpuset, and ends that no event told of; looked at once
 * a second while a promise is held by somebody, some threads and processes at a time: one or two system
 * calls each, every fourth time a file of /proc too, and every eighth those of all threads where a server
 * is free.
 */
#include "node/agent/agent.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "core/model/cpus.h"
#include "node/agent/door.h"
#include "node/kernel/topology.h"

#define LOOK_MS 1000
/* In one look, so that it costs little however much is held: of more promises, each comes later. */
#define AUDIT_THREADS 16
#define AUDIT_PROCESSES 128

/* Where there is none, the kernel's sum does not matter, and nothing else tells of a new one. */
static struct limit limit_now(const struct agent *a)
{
	return a->probe.unlimited ? limit_read() : a->ceiling.limit;
}

static uint64_t share_ppm(struct limit l)
{
	if (l.runtime_us < 0 || l.period_us <= 0 || l.runtime_us > l.period_us)
		return PPM_ONE_CPU;
	return (uint64_t)l.runtime_us * PPM_ONE_CPU / (uint64_t)l.period_us;
}

void look_limits(const struct agent *a, uint64_t *ret_now_ppm, uint64_t *ret_first_ppm)
{
	*ret_now_ppm = share_ppm(limit_now(a));
	*ret_first_ppm = share_ppm(a->probe.limit);
}

const char *look_limit_trouble(const struct agent *a)
{
	bool unlimited = limit_now(a).runtime_us < 0;

	if (unlimited == a->probe.unlimited)
		return "";
	return unlimited
		       ? "sched_rt_runtime_us is -1 now and was not when taktd started: the kernel "
			 "keeps nothing back for reservations any more"
		       : "sched_rt_runtime_us was -1 when taktd started and is not now: nothing can be "
			 "pinned any more";
}

static void add_pinned(const struct agent *a, struct cpu_info *topology, unsigned n)
{
	for (const struct promise *p = a->promises.first; p; p = p->next)
		for (unsigned i = 0; p->placement == PLACEMENT_PINNED && i < p->n_admitted; i++)
			for (unsigned at = 0; at < n; at++)
				if ((int)topology[at].cpu == p->cpus[i])
					topology[at].promised.q20 +=
						promise_server_bandwidth(p).q20;
}

static bw_t foreign_on(const struct agent *a, unsigned cpu)
{
	bw_t sum = { 0 };

	for (size_t i = 0; i < a->foreign.n; i++)
		if (cpus_contains(&a->foreign.threads[i].cpus, cpu))
			sum.q20 += dl_bandwidth(&a->foreign.threads[i].dl).q20;
	return sum;
}

const struct cpu_info *look_topology(struct agent *a)
{
	unsigned n = cpus_count(&a->probe.root_domain);
	struct cpus usable = topology_usable(&a->probe.root_domain);
	struct dl_params own = agent_own(a);

	for (unsigned i = 0; i < n; i++) {
		struct cpu_info *c = &a->topology[i];

		c->usable = cpus_contains(&usable, c->cpu);
		c->own.q20 = a->probe.unlimited ? dl_bandwidth(&own).q20 : 0;
		c->promised = c->own;
		c->foreign = a->probe.unlimited ? foreign_on(a, c->cpu) : (bw_t){ 0 };
	}
	add_pinned(a, a->topology, n);
	return a->topology;
}

/* Zeroed before it is filled: compared as bytes. */
struct sight {
	uint64_t ceiling_q20, foreign_q20;
	struct limit limit;
	struct cpus usable;
	uint64_t more_granted, held, events;
};

static void see(struct agent *a, struct sight *s)
{
	*s = (struct sight){ 0 };
	room_refresh(a);
	s->ceiling_q20 = ceiling_limit(a).q20;
	s->foreign_q20 = a->foreign.sum.q20;
	s->limit = limit_now(a);
	room_see_cpus(a);
	s->usable = a->usable;
	s->more_granted = a->ceiling.granted.q20 > a->ceiling.most.q20;
	s->held = a->probe.unlimited || holder_held(a->holder).q20 >= a->holder_wish.q20;
	s->events = !a->events_why[0];
}

void look_now(struct agent *a)
{
	static struct sight last;
	static bool have_last;
	struct sight now;
	struct change c = { agent_now_ms(), "", change_name(CHANGE_MACHINE),
		"what this machine can promise has changed: see `takt doctor`" };

	see(a, &now);
	if (have_last && memcmp(&now, &last, sizeof(now)) != 0)
		door_publish(a->door, &c);
	last = now;
	have_last = true;
}

/* Those whose end could not be written to disk before. */
static void expire_all(struct agent *a)
{
	for (struct promise *p = a->promises.first; p; p = p->next)
		intake_expire(a, p);
}

/* Goes on where the last look stopped. Returns whether somebody holds a promise, or may have. */
static bool audit_some(struct agent *a)
{
	unsigned at = 0, threads = 0, processes = 0;
	bool held = false;

	for (struct promise *p = a->promises.first, *next; p; p = next) {
		next = p->next;
		held |= p->bindings || p->transient;
		if (at++ < a->audited || threads >= AUDIT_THREADS || processes >= AUDIT_PROCESSES)
			continue;
		threads += p->n_threads;
		for (const struct binding *b = p->bindings; b; b = b->next)
			processes += b->n_tasks;
		follow_audit(a, p);
		a->audited = at;
	}
	if (a->audited >= at)
		a->audited = 0;
	return held;
}

static void on_look(uv_timer_t *timer)
{
	struct agent *a = container_of(timer, struct agent, look);
	bool watched = door_is_watched(a->door), held;

	pace_check(a);
	expire_all(a);
	held = audit_some(a);
	if (watched)
		look_now(a);
	trouble_look_all(a);
	if (!watched && !held)
		uv_timer_stop(timer);
}

void look_start(struct agent *a)
{
	if (!uv_is_active((uv_handle_t *)&a->look))
		uv_timer_start(&a->look, on_look, LOOK_MS, LOOK_MS);
}
