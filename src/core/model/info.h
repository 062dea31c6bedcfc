/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be told of a reservation, of a node and of a change, as values that cross the door.
 * Made by the agent, encoded by the api; nothing here owns what it points to.
 */
#pragma once

#include <sys/types.h>

#include "core/model/resv.h"

struct resv_thread {
	pid_t tid;
	char name[THREAD_NAME_LEN];
};

/* Which way a reservation came to its container. */
enum bind_via {
	VIA_NONE, /* neither: a program of `takt run`, threads by hand */
	VIA_HOOK, /* the agent put its threads in, as soon as its program had begun */
	VIA_NRI, /* its first thread was in before its program began, or takt-dra found it running */
	_VIA_MAX,
};

const char *via_name(enum bind_via via); /* "hook", "nri"; VIA_NONE: NULL */
/* VIA_NONE for what is no name of one, and for NULL. */
enum bind_via via_parse(const char *name);

struct resv_info {
	const struct resv_request *request;
	enum resv_state state;
	enum placement placement; /* what the agent chose */
	bool has_bound;
	nsec_t bound_ns;
	const char *test; /* the admission test that decided */
	const char *reason; /* its sentence */
	const char *container; /* NULL: none; so the next two */
	const char *cgroup;
	enum bind_via via;
	const char *trouble;
	const char *const *containers; /* all that hold it */
	size_t n_containers;
	const struct resv_thread *threads;
	size_t n_threads;
	const int *cpus; /* pinned: of each server; NULL: none */
	size_t n_cpus;
};

enum check_status {
	CHECK_NONE,
	CHECK_OK,
	CHECK_LIMITED,
	CHECK_NO,
	_CHECK_MAX,
};

/* One line of `takt doctor`. */
struct check {
	const char *name; /* "granularity" */
	enum check_status status;
	const char *detail; /* what was found */
	const char *mend; /* what to do about it; NULL: nothing to do */
};

/* A CPU of the scheduling domain, as it was when the agent started; -1: not known. */
struct cpu_info {
	unsigned cpu;
	int core, socket, numa_node;
	bool usable; /* now: online, and the agent may use it */
	bw_t promised; /* pinned servers, and the agent's own */
	bw_t own; /* of that the agent's */
	bw_t foreign; /* SCHED_DEADLINE threads that are not ours and may be here; pinned only */
};

struct node_info {
	unsigned cpus;
	bw_t ceiling; /* per CPU */
	uint64_t limit_ppm, first_limit_ppm; /* sched_rt_runtime_us now, and at the start */
	nsec_t granularity_ns;
	bw_t promised;
	bw_t own; /* of that the agent's */
	bw_t foreign; /* SCHED_DEADLINE threads that are not ours */
	bool placements[_PLACEMENT_MAX];
	const struct check *checks;
	size_t n_checks;
	const struct cpu_info *topology;
	size_t n_topology;
};

/* A row of the history. */
struct change {
	int64_t at_ms; /* since the epoch */
	const char *name; /* the reservation's */
	const char *what; /* change_name() */
	const char *why; /* a sentence */
};

/* Every change of a reservation has one of these reasons; also what the log says. */
enum change_kind {
	CHANGE_NONE,
	CHANGE_RESERVED,
	CHANGE_BOUND,
	CHANGE_THREAD_ON,
	CHANGE_THREAD_OFF,
	CHANGE_UNBOUND,
	CHANGE_RELEASED,
	CHANGE_REFUSED,
	CHANGE_TROUBLE,
	CHANGE_MACHINE, /* of no reservation: what the machine can promise */
	_CHANGE_MAX,
};

const char *change_name(enum change_kind kind); /* "thread-on" */
const char *check_status_name(enum check_status s); /* "ok", "limited", "no" */
/* CHECK_NONE for what is no name of one, and for NULL. */
enum check_status check_status_parse(const char *name);
