/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reservation: what somebody asks for, what was promised, and the states that the promise
 * goes through. Made by the document and the agent, read by all.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "core/model/cpus.h"
#include "core/model/units.h"

#define RESV_NAME_MAX 128
#define RESV_CORES_MAX 256
#define RESV_PATTERNS_MAX 8
#define RESV_LABELS_MAX 32
#define RESV_LABEL_KEY_MAX 63
#define RESV_LABEL_VALUE_MAX 253
#define THREAD_NAME_LEN 16 /* TASK_COMM_LEN, with the NUL: comm in proc(5) */

enum guarantee {
	GUARANTEE_NONE,
	GUARANTEE_HARD, /* a schedulability test proves every deadline */
	GUARANTEE_SOFT, /* bounded tardiness */
	_GUARANTEE_MAX,
};

enum placement {
	PLACEMENT_NONE,
	PLACEMENT_AUTO, /* in a request only: the agent chooses */
	PLACEMENT_SHARED, /* SCHED_DEADLINE, global EDF over the root domain */
	PLACEMENT_EXCLUSIVE, /* a cpuset partition of its own */
	PLACEMENT_GROUP, /* an RT cgroup */
	PLACEMENT_PINNED, /* SCHED_DEADLINE, one CPU per server */
	_PLACEMENT_MAX,
};

/* Which threads of the container hold its servers. */
enum thread_rule {
	THREADS_NONE,
	THREADS_MAIN, /* the thread that exec'd, of the container's first process */
	THREADS_MATCH, /* threads whose name matches a pattern */
	THREADS_ATTACH, /* threads that ask */
	THREADS_ALL, /* every thread, first come, at most `cores` at a time */
	_THREADS_MAX,
};

const char *guarantee_name(enum guarantee g); /* "hard"; "none" out of range */
enum guarantee guarantee_parse(const char *text); /* GUARANTEE_NONE: unknown */
const char *placement_name(enum placement p);
enum placement placement_parse(const char *text);
const char *thread_rule_name(enum thread_rule t);

struct resv_label {
	char key[RESV_LABEL_KEY_MAX + 1];
	char value[RESV_LABEL_VALUE_MAX + 1];
};

/* Bounds within which adaptation may move; all zero: never changed. */
struct resv_envelope {
	nsec_t min_runtime_ns, max_runtime_ns;
	uint32_t miss_rate_ppm;
};

/* What somebody asks. Owns `labels`; resv_request_fini() frees it. */
struct resv_request {
	char name[RESV_NAME_MAX + 1];
	struct dl_params dl;
	unsigned cores; /* servers of dl, at least 1 */
	enum guarantee guarantee;
	enum placement placement;
	struct cpus cpus; /* pinned only: one for each server; empty: the agent chooses */
	enum thread_rule threads;
	char patterns[RESV_PATTERNS_MAX][THREAD_NAME_LEN]; /* fnmatch(3), THREADS_MATCH only */
	unsigned n_patterns;
	bool reclaim; /* SCHED_FLAG_RECLAIM: GRUB */
	struct resv_envelope adapt;
	struct resv_label *labels;
	size_t n_labels;
};

void resv_request_fini(struct resv_request *r); /* accepts NULL and a zeroed request */
int resv_request_copy(struct resv_request *ret, const struct resv_request *from, struct err *err);
bool resv_request_equal(const struct resv_request *a, const struct resv_request *b);

/*
 * A name is 1 to RESV_NAME_MAX letters, digits, '-', '_' or '.', first a letter or digit, last
 * too: it becomes a CDI device name (CDI SPEC.md, "Device names") and part of file names.
 */
bool resv_name_valid(const char *name);

/*
 * What the kernel itself would refuse whatever the load (kernel/sched/deadline.c,
 * __checkparam_dl), plus cores in range. -EINVAL and the sentence; it names the field first:
 * "spec.runtime: ...".
 */
int resv_request_check(const struct resv_request *r, struct err *err);

/* The life of a promise; resv_next_state() is the whole table. */
enum resv_state {
	RESV_NONE,
	RESV_HELD, /* promised: on disk, and held in the kernel by a placeholder */
	RESV_BOUND, /* a container or process holds it; no thread is under it yet */
	RESV_ACTIVE, /* at least one thread runs under it */
	RESV_DRAINING, /* ending: threads are being given back */
	RESV_GONE,
	_RESV_STATE_MAX,
};

enum resv_event {
	RESV_EV_NONE,
	RESV_EV_BIND, /* a container or process took it */
	RESV_EV_THREAD, /* a thread came under it */
	RESV_EV_IDLE, /* its last thread ended or was detached; the container is still there */
	RESV_EV_UNBIND, /* the container is gone */
	RESV_EV_RELEASE, /* somebody ended the promise */
	RESV_EV_STOPPED, /* nothing of it is left in the kernel */
	_RESV_EVENT_MAX,
};

/* RESV_NONE where the event cannot happen in that state: a bug somewhere else. */
enum resv_state resv_next_state(enum resv_state state, enum resv_event event);
const char *resv_state_name(enum resv_state s); /* "held", "bound", ... */
enum resv_state resv_state_parse(const char *text);
