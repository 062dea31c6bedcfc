// SPDX-License-Identifier: Apache-2.0
#include "cluster/dra/checks.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

#define NAMED_MAX 4 /* containers that a line names */

__attribute__((format(printf, 5, 6))) static void say(struct checks_line *l, const char *name,
	enum check_status status, const char *mend, const char *format, ...)
{
	va_list ap;

	l->name = name;
	l->status = status;
	l->mend = mend;
	va_start(ap, format);
	vsnprintf(l->detail, sizeof(l->detail), format, ap);
	va_end(ap);
	/* Names of programs and runtimes are any bytes. */
	for (char *c = l->detail; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

static void read_version(const json_t *info, const char *key, char ret[static CHECKS_VERSION_MAX])
{
	const char *text = json_string_value(json_object_get(info, key));

	if (text)
		snprintf(ret, CHECKS_VERSION_MAX, "%s", text);
}

void checks_read_node(const json_t *node, struct checks_facts *f)
{
	const json_t *info = json_object_get(json_object_get(node, "status"), "nodeInfo");

	read_version(info, "kubeletVersion", f->kubelet);
	read_version(info, "containerRuntimeVersion", f->runtime);
}

static void check_kubelet(const struct checks_facts *f, struct checks_line *l)
{
	static const char name[] = "kubelet";
	const char *version = f->kubelet[0] ? f->kubelet : "(version not known)";

	if (f->refused)
		say(l, name, CHECK_NO,
			"see the kubelet's log; it takes the plugin in from Kubernetes 1.34 on",
			"the kubelet %s does not take takt-dra: %s", version, f->refused);
	else if (!f->registered)
		say(l, name, CHECK_NO,
			"see that the kubelet runs, and that its folder is the one that takt-dra has "
			"(--kubelet-dir; host.kubeletDir of the chart)",
			"no kubelet has registered takt-dra: it cannot prepare claims here");
	else if (!f->connected)
		say(l, name, CHECK_NO,
			"start it; if it runs, see its log for the plugin rt.takt.dev",
			"the kubelet %s had registered takt-dra and is not connected any more",
			version);
	else if (f->one_claim)
		say(l, name, CHECK_LIMITED,
			"switch on the feature gate DRAConsumableCapacity, or use Kubernetes 1.36 or "
			"newer",
			"the kubelet %s has registered takt-dra, but the API server keeps no shared "
			"devices: one claim takes a whole one",
			version);
	else
		say(l, name, CHECK_OK, NULL, "the kubelet %s has registered takt-dra", version);
}

/* The version is at least that; `text` is behind "NAME://". */
static bool at_least(const char *text, unsigned major, unsigned minor)
{
	unsigned a = 0, b = 0;

	text += *text == 'v';
	sscanf(text, "%u.%u", &a, &b);
	return a > major || (a == major && b >= minor);
}

/* CDI by the CRI, containerd: docs/cri/config.md (enable_cdi), releases 1.7, 2.0; CRI-O: 1.26 (NRI). */
static void check_runtime(const struct checks_facts *f, struct checks_line *l)
{
	static const char name[] = "runtimes";
	static const char newer[] = "use containerd 1.7, CRI-O 1.26, or newer ones; best is "
				    "containerd 2.2.1 or CRI-O 1.35";
	const char *version = strstr(f->runtime, "://");
	bool containerd = strncmp(f->runtime, "containerd://", 13) == 0;
	bool crio = strncmp(f->runtime, "cri-o://", 8) == 0;

	if (version)
		version += strlen("://");
	if (!version)
		say(l, name, CHECK_LIMITED, "see that takt-dra may get its Node object",
			"not known which container runtime this node has: %s",
			f->node_why[0] ? f->node_why : "the Node object does not say so yet");
	else if (!containerd && !crio)
		say(l, name, CHECK_LIMITED, newer,
			"%s is this node's container runtime, and not one that Takt is made for",
			f->runtime);
	else if (!at_least(version, 1, containerd ? 7 : 26))
		say(l, name, CHECK_NO, newer,
			"%s is this node's container runtime: it is older than CDI or NRI",
			f->runtime);
	else if (containerd && !at_least(version, 2, 0))
		say(l, name, CHECK_LIMITED,
			"set enable_cdi = true under [plugins.\"io.containerd.grpc.v1.cri\"] if it is "
			"not there, or use containerd 2",
			"%s is this node's container runtime: it reads CDI files only where it is "
			"told to, and else containers do not get their reservations",
			f->runtime);
	else
		say(l, name, CHECK_OK, NULL,
			"%s is this node's container runtime, and reads CDI "
			"files",
			f->runtime);
}

static void check_nri(const struct checks_facts *f, struct checks_line *l)
{
	static const char name[] = "nri";

	if (!f->nri_used)
		say(l, name, CHECK_LIMITED, "start takt-dra without --nri-socket none",
			"not used: containers are bound by the hook alone, and nobody checks before "
			"whether they may use the reservation that they name");
	else if (!f->nri_connected)
		say(l, name, CHECK_LIMITED,
			"switch NRI on in the runtime's configuration (containerd 1.7: disable = false "
			"under [plugins.\"io.containerd.nri.v1.nri\"]; CRI-O: enable_nri = true), and "
			"see that the folder of its socket is host.nriDir of the chart",
			"not connected to %.100s: %.150s; containers are bound by the hook alone",
			f->nri_path, f->nri_why);
	else if (!f->nri_scheduler)
		say(l, name, CHECK_LIMITED,
			"use a runtime with NRI 0.11 (containerd 2.2.1, CRI-O 1.35) and runc 1.2 or "
			"crun 1.8.5, or newer",
			"connected to %.32s %.32s, which cannot start a program under its "
			"reservation: taktd puts the threads in as soon as it has begun",
			f->nri_name, f->nri_version);
	else
		say(l, name, CHECK_OK, NULL,
			"connected to %.32s %.32s: a first thread that is alone in its reservation is "
			"under it from its first instruction on",
			f->nri_name, f->nri_version);
}

static void check_driver(const struct pods *p, struct checks_line *l)
{
	static const char name[] = "cgroup-driver";

	if (p->systemd && p->cgroupfs)
		say(l, name, CHECK_LIMITED,
			"drain the node and start its pods anew, so that one program manages their "
			"cgroups",
			"pods have cgroups of both drivers, systemd and cgroupfs: it was changed "
			"while they ran");
	else if (!p->systemd && !p->cgroupfs)
		say(l, name, CHECK_LIMITED, "look again when a pod runs here",
			"not known yet: no process of a pod tells it");
	else
		say(l, name, CHECK_OK, NULL, "%s, on cgroup v%d",
			p->systemd ? "systemd" : "cgroupfs", p->v1 ? 1 : 2);
}

static void check_cpus(const struct pods *p, struct checks_line *l)
{
	static const char name[] = "cpu-manager";
	char names[CHECKS_TEXT_MAX / 2] = "", all[CPUS_TEXT_MAX];
	size_t n = 0, used = 0;

	for (size_t i = 0; i < p->n; i++) {
		const struct pods_container *c = &p->containers[i];

		if (c->wide)
			continue;
		if (n++ < NAMED_MAX)
			used += snprintf(names + used, sizeof(names) - used, " %s(%d) CPUs %s;",
				c->name, c->pid, c->cpus);
	}
	cpus_format(all, &p->all);
	if (n == 0)
		say(l, name, CHECK_OK, NULL,
			"no container of %zu is kept to a part of the CPUs (%.64s)", p->n, all);
	else
		say(l, name, CHECK_LIMITED,
			"cpuManagerPolicy: none in the kubelet's configuration on nodes with "
			"reservations, or no Guaranteed pods with whole CPUs there; where the program "
			"chose its CPUs by itself, there is nothing to do",
			"%zu of %zu containers may not use all of CPUs %.64s, as the kubelet's static "
			"CPU manager makes it, and a reservation is refused in such a one:%s",
			n, p->n, all, names);
}

void checks_lines(const struct checks_facts *f, const struct pods *pods,
	struct checks_line ret[static CHECKS_LINES])
{
	check_kubelet(f, &ret[0]);
	check_runtime(f, &ret[1]);
	check_nri(f, &ret[2]);
	check_driver(pods, &ret[3]);
	check_cpus(pods, &ret[4]);
}

json_t *checks_encode(const struct checks_line *lines, size_t n)
{
	cleanup_json json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *one = json_pack("{s:s, s:s, s:s, s:s*}", "name", lines[i].name, "status",
			check_status_name(lines[i].status), "detail", lines[i].detail, "mend",
			lines[i].mend);

		if (json_array_append_new(list, one) < 0)
			return NULL;
	}
	return TAKE(list);
}
