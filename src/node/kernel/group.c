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
#include "node/kernel/clock.h"
#include "node/kernel/sched.h"

#define GROUP_FIFO_PRIORITY 1
#define GROUP_PATH_MAX 4096
#define LEFTOVER_NS (10 * NSEC_PER_SEC)
#define LEVELS_MAX 64
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
	nsec_t until; /* CLOCK_MONOTONIC */
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

/* What a share takes of a parent with this period, rounded up. */
static int64_t in_period(const struct rt_share *s, int64_t period_us)
{
	if (s->runtime_us <= 0 || s->period_us <= 0)
		return 0;
	return (s->runtime_us * period_us + s->period_us - 1) / s->period_us;
}

/* What the children of `dirfd` need of a parent with this period. */
static int64_t children_need(int dirfd, int64_t period_us)
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

		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		child = openat(dirfd, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (child >= 0 && read_share(child, &s) == 0)
			sum += in_period(&s, period_us);
	}
	return sum;
}

/* A group and what it has; a pod's own goes with its containers' ones: fd -1, and it has nothing. */
struct level {
	int fd;
	struct rt_share now;
};

/* From the top group (the root excepted) to a container's own, which is the last. */
struct levels {
	struct level at[LEVELS_MAX];
	size_t n;
};

static void levels_close(struct levels *l)
{
	while (l->n > 0)
		if (l->at[--l->n].fd >= 0)
			close(l->at[l->n].fd);
}

#define cleanup_levels __attribute__((cleanup(levels_close)))

static int levels_open(
	const struct kern_group *g, const char *path, struct levels *ret, struct err *err)
{
	char text[GROUP_PATH_MAX];
	size_t len = strlen(path);

	if (path[0] != '/')
		return err_set(err, -EINVAL, "%s is no cgroup's path", path);
	if (len >= sizeof(text))
		return err_set(err, -ENAMETOOLONG, "the cgroup's path is too long");
	for (size_t i = 1; i <= len; i++) {
		struct level *at = &ret->at[ret->n];
		int r = 0;

		if (path[i] != '/' && path[i] != '\0')
			continue;
		if (ret->n == ARRAY_SIZE(ret->at))
			return err_set(err, -ENAMETOOLONG, "the cgroup's path is too long");
		memcpy(text, path, i);
		text[i] = '\0';
		*at = (struct level){ .fd = open_group(g, text) };
		if (at->fd < 0 && errno != ENOENT)
			return err_set_errno(err, errno, "open cgroup %s", text);
		ret->n++;
		if (at->fd >= 0)
			r = read_share(at->fd, &at->now);
		if (r < 0)
			return err_set_errno(err, r, "read the RT share of cgroup %s", text);
	}
	return 0;
}

/* The parents get room for `share` in the last group. */
static int parents_grow(const struct levels *l, const struct rt_share *share, struct err *err)
{
	int64_t wanted[LEVELS_MAX];
	struct rt_share child = *share;
	size_t i;
	int r = 0;

	for (i = l->n - 1; i-- > 0;) {
		const struct level *at = &l->at[i];
		int64_t period = at->now.period_us, need;

		need = children_need(at->fd, period) - in_period(&l->at[i + 1].now, period) +
		       in_period(&child, period);
		/* -1: it has no limit. */
		wanted[i] = at->now.runtime_us < 0 || need < at->now.runtime_us ? at->now.runtime_us
										: need;
		child = (struct rt_share){ wanted[i], period };
	}
	for (i = 0; i + 1 < l->n && r == 0; i++)
		if (wanted[i] != l->at[i].now.runtime_us)
			r = write_us(l->at[i].fd, RT_RUNTIME, wanted[i], err);
	while (r < 0 && i-- > 0)
		if (wanted[i] != l->at[i].now.runtime_us)
			write_us(l->at[i].fd, RT_RUNTIME, l->at[i].now.runtime_us, NULL);
	return r;
}

