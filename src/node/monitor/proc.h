/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What /proc says of processes and threads: parsers of its files, and readers that use them. The
 * agent finds out with it who belongs to a container, also after a restart.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "core/model/resv.h"

#define PROC_CGROUP_MAX 4096

/* Of proc(5), /proc/PID/stat. */
struct proc_stat {
	pid_t pid, ppid, session;
	char comm[THREAD_NAME_LEN];
	char state; /* 'R', 'S', ..., 'Z' */
	unsigned threads;
	uint64_t start; /* clock ticks after boot; with the pid it names a process for good */
};

/* -EINVAL where the text is not of that form. Parsers take any bytes. */
int proc_parse_stat(struct bytes text, struct proc_stat *ret);

/*
 * The path that tells containers apart, out of /proc/PID/cgroup: that of the v2 hierarchy, or,
 * where that is the root, that of the v1 cpu controller, then of pids. -ENOENT: the process is in
 * no cgroup of its own.
 */
int proc_parse_cgroup(struct bytes text, char ret[static PROC_CGROUP_MAX]);

/* The last number of the line "NSpid:": the thread's number where it lives. -ENOENT: none. */
int proc_parse_nspid(struct bytes text, pid_t *ret);

/* Now, as `start` says it. */
uint64_t proc_now(void);

/* Each reads a file of /proc; negative errno, -ESRCH where the process or thread is gone. */
int proc_stat(pid_t pid, struct proc_stat *ret);
int proc_thread_stat(pid_t pid, pid_t tid, struct proc_stat *ret);
int proc_cgroup(pid_t pid, char ret[static PROC_CGROUP_MAX]);
/*
 * A number for the program that a process runs, which an exec changes: a hash of its command line.
 * /proc/PID/exe would say more, but of other users and of a runtime's init only to who may trace.
 */
int proc_program(pid_t pid, uint64_t *ret);
/* The process that a thread belongs to. */
int proc_tgid(pid_t tid, pid_t *ret);

#define PROC_START_UNKNOWN UINT64_MAX /* any process under the number is the same */

/* Dead, or a zombie whose threads have all ended, or another process under the same number. */
bool proc_gone(pid_t pid, uint64_t start);
bool proc_thread_gone(pid_t pid, pid_t tid);

/* Calls `each` for every process, or every thread of one, until it returns non-zero. */
int proc_each_process(int (*each)(void *ctx, pid_t pid), void *ctx);
int proc_each_thread(pid_t pid, int (*each)(void *ctx, pid_t tid), void *ctx);

/* It is in a PID namespace below ours, where processes have other numbers. */
bool proc_is_nested(pid_t pid);

/* The thread of `pid` that its own PID namespace calls `inner`; -ESRCH: none. */
int proc_find_inner(pid_t pid, pid_t inner, pid_t *ret);
