/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent: the one object that owns the loop, the promises, the door and the ways to the kernel.
 * Every file of this folder is a part of it; nothing outside includes this.
 */
#pragma once

#include <uv.h>

#include "core/admit/admit.h"
#include "core/model/info.h"
#include "node/agent/commit.h"
#include "node/agent/config.h"
#include "node/agent/pace.h"
#include "node/agent/promise.h"
#include "node/agent/standby.h"
#include "node/agent/tasks.h"
#include "node/agent/waits.h"
#include "node/kernel/holder.h"
#include "node/kernel/kern.h"
#include "node/kernel/probe.h"
#include "node/kernel/speed.h"
#include "node/monitor/events.h"
#include "node/store/store.h"

/* SCHED_DEADLINE threads of other programs, as last seen. */
struct foreign_thread {
	pid_t pid, tid;
	char name[THREAD_NAME_LEN];
	struct dl_params dl;
	bool reclaim;
	struct cpus cpus; /* that it may use */
	/* The first, in the shared set; pinned: in each CPU's, by its number. 0: not in it. */
	uint32_t *admit_ids;
};

struct foreign {
	struct foreign_thread *threads;
	size_t n;
	bw_t sum; /* as the kernel counts: each rounded down */
	uint64_t seen_ns; /* uv_hrtime() */
};

/*
 * Of a CPU, in the kernel's unit, where it keeps nothing back itself (sched_rt_runtime_us is -1). Its
 * fair server (6.12 and later) comes before reservations where fair threads get less than 5 % of a
 * CPU in a second; so that they have more, whatever bursts the reservations make, twice that is left.
 */
#define PINNED_CEILING_Q20 (BW_ONE_CPU / 10 * 9)

/* What the kernel grants to SCHED_DEADLINE, over all CPUs. */
struct ceiling {
	bw_t granted; /* as last found, with what the placeholders and all threads have */
	bw_t most; /* the most that was granted in the first seconds: more would be its mistake */
	bool settling; /* these seconds */
	uv_timer_t settled;
	struct limit limit; /* as last read */
	uint64_t changed_ns; /* uv_hrtime(): since then `granted` is what it is */
	uint64_t counted_ns; /* uv_hrtime(): the kernel was made to count anew */
	uint64_t count_again_ns; /* not before so long after that */
	/* uv_hrtime(): what threads of ours had may be counted until then */
	uint64_t ending_until_ns;
};

struct agent {
	uv_loop_t loop;
	struct config config;

	/* What this machine is, found by trying. */
	struct probe probe;
	struct probe_overrun overrun;
	struct cpus usable; /* of its CPUs, as last seen */
	struct speed speed; /* of all of them, when taktd started */
	struct cpu_info *topology; /* of the root domain's CPUs, as /sys had it at the start */
	struct ceiling ceiling;

	/* What is promised, and to whom. */
	struct promises promises;
	struct tasks tasks;
	struct foreign foreign;
	struct admit_set *shared;
	struct pace pace;
	struct admit_set **per_cpu; /* pinned: one of each CPU of the root domain, by its number */
	char own_why[ERR_TEXT_MAX]; /* why it has no reservation of its own; "": it has */

	/* How it is done. */
	struct kern *kerns[_PLACEMENT_MAX]; /* NULL: not on this machine */
	struct holder *holder;
	bw_t holder_wish; /* more than what is held: somebody took it, or it is not free yet */
	uint64_t unheld_since_ns; /* uv_hrtime(): it is more since then; 0: it is not */
	uv_timer_t retry; /* runs only while something could not be done */
	unsigned retry_ms;
	bool some_ended; /* a binding has that: follow.c */
	unsigned audited; /* promises, in the round of look.c that is under way */
	uv_timer_t look; /* runs only while somebody watches, or holds or may end a promise */
	struct door_call *later; /* later.c: asked again in a moment */
	uv_timer_t later_timer;
	struct waits unpaid; /* unpaid.c */
	struct waits forking; /* their flag is new: see enforce.c */
	uv_timer_t flagged; /* runs only while a promise has `flagged` threads */

	struct event_source *events;
	struct event_handler handler;
	uv_poll_t events_poll;
	char events_why[ERR_TEXT_MAX]; /* why there are none; "": there are */

