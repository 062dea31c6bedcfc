// SPDX-License-Identifier: Apache-2.0
#include "node/monitor/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Up to the n-th field after the command's closing bracket; state is field 3 of proc(5). */
static const char *stat_field(const char *after, unsigned field)
{
	for (unsigned at = 3; at < field && after; at++) {
		after = strchr(after, ' ');
		if (after)
			after++;
	}
	return after;
}

int proc_parse_stat(struct bytes text, struct proc_stat *ret)
{
	char line[1024];
	size_t len = text.len < sizeof(line) - 1 ? text.len : sizeof(line) - 1;
	const char *open, *close, *threads, *start;
	struct proc_stat s = { 0 };

	memcpy(line, text.at, len);
	line[len] = '\0';
	/* The command may hold anything, also brackets: it ends at the last one. */
	open = strchr(line, '(');
	close = strrchr(line, ')');
	if (!open || !close || close < open || close[1] != ' ')
		return -EINVAL;
	if (sscanf(line, "%d", &s.pid) != 1 ||
		sscanf(close + 2, "%c %d %*d %d", &s.state, &s.ppid, &s.session) != 3)
		return -EINVAL;
	len = close - open - 1;
	if (len > sizeof(s.comm) - 1)
		len = sizeof(s.comm) - 1;
	memcpy(s.comm, open + 1, len);
	threads = stat_field(close + 2, 20);
	start = stat_field(close + 2, 22);
	if (!threads || !start)
		return -EINVAL;
	s.threads = strtoul(threads, NULL, 10);
	s.start = strtoull(start, NULL, 10);
	*ret = s;
	return 0;
}

/* 3: the v2 hierarchy, 2: the v1 cpu controller, 1: pids, 0: another. */
static int hierarchy_rank(const char *controllers, size_t len)
{
	if (len == 0)
		return 3;
	for (const char *at = controllers, *end = at + len; at < end;) {
		const char *comma = memchr(at, ',', end - at);
		size_t n = (comma ? comma : end) - at;

		if (n == 3 && memcmp(at, "cpu", 3) == 0)
			return 2;
		if (n == 4 && memcmp(at, "pids", 4) == 0)
			return 1;
		at += n + 1;
	}
	return 0;
}

int proc_parse_cgroup(struct bytes text, char ret[static PROC_CGROUP_MAX])
{
	int best = 0;

	while (text.len) {
		const char *end = memchr(text.at, '\n', text.len);
		size_t len = end ? (size_t)(end - text.at) : text.len;
		const char *first = memchr(text.at, ':', len);
		const char *second =
			first ? memchr(first + 1, ':', len - (first + 1 - text.at)) : NULL;

		if (second) {
			const char *path = second + 1;
			size_t n = text.at + len - path;
			int rank = hierarchy_rank(first + 1, second - first - 1);

			if (n > 1 && n < PROC_CGROUP_MAX && path[0] == '/' && rank > best &&
				!memchr(path, '\0', n)) {
				best = rank;
				memcpy(ret, path, n);
				ret[n] = '\0';
			}
		}
		text = bytes_skip(text, end ? len + 1 : len);
	}
	return best ? 0 : -ENOENT;
}

#define NSPID_LINE_MAX 512

/* "NSpid:", and a number for each namespace, from ours to its own. */
static int nspid_line(struct bytes text, char ret[static NSPID_LINE_MAX])
{
	while (text.len) {
		const char *end = memchr(text.at, '\n', text.len);
		size_t len = end ? (size_t)(end - text.at) : text.len;

		if (len > 6 && memcmp(text.at, "NSpid:", 6) == 0) {
			if (len >= NSPID_LINE_MAX)
				return -EINVAL;
			memcpy(ret, text.at, len);
			ret[len] = '\0';
			return 0;
		}
		text = bytes_skip(text, end ? len + 1 : len);
	}
	return -ENOENT;
}

int proc_parse_nspid(struct bytes text, pid_t *ret)
{
	char line[NSPID_LINE_MAX];
	int r = nspid_line(text, line);
	const char *last;

	if (r < 0)
		return r;
	last = strrchr(line, '\t');
	*ret = last ? strtol(last + 1, NULL, 10) : 0;
	return *ret > 0 ? 0 : -EINVAL;
}

static int read_text(const char *path, char *buf, size_t size, struct bytes *ret)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	while (used < size && (n = read(fd, buf + used, size - used)) != 0) {
		if (n < 0)
			return -errno;
		used += n;
	}
	*ret = (struct bytes){ buf, used };
	return 0;
}

