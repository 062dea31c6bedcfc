// SPDX-License-Identifier: Apache-2.0
/*
 * What this machine can promise, line by line, with the mend. Every line is looked at anew when
 * somebody asks.
 */
#include "node/agent/agent.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "node/kernel/sched.h"
#include "node/kernel/topology.h"
#include "node/monitor/proc.h"

#define TEXT_MAX 512
#define NAMED_MAX 8 /* threads that a line names */

/* Where the lines go; their text lives until the next time. */
struct report {
	struct check *checks;
	size_t n, max;
	char (*texts)[TEXT_MAX];
};

__attribute__((format(printf, 5, 6))) static void add(struct report *r, const char *name,
	enum check_status status, const char *mend, const char *format, ...)
{
	va_list ap;

	if (r->n == r->max)
		return;
	va_start(ap, format);
	vsnprintf(r->texts[r->n], TEXT_MAX, format, ap);
	va_end(ap);
	r->checks[r->n] = (struct check){ name, status, r->texts[r->n], mend };
	r->n++;
}

static void check_ceiling(struct agent *a, struct report *r)
{
	static const char limit_changed[] =
		"set sched_rt_runtime_us and sched_rt_period_us back, or start taktd anew";
	static const char count_anew[] =
		"taktd has the kernel count anew within seconds; before Linux 6.15 it only does when "
		"a cpuset is made or removed";
	const struct ceiling *c = &a->ceiling;
	bool same = limit_is_same(&c->limit, &a->probe.limit);
	const char *mend = same ? count_anew : limit_changed;
	unsigned n = cpus_count(&a->probe.root_domain);
	uint64_t ppm = (ceiling_limit(a).q20 / n * PPM_ONE_CPU) >> 20;
	char cpus[CPUS_TEXT_MAX], found[TEXT_MAX / 2];

	if (look_limit_trouble(a)[0]) {
		add(r, "ceiling", CHECK_NO, "set it back, or start taktd anew", "%s",
			look_limit_trouble(a));
		return;
	}
	if (a->probe.unlimited) {
		add(r, "ceiling", CHECK_OK, NULL,
			"sched_rt_runtime_us is -1: the kernel admits everything, Takt alone says "
			"what fits: 0.9 of each CPU; placement pinned");
		return;
	}
	snprintf(found, sizeof(found), "%u.%03u of each of %u CPUs (%.100s), found by trying",
		(unsigned)(ppm / 1000000), (unsigned)(ppm / 1000 % 1000), n,
		cpus_format(cpus, &a->probe.root_domain));
	if (!ppm)
		add(r, "ceiling", CHECK_NO,
			"give SCHED_DEADLINE room: sysctl kernel.sched_rt_runtime_us=950000", "%s",
			found);
	else if (c->granted.q20 > c->most.q20)
		add(r, "ceiling", CHECK_LIMITED, mend,
			"%s; %.3f CPU more than that is granted now, and not promised", found,
			(double)(c->granted.q20 - c->most.q20) / BW_ONE_CPU);
	else if (c->granted.q20 < c->most.q20)
		add(r, "ceiling", CHECK_LIMITED, mend,
			"%s; it was %.3f CPU more when taktd started", found,
			(double)(c->most.q20 - c->granted.q20) / BW_ONE_CPU);
	else
		add(r, "ceiling", CHECK_OK, NULL, "%s", found);
}

static void check_cpus(struct agent *a, struct report *r)
{
	struct cpus usable = topology_usable(&a->probe.root_domain);
	struct cpus missing = cpus_without(&a->probe.root_domain, &usable);
	char text[CPUS_TEXT_MAX];

	if (cpus_count(&missing))
		add(r, "cpus", CHECK_NO,
			"bring them online and into taktd's cpuset again, or start taktd anew",
			"CPUs %.100s are offline or out of taktd's cpuset, and were not when it "
			"started",
			cpus_format(text, &missing));
	else
		add(r, "cpus", CHECK_OK, NULL, "CPUs %.100s are online",
			cpus_format(text, &usable));
}

static const char *granularity_mend(const struct agent *a)
{
	return a->overrun.measured
		       ? "echo HRTICK_DL > /sys/kernel/debug/sched/features (kernel with "
			 "SCHED_HRTICK), then start taktd anew after a reboot or with an empty state "
			 "folder"
		       : "start taktd anew when bandwidth is free, and neither a hypervisor nor "
			 "another deadline thread takes the CPU";
}

static void check_granularity(struct agent *a, struct report *r)
{
	char g[TEXT_NUMBER_MAX], seen[TEXT_NUMBER_MAX];
	bool fine = a->overrun.granularity_ns < NSEC_PER_MSEC;

	add(r, "granularity", fine ? CHECK_OK : CHECK_LIMITED, fine ? NULL : granularity_mend(a),
		"a reservation may run %s past its budget before it is stopped (worst measured %s); "
		"every bound counts with it",
		duration_words(g, a->overrun.granularity_ns),
		a->overrun.measured ? duration_words(seen, a->overrun.worst_ns) : "nothing yet");
}

