// SPDX-License-Identifier: Apache-2.0
/*
 * `group`: SCHED_FIFO threads in an RT cgroup of the v1 cpu controller (RT_GROUP_SCHED;
 * Documentation/scheduler/sched-rt-group.rst). It throttles and no more: which group runs first is
 * not by deadline, so what it gives is `soft` and carries no bound.
 *
 * The kernel checks after every write that children fit their parent, so parents grow before
 * their children and shrink after them. A parent gets exactly the sum of its children; one that an
 * administrator gave more is left as it is.
 */
#include "node/kernel/kern.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "core/model/units.h"
#include "node/kernel/sched.h"

#define GROUP_FIFO_PRIORITY 1
#define GROUP_PATH_MAX 4096
#define LEFTOVER_TRIES 12 /* some seconds */
#define RT_RUNTIME "cpu.rt_runtime_us"
#define RT_PERIOD "cpu.rt_period_us"

/* One group's numbers in its files' unit. */
struct rt_share {
	int64_t runtime_us, period_us;
};

/* What the kernel did not take back yet. */
struct leftover {
	struct leftover *next;
	struct rt_share share;
	unsigned tries;
	char path[];
};

struct kern_group {
	struct kern kern;
	int root_fd;
	struct leftover *left;
};

static int read_us(int dirfd, const char *file, int64_t *ret)
{
	cleanup_fd int fd = openat(dirfd, file, O_RDONLY | O_CLOEXEC);
	char text[32];
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return n < 0 ? -errno : -EIO;
	text[n] = '\0';
	*ret = strtoll(text, NULL, 10);
	return 0;
}

static int write_us(int dirfd, const char *file, int64_t value, struct err *err)
{
	cleanup_fd int fd = openat(dirfd, file, O_WRONLY | O_CLOEXEC);
	char text[32];
	int n = snprintf(text, sizeof(text), "%" PRId64, value);

	if (fd < 0)
		return err_set_errno(err, errno, "open %s", file);
	fault_point("group.write");
	if (write(fd, text, n) != n)
		return err_set_errno(err, errno, "write %s to %s", text, file);
	fault_point("group.written");
	return 0;
}

static int read_share(int dirfd, struct rt_share *ret)
{
	int r = read_us(dirfd, RT_RUNTIME, &ret->runtime_us);

	return r < 0 ? r : read_us(dirfd, RT_PERIOD, &ret->period_us);
}

