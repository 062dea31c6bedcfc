// SPDX-License-Identifier: Apache-2.0
/*
 * What takt-dra knows of its node, told to taktd for `takt doctor`: at each change, and again before
 * taktd forgets it. The processes of pods are looked at a few at a time, beside the runtime's calls.
 */
#include "cluster/nodeplugin/nodeplugin.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cluster/nodeplugin/door.h"
#include "core/model/units.h"

#define SOON_MS 500
#define AGAIN_MS 30000
#define FOR_MS 90000
#define NODE_AGAIN_MS (5 * 60 * 1000)
#define NODE_TIMES 3 /* the kubelet writes what it is some time after it has begun */
#define STEP_PROCESSES 16
#define STEP_MS 2
#define PROCESSES_MAX 65536
#define TEXT_BYTES 8192

static void on_timer(uv_timer_t *timer);

static uint64_t since_ms(uint64_t ns)
{
	return (uv_hrtime() - ns) / NSEC_PER_MSEC;
}

static void ended(struct plugin *p)
{
	struct checks *c = &p->checks;

	c->busy = false;
	uv_timer_start(&c->timer, on_timer, c->again ? SOON_MS : AGAIN_MS, 0);
	c->again = false;
}

static void on_told(void *data, int code, const json_t *reply, const char *error)
{
	struct plugin *p = data;

	if (code < 0 && !p->checks.lost)
		plugin_log("takt doctor does not know of this node's Kubernetes: %s", error);
	p->checks.lost = code < 0;
	ended(p);
}

static void tell(struct plugin *p)
{
	struct checks *c = &p->checks;
	struct checks_line lines[CHECKS_LINES];

	c->facts.registered = p->publish.registered;
	c->facts.connected = listen_n_peers(p->dra) > 0;
	c->facts.refused = c->refused[0] ? c->refused : NULL;
	c->facts.one_claim = p->publish.dropped & SLICE_DROP_CAPACITY;
	runtime_facts(p, &c->facts);
	checks_lines(&c->facts, &c->pods, lines);
	if (door_call(p->door, "rt.takt.Tell",
		    json_pack("{s:s, s:o, s:i}", "source", "takt-dra", "checks",
			    checks_encode(lines, CHECKS_LINES), "forMs", FOR_MS),
		    on_told, p) < 0)
		ended(p);
}

/* All of a small file of /proc; false: the process has gone. */
static bool read_text(int pid, const char *name, char buf[static TEXT_BYTES])
{
	char path[64];
	cleanup_fd int fd = -EBADF;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, buf, TEXT_BYTES - 1);
	buf[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static void see_process(struct checks *c, int pid)
{
	static char cgroup[TEXT_BYTES], status[TEXT_BYTES];

	if (read_text(pid, "cgroup", cgroup) && pods_has(cgroup) &&
		read_text(pid, "status", status))
		pods_see(&c->pods, pid, cgroup, status, sched_getscheduler(pid));
}

static void on_step(uv_timer_t *timer)
{
	struct plugin *p = container_of(timer, struct plugin, checks.timer);
	struct checks *c = &p->checks;
	struct dirent *e = NULL;

	for (int i = 0; i < STEP_PROCESSES; i++) {
		e = c->n_seen < PROCESSES_MAX ? readdir(c->proc) : NULL;
		if (!e)
			break;
		if (e->d_name[0] < '1' || e->d_name[0] > '9')
			continue;
		c->n_seen++;
		see_process(c, atoi(e->d_name));
	}
	if (e)
		return;
	uv_timer_stop(timer);
	closedir(TAKE(c->proc));
	tell(p);
}

/* Not at every change: at most every 30 s. What a node without taktd's answer has is not known. */
static void see_pods(struct plugin *p)
{
	struct checks *c = &p->checks;

	if ((c->seen_ns && since_ms(c->seen_ns) < AGAIN_MS - SOON_MS) || !p->look.known) {
		tell(p);
		return;
	}
	c->proc = opendir("/proc");
	if (!c->proc) {
		tell(p);
		return;
	}
	c->seen_ns = uv_hrtime();
	c->n_seen = 0;
	c->pods = (struct pods){ .all = p->look.facts.usable };
	uv_timer_start(&c->timer, on_step, 0, STEP_MS);
}

static void on_node(void *data, const struct kube_answer *answer)
{
	struct plugin *p = data;
	struct checks *c = &p->checks;

	c->reading = NULL;
	if (answer->code == 0) {
		checks_read_node(answer->object, &c->facts);
		c->node_ns = uv_hrtime();
		c->node_times -= c->node_times > 0;
	} else {
		snprintf(c->facts.node_why, sizeof(c->facts.node_why), "%s", answer->err.text);
	}
	see_pods(p);
}

static void on_timer(uv_timer_t *timer)
{
	struct plugin *p = container_of(timer, struct plugin, checks.timer);
	struct kube_ref ref = { { NULL, "v1", "nodes" }, NULL, p->node, NULL };
	struct checks *c = &p->checks;

	c->busy = true;
	if ((!c->node_times && since_ms(c->node_ns) < NODE_AGAIN_MS) ||
		kube_get(p->kube, &ref, on_node, p, &c->reading, NULL) < 0)
		see_pods(p);
}

void checks_changed(struct plugin *p)
{
	struct checks *c = &p->checks;

	c->node_times = NODE_TIMES;
	if (c->busy)
		c->again = true;
	else if (!uv_is_active((uv_handle_t *)&c->timer) ||
		 uv_timer_get_due_in(&c->timer) > SOON_MS)
		uv_timer_start(&c->timer, on_timer, SOON_MS, 0);
}

void checks_registered(struct plugin *p, const char *why)
{
	snprintf(p->checks.refused, sizeof(p->checks.refused), "%s", why ? why : "");
	checks_changed(p);
}

void checks_stop(struct plugin *p)
{
	kube_call_cancel(TAKE(p->checks.reading));
	if (p->checks.proc)
		closedir(TAKE(p->checks.proc));
	p->checks.busy = true; /* nothing begins any more */
	uv_timer_stop(&p->checks.timer);
}