static void check_speed(struct agent *a, struct report *r)
{
	struct speed s = speed_read(SPEED_ROOT, &a->probe.root_domain);

	if (s.unequal)
		add(r, "speed", CHECK_NO, "ask for guarantee soft on this machine",
			"CPUs differ in size: CPU %u has 0.%03u of the largest, and nothing hard is proven",
			s.cpu, s.permille);
	else if (s.permille < SPEED_FULL)
		add(r, "speed", CHECK_LIMITED,
			"cpupower frequency-set --governor performance, or raise scaling_min_freq to "
			"cpuinfo_max_freq",
			"CPU %u may slow down to 0.%03u of its full speed: budgets may run longer then, and "
			"no bound counts with it",
			s.cpu, s.permille);
	else
		add(r, "speed", CHECK_OK, NULL, "no CPU is said to run slower than at full speed");
}

static void check_foreign(struct agent *a, struct report *r)
{
	char names[TEXT_MAX / 2] = "";
	size_t used = 0;

	if (!a->foreign.n) {
		add(r, "other-deadline", CHECK_OK, NULL,
			"no other program has SCHED_DEADLINE threads");
		return;
	}
	for (size_t i = 0; i < a->foreign.n && i < NAMED_MAX; i++)
		used += snprintf(names + used, sizeof(names) - used, " %s(%d)",
			a->foreign.threads[i].name, a->foreign.threads[i].tid);
	add(r, "other-deadline", CHECK_LIMITED,
		"end them, or run them in reservations (takt run, takt attach): Takt counts them but "
		"does not bound them",
		"%zu deadline thread%s of other programs hold %.3f CPU:%s", a->foreign.n,
		a->foreign.n == 1 ? "" : "s", (double)a->foreign.sum.q20 / BW_ONE_CPU, names);
}

struct rt_scan {
	pid_t pid;
	unsigned n;
	char names[TEXT_MAX / 2];
	size_t used;
};

static int look_at_rt(void *context, pid_t tid)
{
	struct rt_scan *s = context;
	struct proc_stat stat;
	struct sched_now now;

	if (sched_get(tid, &now) < 0 || (now.policy != SCHED_FIFO && now.policy != SCHED_RR) ||
		proc_thread_stat(s->pid, tid, &stat) < 0)
		return 0;
	s->n++;
	if (s->n <= NAMED_MAX)
		s->used += snprintf(
			s->names + s->used, sizeof(s->names) - s->used, " %s(%d)", stat.comm, tid);
	return 0;
}

/* Kernel threads (children of kthreadd, 2) are part of the kernel's own time; taktd itself is
 * real-time in bursts that are bounded (pace.h). */
static int look_at_process(void *context, pid_t pid)
{
	struct rt_scan *s = context;
	struct proc_stat stat;

	if (pid == 2 || pid == getpid() || proc_stat(pid, &stat) < 0 || stat.ppid == 2)
		return 0;
	s->pid = pid;
	proc_each_thread(pid, look_at_rt, s);
	return 0;
}

/* A walk over all of /proc, so at most once a second, however often somebody asks. */
static void check_rt_threads(struct agent *a, struct report *r)
{
	static struct rt_scan s;
	static uint64_t again_ns;

	if (uv_hrtime() >= again_ns) {
		s = (struct rt_scan){ 0 };
		pace_burst(a);
		proc_each_process(look_at_process, &s);
		again_ns = uv_hrtime() + NSEC_PER_SEC;
	}
	if (s.n == 0)
		add(r, "rt-threads", CHECK_OK, NULL,
			"no program has SCHED_FIFO or SCHED_RR threads");
	else
		add(r, "rt-threads", CHECK_LIMITED,
			"see that they never take a whole CPU for long: when they starve fair tasks, "
			"the kernel's fair server (6.12 and later) runs before reservations",
			"%u SCHED_FIFO or SCHED_RR thread%s:%s", s.n, s.n == 1 ? "" : "s", s.names);
}