	struct store *store;
	struct standby standby; /* while another agent has the store */
	struct commits commits;
	bool recovering; /* taking over what an earlier agent left */
	struct door *door;
	uv_signal_t stop_term, stop_int;
	bool told_to_end;
	char boot_note[ERR_TEXT_MAX]; /* what the store said when it was opened */
	struct told *told; /* told.c: what others say of this machine */
};

int64_t agent_now_ms(void);

/* The reservation of the agent's own thread. */
struct dl_params agent_own(const struct agent *a);

/* A line for the journal: `format` is one decision. */
void agent_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Tells the watchers and the log; does not write history. */
void agent_announce(struct agent *a, const struct change *c);

/* enforce.c: what the kernel shall hold and run. */

/* Sets the placeholders to what is promised and not running; -EBUSY: retried by itself. */
int enforce_hold(struct agent *a);
/* Carries out which threads of the promise hold its servers, from the kernel's truth. */
void enforce_threads(struct agent *a, struct promise *p);
/* A thread began in process `in` of the promise, or a process that it started. */
void enforce_began(struct agent *a, const struct promise *p, pid_t in, pid_t tid);
/*
 * Looks whether its threads are still under it: a program can leave, and its cpuset be narrowed,
 * without an event, and that of an end be lost. Returns whether enforce_threads() has to be called;
 * *ret_ended: one has ended.
 */
bool enforce_audit(struct agent *a, struct promise *p, bool *ret_ended);
/* Whether the kernel runs a thread of the process under the promise, but by hand. */
bool enforce_finds_on(struct agent *a, struct promise *p, pid_t pid);
/* One thread gives back; it is forgotten whether or not it still lives. */
void enforce_forget(struct agent *a, struct promise *p, size_t index);
/* Those of one binding give back. */
void enforce_stop_binding(struct agent *a, struct promise *p, const struct binding *b);
/* All threads give back. */
void enforce_stop(struct agent *a, struct promise *p);
/* Prepares the kernel for one binding. -ENOTSUP: not on this machine, or not this one. */
int enforce_bind(
	struct agent *a, const struct promise *p, const struct binding *b, struct err *err);
void enforce_unbind(struct agent *a, const struct promise *p, const struct binding *b);
void enforce_start_retry(struct agent *a); /* retry.c */

/* await.c */

/*
 * The binding is new. The runtime itself may put its first thread under the promise, between Bind and exec, and
 * needs the bandwidth beside the placeholders. Where there is no room for both, the thread comes
 * under it now, and the runtime's own call finds nothing to change.
 */
void await_runtime(struct agent *a, struct promise *p, struct binding *b);
/* No thread is awaited any more: before room is given to somebody else, and counted. */
void await_nobody(struct agent *a);

/* follow.c: threads and processes of containers. */
void follow_init(struct agent *a);
/* Wants the kernel's events exactly while a promise is held by somebody. */
void follow_listen(struct agent *a);
/* Finds every process of that container again; true: there is at least one. */
bool follow_find(struct agent *a, struct promise *p, struct binding *b);
/* The process runs in what holds the promise of that name. */
bool follow_is_member(struct agent *a, const char *name, pid_t pid);
/* Threads by hand came or went: without any left, what only they held is free. */
void follow_attached(struct agent *a, struct promise *p);
/* The container is gone: with the last one the promise is free for the next. */
void follow_unbind(struct agent *a, struct promise *p, struct binding *b);
/* Those whose processes ended while the promise was to be released, which failed. */
void follow_unbind_ended(struct agent *a, struct promise *p);
/* Finds what it has started, and forgets nobody. */
void follow_running(struct agent *a, struct promise *p, struct binding *b);
/* Ends what no event has told of yet. May begin the promise's release. */
void follow_forget_ended(struct agent *a, struct promise *p);
/*
 * The same once in a look, cheaply; threads that left by themselves, and who waits for a server, without
 * having been told of.
 */
void follow_audit(struct agent *a, struct promise *p);
/* A thread of the promise has ended. */
void follow_lose_thread(struct agent *a, struct promise *p, size_t index);

/* ceiling.c: what the kernel grants, and what other programs have of it. */

/* Before anything of ours runs under SCHED_DEADLINE but what an earlier agent left. */
void ceiling_find(struct agent *a);
/*
 * Looks again; other programs' threads are counted anew when the sum has changed. Where the kernel
 * keeps no sum, that is every ten seconds.
 */