/*
 * The parents as they were read, with `share` in the last group, which has no more than it has now:
 * who had just enough gets just enough. Where one cannot, all are as they were, for the next try.
 */
static int parents_shrink(const struct levels *l, const struct rt_share *share)
{
	bool exact[LEVELS_MAX];
	size_t i;
	int r = 0;

	for (i = 0; i + 1 < l->n; i++) {
		const struct level *at = &l->at[i];
		int64_t period = at->now.period_us, need = 0;

		if (at->fd >= 0)
			need = children_need(at->fd, period);
		/* What was below is gone with it. */
		if (i + 2 == l->n || l->at[i + 1].fd < 0)
			need += in_period(share, period);
		exact[i] = at->fd >= 0 && at->now.runtime_us == need;
	}
	for (i = l->n - 1; i > 0 && r == 0; i--)
		if (exact[i - 1])
			r = write_us(l->at[i - 1].fd, RT_RUNTIME,
				children_need(l->at[i - 1].fd, l->at[i - 1].now.period_us), NULL);
	for (; r < 0 && i + 1 < l->n; i++)
		if (exact[i])
			write_us(l->at[i].fd, RT_RUNTIME, l->at[i].now.runtime_us, NULL);
	return r;
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

static int take_back(const struct kern_group *g, const char *path, const struct rt_share *share)
{
	cleanup_levels struct levels l = { 0 };
	int r = levels_open(g, path, &l, NULL), last;

	if (r < 0)
		return r;
	last = l.at[l.n - 1].fd;
	r = last >= 0 ? write_us(last, RT_RUNTIME, 0, NULL) : 0;
	return r < 0 ? r : parents_shrink(&l, share);
}

static int give(const struct levels *l, const struct rt_share *share, struct err *err)
{
	int last = l->at[l->n - 1].fd;
	int r = parents_grow(l, share, err);

	if (r == 0)
		r = write_us(last, RT_RUNTIME, 0, err);
	if (r == 0)
		r = write_us(last, RT_PERIOD, share->period_us, err);
	if (r == 0)
		r = write_us(last, RT_RUNTIME, share->runtime_us, err);
	return r;
}

static int group_bind(struct kern *k, const struct kern_container *c, struct err *err)
{
	struct kern_group *g = container_of(k, struct kern_group, kern);
	struct rt_share share = container_share(c);
	cleanup_levels struct levels l = { 0 };
	const struct level *last;
	int r;

	if (!c->cgroup)
		return err_set(err, -ENOTSUP,
			"placement group needs a cgroup of the container's own, and it has none");
	r = levels_open(g, c->cgroup, &l, err);
	if (r < 0)
		return r;
	last = &l.at[l.n - 1];
	if (last->fd < 0)
		return err_set_errno(err, -ENOENT, "open cgroup %s", c->cgroup);
	forget_leftover(g, c->cgroup);
	if (last->now.runtime_us == share.runtime_us && last->now.period_us == share.period_us)
		return 0;
	r = give(&l, &share, err);
	if (r == 0)
		return 0;
	take_back(g, c->cgroup, &share);
	return err_wrap(err, -ENOTSUP, "give cgroup %s its RT share", c->cgroup);
}

static bool group_settle(struct kern *k, struct err *gave_up)
{
	struct kern_group *g = container_of(k, struct kern_group, kern);
	struct leftover **at = &g->left;

	while (*at) {
		struct leftover *l = *at;
		int r = take_back(g, l->path, &l->share);

		if (r < 0 && clock_ns(CLOCK_MONOTONIC) < l->until) {
			at = &l->next;
			continue;
		}
		if (r < 0)
			err_set_errno(gave_up, r, "take back the RT share of cgroup %s", l->path);
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
	l->until = clock_ns(CLOCK_MONOTONIC) + LEFTOVER_NS;
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

		take_back(g, g->left->path, &g->left->share);
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
