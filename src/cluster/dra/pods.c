// SPDX-License-Identifier: Apache-2.0
/*
 * A pod's cgroup is .../kubepods/burstable/podUID/ID or, by the systemd driver,
 * .../kubepods-burstable.slice/kubepods-burstable-podUID_WITH_.slice/cri-containerd-ID.scope
 * (kubernetes pkg/kubelet/cm/pod_container_manager_linux.go, cgroup_manager_linux.go). In a cgroup
 * namespace the parts above may be "..": so it is told by the pod's part alone.
 */
#include "cluster/dra/pods.h"

#include <linux/sched.h>
#include <stdio.h>
#include <string.h>

#define UID_LEN 32 /* at least: static pods have it without '-' */

struct place {
	bool v1, systemd;
	uint64_t id;
};

static size_t part_len(const char *at)
{
	return strcspn(at, "/\n");
}

static bool is_cgroupfs(const char *part, size_t len)
{
	return len >= 3 + UID_LEN && strncmp(part, "pod", 3) == 0 &&
	       strspn(part + 3, "0123456789abcdef-") >= len - 3;
}

static bool is_systemd(const char *part, size_t len)
{
	char name[128];

	if (len >= sizeof(name))
		return false;
	snprintf(name, sizeof(name), "%.*s", (int)len, part);
	return strstr(name, "kubepods") && strstr(name, "-pod") && len > 6 &&
	       strcmp(name + len - 6, ".slice") == 0;
}

/* FNV-1a */
static uint64_t hash(const char *text, const char *end)
{
	uint64_t h = 14695981039346656037u;

	for (; text < end; text++)
		h = (h ^ (unsigned char)*text) * 1099511628211u;
	return h;
}

/* path: from its first '/'. The container is the part behind the pod's. */
static bool read_path(const char *path, struct place *ret)
{
	for (const char *at = path; *at == '/'; at += part_len(at)) {
		size_t len = part_len(++at);
		bool systemd = is_systemd(at, len);
		const char *end = at + len;

		if (!systemd && !is_cgroupfs(at, len))
			continue;
		if (*end == '/')
			end += 1 + part_len(end + 1);
		ret->systemd = systemd;
		ret->id = hash(at, end);
		return true;
	}
	return false;
}

/* Lines are "HIERARCHY:CONTROLLERS:PATH", cgroups(7); hierarchy 0 is that of v2. */
static bool read_place(const char *cgroup, struct place *ret)
{
	bool found = false;

	for (const char *line = cgroup; *line; line += *line == '\n') {
		const char *path = line + strcspn(line, "/\n");

		if (*path == '/' && read_path(path, ret)) {
			found = true;
			ret->v1 |= *line != '0';
		}
		line += strcspn(line, "\n");
	}
	return found;
}

bool pods_has(const char *cgroup)
{
	struct place place = { 0 };

	return read_place(cgroup, &place);
}

/* The rest of the line that begins with `key`, without what is not printed; false: none. */
static bool read_line(const char *text, const char *key, char *ret, size_t size)
{
	while (text && strncmp(text, key, strlen(key)) != 0) {
		text = strchr(text, '\n');
		if (text)
			text++;
	}
	if (!text)
		return false;
	text += strlen(key);
	text += strspn(text, " \t");
	snprintf(ret, size, "%.*s", (int)strcspn(text, "\n"), text);
	return true;
}

static struct pods_container *container_of_place(struct pods *p, const struct place *place)
{
	struct pods_container *c = p->containers;

	while (c < p->containers + p->n && c->id != place->id)
		c++;
	if (c == p->containers + PODS_CONTAINERS_MAX)
		return NULL;
	if (c == p->containers + p->n) {
		*c = (struct pods_container){ .id = place->id };
		p->n++;
	}
	return c;
}

/* The flag comes with the policy where the thread's children are to lose it: kernel/sched/syscalls.c */
static bool is_deadline(int policy)
{
	return (policy & ~SCHED_RESET_ON_FORK) == SCHED_DEADLINE;
}

void pods_see(struct pods *p, int pid, const char *cgroup, const char *status, int policy)
{
	struct pods_container *c;
	struct place place = { 0 };
	char list[CPUS_TEXT_MAX];
	struct cpus allowed;

	if (!read_place(cgroup, &place) ||
		!read_line(status, "Cpus_allowed_list:", list, sizeof(list)) ||
		cpus_parse(list, &allowed, NULL) < 0)
		return;
	p->systemd |= place.systemd;
	p->cgroupfs |= !place.systemd;
	p->v1 |= place.v1;
	c = container_of_place(p, &place);
	if (!c)
		return;
	c->wide |= is_deadline(policy) || cpus_subset(&p->all, &allowed);
	if (c->pid)
		return;
	c->pid = pid;
	read_line(status, "Name:", c->name, sizeof(c->name));
	snprintf(c->cpus, sizeof(c->cpus), "%.*s", PODS_CPUS_MAX - 1, list);
}
