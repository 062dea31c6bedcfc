// SPDX-License-Identifier: Apache-2.0
/*
 * Threads that left SCHED_DEADLINE while they were running: until their 0-lag time the kernel must
 * not be asked to take them again, or it never runs them (sched_set_normal()). One that left and came
 * back by itself, or whose leaving was forgotten when an agent was killed, is found out later: it
 * owes, sleeps in nothing, and its deadline does not move.
 */
#include "node/agent/agent.h"

#include "node/kernel/sched.h"

void unpaid_note(struct agent *a, pid_t tid, nsec_t late_ns)
{
	if (late_ns == 0)
		return;
	waits_add(&a->unpaid, tid, late_ns);
	/* The bandwidth comes back then, too. */
	ceiling_note_ending(a, late_ns);
}

bool unpaid_is_stuck(struct promise_thread *t, nsec_t period_ns)
{
	uint64_t now = uv_hrtime(), deadline;
	int64_t left;

	if (!sched_budget(t->tid, &left, &deadline))
		return false;
	if (left > 0 || deadline != t->owing_deadline_ns) {
		t->owing_deadline_ns = deadline;
		t->owing_since_ns = now;
		return false;
	}
	return now - t->owing_since_ns > 2 * period_ns;
}