static int open_group(const struct kern_group *g, const char *path)
{
	while (*path == '/')
		path++;
	return openat(g->root_fd, *path ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* What the children of `dirfd` need of a parent with this period, rounded up, but for `except`. */
static int64_t children_need(int dirfd, int64_t period_us, const char *except)
{
	cleanup_dir DIR *dir = NULL;
	int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int64_t sum = 0;

	dir = copy < 0 ? NULL : fdopendir(copy);
	if (!dir)
		return 0;
	for (struct dirent *e; (e = readdir(dir));) {
		cleanup_fd int child = -1;
		struct rt_share s;

		if (e->d_type != DT_DIR || e->d_name[0] == '.' || strcmp(e->d_name, except) == 0)
			continue;
		child = openat(dirfd, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (child >= 0 && read_share(child, &s) == 0 && s.period_us > 0 && s.runtime_us > 0)
			sum += (s.runtime_us * period_us + s.period_us - 1) / s.period_us;
	}
	return sum;
}

/* Gives (or takes back) the room for `share` in the parent at `path`, whose child is `name`. */
static int parent_fit(const struct kern_group *g, const char *path, const char *name,
	const struct rt_share *share, bool give, struct err *err)
{
	cleanup_fd int fd = open_group(g, path);
	struct rt_share now;
	int64_t others, with;
	int r;

	if (fd < 0)
		return err_set_errno(err, errno, "open cgroup %s", path);
	r = read_share(fd, &now);
	if (r < 0)
		return err_set_errno(err, r, "read the RT share of cgroup %s", path);
	others = children_need(fd, now.period_us, name);
	with = others +
	       (share->runtime_us * now.period_us + share->period_us - 1) / share->period_us;
	if (give && now.runtime_us >= 0 && now.runtime_us < with)
		r = write_us(fd, RT_RUNTIME, with, err);
	if (!give && now.runtime_us == with)
		r = write_us(fd, RT_RUNTIME, others, err);
	return r < 0 ? err_wrap(err, r, "cgroup %s", path) : 0;
}

/* Walks from the top group (the root excepted) to the parent of `path`, or back. */
static int parents_fit(const struct kern_group *g, const char *path, const struct rt_share *share,
	bool give, struct err *err)
{
	char text[GROUP_PATH_MAX];
	size_t cuts[64], n = 0;

	if (strlen(path) >= sizeof(text))
		return err_set(err, -ENAMETOOLONG, "the cgroup's path is too long");
	strcpy(text, path);
	for (size_t i = 1; text[i]; i++)
		if (text[i] == '/' && n < ARRAY_SIZE(cuts))
			cuts[n++] = i;
	for (size_t i = 0; i < n; i++) {
		size_t cut = cuts[give ? i : n - 1 - i];
		char *name = text + cut + 1, *end = strchr(name, '/');
		int r;

		text[cut] = '\0';
		if (end)
			*end = '\0';
		r = parent_fit(g, text, name, share, give, err);
		text[cut] = '/';
		if (end)
			*end = '/';
		/* A pod's own goes with its containers' ones. */
		if (r < 0 && (give || r != -ENOENT))
			return r;
	}
	return 0;
}

static struct rt_share container_share(const struct kern_container *c)
{
	return (struct rt_share){
		.runtime_us = (c->dl.runtime_ns + NSEC_PER_USEC - 1) / NSEC_PER_USEC,
		.period_us = c->dl.period_ns / NSEC_PER_USEC,
	};
}

/* It is used again. */
static void forget_leftover(struct kern_group *g, const char *path)
{
	struct leftover **at = &g->left;

	while (*at) {
		struct leftover *l = *at;

		if (strcmp(l->path, path) != 0) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		free(l);
	}
}

static int group_bind(struct kern *k, const struct kern_container *c, struct err *err)
{
	struct kern_group *g = container_of(k, struct kern_group, kern);
	struct rt_share share = container_share(c), now;
	cleanup_fd int fd = -1;
	int r;

	if (!c->cgroup)
		return err_set(err, -ENOTSUP,
			"placement group needs a cgroup of the container's own, and it has none");
	fd = open_group(g, c->cgroup);
	if (fd < 0)
		return err_set_errno(err, errno, "open cgroup %s", c->cgroup);
	forget_leftover(g, c->cgroup);
	if (read_share(fd, &now) == 0 && now.runtime_us == share.runtime_us &&
		now.period_us == share.period_us)
		return 0;
	r = parents_fit(g, c->cgroup, &share, true, err);
	if (r == 0)
		r = write_us(fd, RT_RUNTIME, 0, err);
	if (r == 0)
		r = write_us(fd, RT_PERIOD, share.period_us, err);
	if (r == 0)
		r = write_us(fd, RT_RUNTIME, share.runtime_us, err);
	return r < 0 ? err_wrap(err, -ENOTSUP, "give cgroup %s its RT share", c->cgroup) : 0;
}

static int take_back(const struct kern_group *g, const char *path, const struct rt_share *share)
{
	cleanup_fd int fd = open_group(g, path);
	int r = fd >= 0 ? write_us(fd, RT_RUNTIME, 0, NULL) : 0;

	return r < 0 ? r : parents_fit(g, path, share, false, NULL);
}

static bool group_settle(struct kern *k)
{
	struct kern_group *g = container_of(k, struct kern_group, kern);
	struct leftover **at = &g->left;

	while (*at) {
		struct leftover *l = *at;

		if (take_back(g, l->path, &l->share) < 0 && ++l->tries < LEFTOVER_TRIES) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		free(l);
	}
	return !g->left;
}

static bool group_unbind(struct kern *k, const struct kern_container *c)
{
	struct kern_group *g = container_of(k, struct kern_group, kern);
	struct rt_share share = container_share(c);
	struct leftover *l;
	size_t size;

	if (!c->cgroup || take_back(g, c->cgroup, &share) == 0)
		return true;
	size = strlen(c->cgroup) + 1;
	l = calloc(1, sizeof(*l) + size);
	if (!l)
		return true;
	memcpy(l->path, c->cgroup, size);
	l->share = share;
	l->next = g->left;
	g->left = l;
	return false;
}

static int group_thread_on(struct kern *k, const struct kern_thread *t)
{
	return sched_set_fifo(t->tid, GROUP_FIFO_PRIORITY);
}

static int group_thread_off(struct kern *k, pid_t tid, nsec_t *ret_late_ns)
{
	return sched_set_normal(tid, ret_late_ns);
}

static bool group_thread_is_on(struct kern *k, const struct kern_thread *t)
{
	struct sched_now now;

	return sched_get(t->tid, &now) == 0 && now.policy == SCHED_FIFO &&
	       now.rt_priority == GROUP_FIFO_PRIORITY;
}

static void group_destroy(struct kern *k)
{
	struct kern_group *g = container_of(k, struct kern_group, kern);

	while (g->left) {
		struct leftover *next = g->left->next;

		free(g->left);
		g->left = next;
	}
	close(g->root_fd);
	free(g);
}

static const struct kern_ops group_ops = {
	.placement = PLACEMENT_GROUP,
	.bind = group_bind,
	.unbind = group_unbind,
	.settle = group_settle,
	.thread_on = group_thread_on,
	.thread_off = group_thread_off,
	.thread_is_on = group_thread_is_on,
	.thread_carries = false,
	.destroy = group_destroy,
};

int kern_group_create(struct kern **ret, const char *root, struct err *err)
{
	struct kern_group *g = calloc(1, sizeof(*g));

	if (!g)
		return err_set(err, -ENOMEM, "out of memory");
	g->kern.ops = &group_ops;
	g->root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (g->root_fd < 0) {
		int code = errno;

		free(g);
		return err_set_errno(err, code, "open %s", root);
	}
	*ret = &g->kern;
	return 0;
}