void ceiling_look(struct agent *a);
/* Counts them now: what a CPU has left is asked for, and the kernel keeps no sum. */
void ceiling_scan(struct agent *a);
/* What may be promised of it. */
bw_t ceiling_limit(const struct agent *a);
void ceiling_fini(struct agent *a);
/*
 * A thread of ours has left SCHED_DEADLINE or ended, and could not be shrunk: the kernel counts its
 * bandwidth until its 0-lag time, within its period. Until then a lower sum is no news.
 */
void ceiling_note_ending(struct agent *a, nsec_t period_ns);
/* How long that may be, rounded up; 0: there is none. */
uint64_t ceiling_ending_ms(const struct agent *a);
/*
 * For when the kernel's sum must be wrong: makes it count anew, and reads the limit. False: it did so
 * a moment ago, the longer the more often that changed nothing.
 */
bool ceiling_count_anew(struct agent *a);

/* intake.c: releases a transient promise that nobody owns or holds; else does nothing. */
void intake_expire(struct agent *a, struct promise *p);

/* unpaid.c: threads that left SCHED_DEADLINE and must not come back yet. */
void unpaid_note(struct agent *a, pid_t tid, nsec_t late_ns); /* it left, see sched_set_normal() */
/* It is under SCHED_DEADLINE, and the kernel has forgotten it. To be asked from time to time. */
bool unpaid_is_stuck(struct promise_thread *t, nsec_t period_ns);

/* trouble.c: what is wrong with promises, told when it changes. */
void trouble_look(struct agent *a, struct promise *p);
void trouble_look_all(struct agent *a); /* looks at the CPUs too */

/* look.c: tells watchers when what the machine can promise has changed, and audits promises. */
void look_start(struct agent *a); /* runs while somebody watches, or holds a promise */
/*
 * Like room_refresh(), and tells them. Before something is said of the machine: what one has been
 * told between two looks is then also what the next look is held against.
 */
void look_now(struct agent *a);
/* Of the root domain's CPUs, ascending, with what is promised now; a->topology. */
const struct cpu_info *look_topology(struct agent *a);
/* Of a CPU, in millionths: sched_rt_runtime_us in its period; -1 is all of it. */
void look_limits(const struct agent *a, uint64_t *ret_now_ppm, uint64_t *ret_first_ppm);
/* The kernel's limit came or went since taktd started, and what it means; "": it did not. */
const char *look_limit_trouble(const struct agent *a);

/* room.c: what fits. */
int room_init(struct agent *a, struct err *err);
void room_fini(struct agent *a);
/* To be called before judging: what the kernel grants, and who else has of it, as it is now. */
void room_refresh(struct agent *a);
/* Which CPUs are online and in our cpuset: agent.usable. */
void room_see_cpus(struct agent *a);
/* Judges and, if yes, counts the promise in; a no leaves its sentence in p->reason. */
bool room_take(struct agent *a, struct promise *p);
/*
 * Counts it in without judging: it was promised before. `cpus`: those of its servers, as room_cpus()
 * said then; where there are none, or they are not there, a pinned one is judged anew.
 */
int room_retake(struct agent *a, struct promise *p, const struct cpus *cpus, struct err *err);
/* The CPUs of a pinned promise's servers; else none. */
struct cpus room_cpus(const struct promise *p);
void room_give_back(struct agent *a, struct promise *p);
/* False: none is proven as things are now. */
bool room_bound(const struct agent *a, const struct promise *p, nsec_t *ret_ns);

/* recover.c */
int recover(struct agent *a, struct err *err);

/* doctor.c: at most `max` lines; strings live until the next call. */
size_t doctor_checks(struct agent *a, struct check *ret, size_t max);

/*
 * told.c: puts the lines of others that still hold among the `n` that are there, at most `max`;
 * returns how many there are then. Strings live until the next call of it, or of Tell.
 */
size_t told_checks(struct agent *a, struct check *checks, size_t n, size_t max);
void told_fini(struct agent *a);

struct door_call;

/* later.c: the call is dispatched again after that time, unless who asked has gone. */
void later_ask(struct agent *a, struct door_call *call, uint64_t ms);
/* Of one whose reason may come anew all the time. False: it was put off often enough. */
bool later_put_off(struct agent *a, struct door_call *call, uint64_t ms);
/* They get an error. */
void later_stop(struct agent *a);

/* calls.c: what the door's methods do. */
void calls_dispatch(struct agent *a, struct door_call *call);
/* What can be told of it now; the threads' array is the caller's, of at least cores entries. */
struct resv_info calls_info(
	const struct agent *a, const struct promise *p, struct resv_thread *threads);