static bool have_program(const char *name)
{
	static const char *const folders[] = { "/usr/bin", "/usr/sbin", "/usr/local/bin",
		"/usr/local/sbin" };
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		snprintf(path, sizeof(path), "%s/%s", folders[i], name);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

static void check_runtimes(struct report *r)
{
	static const char *const names[] = { "podman", "docker", "containerd", "nerdctl", "crio" };
	struct stat v1, v2;
	char found[128] = "";
	size_t used = 0;
	bool hybrid = stat("/sys/fs/cgroup/cpu", &v1) == 0 &&
		      stat("/sys/fs/cgroup/unified/cgroup.procs", &v2) == 0;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (have_program(names[i]))
			used += snprintf(found + used, sizeof(found) - used, " %s", names[i]);
	add(r, "runtimes", found[0] ? CHECK_OK : CHECK_LIMITED,
		found[0] ? NULL : "install podman, or another runtime that knows CDI",
		found[0] ? "container runtimes here:%s" : "no container runtime was found%s",
		found);
	if (hybrid && have_program("crun"))
		add(r, "crun", have_program("runc") ? CHECK_OK : CHECK_LIMITED,
			have_program("runc") ? NULL : "install runc",
			"cgroups are in hybrid mode, which crun refuses: use podman --runtime runc");
}

static void check_cdi(struct agent *a, struct report *r)
{
	const char *dir = a->config.cdi_dir;
	bool known = strcmp(dir, "/etc/cdi") == 0 || strcmp(dir, "/var/run/cdi") == 0 ||
		     strcmp(dir, "/run/cdi") == 0;

	if (access(dir, W_OK) < 0 && errno != ENOENT)
		add(r, "cdi", CHECK_NO, "make it writable for taktd", "%.200s: %s", dir,
			strerror(errno));
	else
		add(r, "cdi", known ? CHECK_OK : CHECK_LIMITED,
			known ? NULL
			      : "tell the container runtime to read this folder (cdi_spec_dirs)",
			"devices are announced in %.200s", dir);
	if (access(a->config.hook, X_OK) < 0)
		add(r, "hook", CHECK_NO, "install takt-hook there, or start taktd with --hook PATH",
			"%.200s: %s", a->config.hook, strerror(errno));
	else
		add(r, "hook", CHECK_OK, NULL, "containers are bound by %.200s", a->config.hook);
}

static void check_hypervisor(struct report *r)
{
	cleanup_file FILE *f = fopen("/proc/cpuinfo", "re");
	char line[8192];
	bool guest = false;

	while (f && !guest && fgets(line, sizeof(line), f))
		guest = strncmp(line, "flags", 5) == 0 && strstr(line, " hypervisor");
	add(r, "hypervisor", guest ? CHECK_LIMITED : CHECK_OK,
		guest ? "watch the steal time (/proc/stat, st in top): what the host takes away is in "
			"no bound"
		      : NULL,
		guest ? "this is a virtual machine: its host can take a CPU away at any time"
		      : "no hypervisor is seen");
}

static void check_agent(struct agent *a, struct report *r)
{
	char q[TEXT_NUMBER_MAX], p[TEXT_NUMBER_MAX];
	bw_t held = holder_held(a->holder);

	if (a->own_why[0])
		add(r, "agent", CHECK_LIMITED, "free some deadline bandwidth",
			"taktd has no reservation of its own: %.300s", a->own_why);
	else
		add(r, "agent", CHECK_OK, NULL, "taktd's own reservation is %s every %s",
			duration_words(q, a->config.own_runtime_ns),
			duration_words(p, a->config.own_period_ns));
	add(r, "events", a->events_why[0] ? CHECK_NO : CHECK_OK,
		a->events_why[0] ? "run taktd in the initial namespaces with CAP_NET_ADMIN" : NULL,
		"%.400s",
		a->events_why[0] ? a->events_why
				 : "threads are followed by the process-event connector");
	if (!a->probe.unlimited)
		add(r, "held", held.q20 >= a->holder_wish.q20 ? CHECK_OK : CHECK_NO,
			held.q20 >= a->holder_wish.q20
				? NULL
				: "end the deadline threads of other programs (see other-deadline): Takt "
				  "takes the room back as soon as it is free",
			"%.3f CPU promised and not running, %.3f held in the kernel for it",
			(double)a->holder_wish.q20 / BW_ONE_CPU, (double)held.q20 / BW_ONE_CPU);
	if (a->boot_note[0])
		add(r, "store", CHECK_LIMITED, "look at the file that was set aside", "%.400s",
			a->boot_note);
	else
		add(r, "store", CHECK_OK, NULL, "promises are kept in %.200s", a->config.state_dir);
}

size_t doctor_checks(struct agent *a, struct check *ret, size_t max)
{
	static char texts[64][TEXT_MAX];
	struct report r = { ret, 0, max < ARRAY_SIZE(texts) ? max : ARRAY_SIZE(texts), texts };

	add(&r, "deadline", CHECK_OK, NULL, "SCHED_DEADLINE works");
	check_ceiling(a, &r);
	check_cpus(a, &r);
	check_granularity(a, &r);
	check_speed(a, &r);
	check_agent(a, &r);
	check_foreign(a, &r);
	check_rt_threads(a, &r);
	add(&r, "group", a->kerns[PLACEMENT_GROUP] ? CHECK_LIMITED : CHECK_NO,
		a->kerns[PLACEMENT_GROUP] ? NULL
					  : "not needed unless a document says placement group",
		a->kerns[PLACEMENT_GROUP]
			? "RT groups of cgroup v1 throttle: placement group is soft"
			: "no RT groups here: placement group is refused");
	check_cdi(a, &r);
	check_runtimes(&r);
	check_hypervisor(&r);
	return r.n;
}
