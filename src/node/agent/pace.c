// SPDX-License-Identifier: Apache-2.0
#include "node/agent/pace.h"

#include <errno.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "node/agent/agent.h"
#include "node/kernel/clock.h"
#include "node/kernel/sched.h"

#define BURST_NICE (-20)
#define BURST_PRIORITY 1
#define BURST_BUDGETS 4 /* of CPU time under SCHED_FIFO */
#define TRY_AGAIN_MS 1000
/* A poll that takes so much longer than its work has blocked. */
#define WOKEN_NS (20 * NSEC_PER_USEC)

/* Brings the server's account up to date. */
static void account(struct pace *p)
{
	nsec_t now = clock_ns(CLOCK_MONOTONIC), cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	nsec_t ran = cpu - p->cpu_ns, passed = now - p->now_ns;

	/* What blocked in the poll ran from its wake-up until now. */
	if (p->polled && passed > ran + WOKEN_NS)
		cbs_wake(&p->server, now - ran);
	cbs_charge(&p->server, now, ran);
	p->polled = false;
	p->now_ns = now;
	p->cpu_ns = cpu;
}

static void go_back(uv_timer_t *timer);

static void take(struct agent *a)
{
	struct pace *p = &a->pace;
	struct dl_params own = agent_own(a);
	uint64_t share = dl_bandwidth(&own).q20, held = holder_held(a->holder).q20;
	int r = sched_set_deadline(0, &own, false);

	/* Where all is promised, there is no room beside the placeholder's share. */
	if (r == -EBUSY && !a->probe.unlimited) {
		holder_set(a->holder, (bw_t){ held > share ? held - share : 0 });
		r = sched_set_deadline(0, &own, false);
	}
	p->deadline = r == 0;
	p->fifo &= r < 0;
	p->now_ns = clock_ns(CLOCK_MONOTONIC);
	p->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	cbs_begin(&p->server, &own, p->now_ns);
	if (r < 0) {
		snprintf(a->own_why, sizeof(a->own_why), "%s", sched_reason(r));
		uv_timer_start(&p->back, go_back, TRY_AGAIN_MS, 0);
	} else {
		a->own_why[0] = '\0';
	}
	enforce_hold(a);
}

/* The loop's time is that of its last poll: a timer may come sooner than it was meant to. */
static void wait_until_owed(struct agent *a)
{
	nsec_t now = uv_hrtime(),
	       left = a->pace.owed_until_ns > now ? a->pace.owed_until_ns - now : 0;

	uv_timer_start(&a->pace.back, go_back, left / NSEC_PER_MSEC + 1, 0);
}

static void go_back(uv_timer_t *timer)
{
	struct agent *a = container_of(timer, struct agent, pace.back);

	if (uv_hrtime() < a->pace.owed_until_ns)
		wait_until_owed(a);
	else
		take(a);
}

static void leave(struct agent *a)
{
	struct pace *p = &a->pace;
	nsec_t late;

	/* The placeholders keep its bandwidth meanwhile. */
	p->deadline = false;
	p->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	sched_set_normal(0, &late);
	p->fifo = sched_set_fifo(0, BURST_PRIORITY) == 0;
	p->owed_until_ns = uv_hrtime() + late;
	ceiling_note_ending(a, late);
	enforce_hold(a);
	wait_until_owed(a);
}

void pace_burst(struct agent *a)
{
	if (a->pace.deadline)
		leave(a);
}

void pace_check(struct agent *a)
{
	struct pace *p = &a->pace;

	if (p->deadline) {
		account(p);
		if (p->server.left_ns < a->config.own_runtime_ns / 2)
			leave(a);
	} else if (p->fifo && clock_ns(CLOCK_THREAD_CPUTIME_ID) - p->cpu_ns >
				      BURST_BUDGETS * a->config.own_runtime_ns) {
		p->fifo = false;
		sched_set_normal(0, NULL);
	}
}

static void on_prepare(uv_prepare_t *prepare)
{
	struct agent *a = container_of(prepare, struct agent, pace.prepare);

	pace_check(a);
	a->pace.polled = true;
}

void pace_start(struct agent *a)
{
	struct pace *p = &a->pace;

	uv_prepare_init(&a->loop, &p->prepare);
	uv_timer_init(&a->loop, &p->back);
	uv_prepare_start(&p->prepare, on_prepare);
	setpriority(PRIO_PROCESS, 0, BURST_NICE);
	p->begun = true;
	take(a);
	if (!p->deadline)
		agent_log(
			"taktd has no reservation of its own and may answer late: %s", a->own_why);
}

void pace_stop(struct agent *a)
{
	if (a->pace.begun)
		sched_set_normal(0, NULL);
}