static int read_stat(const char *path, struct proc_stat *ret)
{
	char buf[1024];
	struct bytes text;
	int r = read_text(path, buf, sizeof(buf), &text);

	return r < 0 ? r : proc_parse_stat(text, ret);
}

int proc_stat(pid_t pid, struct proc_stat *ret)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	return read_stat(path, ret);
}

int proc_thread_stat(pid_t pid, pid_t tid, struct proc_stat *ret)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	return read_stat(path, ret);
}

int proc_cgroup(pid_t pid, char ret[static PROC_CGROUP_MAX])
{
	char path[64], buf[4 * PROC_CGROUP_MAX];
	struct bytes text;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	r = read_text(path, buf, sizeof(buf), &text);
	return r < 0 ? r : proc_parse_cgroup(text, ret);
}

int proc_program(pid_t pid, uint64_t *ret)
{
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a, 64 bits */
	char path[64], buf[4096];
	struct bytes text;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	r = read_text(path, buf, sizeof(buf), &text);
	if (r < 0)
		return r;
	for (size_t i = 0; i < text.len; i++)
		hash = (hash ^ (unsigned char)text.at[i]) * 0x100000001b3;
	*ret = hash;
	return 0;
}

uint64_t proc_now(void)
{
	struct timespec now;
	uint64_t ticks = sysconf(_SC_CLK_TCK);

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * ticks + now.tv_nsec / (1000000000 / ticks);
}

int proc_tgid(pid_t tid, pid_t *ret)
{
	char path[64], buf[4096];
	struct bytes text;
	const char *at;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	r = read_text(path, buf, sizeof(buf) - 1, &text);
	if (r < 0)
		return r;
	buf[text.len] = '\0';
	at = strstr(buf, "\nTgid:");
	if (!at || sscanf(at, "\nTgid: %d", ret) != 1)
		return -EINVAL;
	return 0;
}

bool proc_gone(pid_t pid, uint64_t start)
{
	struct proc_stat s;

	/*
	 * A task without any thread was let go of while we read: when another thread than the
	 * leader execs, that is the leader, and the number is the other's by now (fs/exec.c,
	 * de_thread).
	 */
	do {
		int r = proc_stat(pid, &s);

		if (r < 0)
			return r == -ESRCH; /* what cannot be read has not ended because of that */
		if (s.start != start && start != PROC_START_UNKNOWN)
			return true;
	} while (s.threads == 0);
	/* A zombie leader with other threads alive is still a process. */
	return (s.state == 'Z' || s.state == 'X') && s.threads <= 1;
}

bool proc_thread_gone(pid_t pid, pid_t tid)
{
	struct proc_stat s;
	int r = proc_thread_stat(pid, tid, &s);

	return r < 0 ? r == -ESRCH : s.state == 'Z' || s.state == 'X';
}

static int each_number(const char *path, int (*each)(void *ctx, pid_t number), void *ctx)
{
	cleanup_dir DIR *dir = opendir(path);
	int r = 0;

	if (!dir)
		return errno == ENOENT ? -ESRCH : -errno;
	for (struct dirent *e; r == 0 && (e = readdir(dir));)
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9')
			r = each(ctx, strtol(e->d_name, NULL, 10));
	return r;
}

int proc_each_process(int (*each)(void *ctx, pid_t pid), void *ctx)
{
	return each_number("/proc", each, ctx);
}

int proc_each_thread(pid_t pid, int (*each)(void *ctx, pid_t tid), void *ctx)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	return each_number(path, each, ctx);
}

bool proc_is_nested(pid_t pid)
{
	char path[64], buf[4096], line[NSPID_LINE_MAX];
	struct bytes text;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	return read_text(path, buf, sizeof(buf), &text) == 0 && nspid_line(text, line) == 0 &&
	       strchr(line, '\t') != strrchr(line, '\t');
}

struct inner_search {
	pid_t pid, inner, found;
};

static int match_inner(void *ctx, pid_t tid)
{
	struct inner_search *s = ctx;
	char path[64], buf[4096];
	struct bytes text;
	pid_t inner;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", s->pid, tid);
	if (read_text(path, buf, sizeof(buf), &text) < 0 || proc_parse_nspid(text, &inner) < 0 ||
		inner != s->inner)
		return 0;
	s->found = tid;
	return 1;
}

int proc_find_inner(pid_t pid, pid_t inner, pid_t *ret)
{
	struct inner_search s = { pid, inner, 0 };
	int r = proc_each_thread(pid, match_inner, &s);

	if (r < 0)
		return r;
	if (!s.found)
		return -ESRCH;
	*ret = s.found;
	return 0;
}
