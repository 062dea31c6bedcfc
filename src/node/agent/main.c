// SPDX-License-Identifier: Apache-2.0
/*
 * taktd: from the options to the loop and back. The order of start() is the order in which things
 * depend on each other; stop() goes the other way.
 */
#include "node/agent/agent.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "node/agent/bind.h"
#include "node/agent/door.h"
#include "node/agent/notify.h"

#define OVERRUN_TRIES 4

enum exit_code {
	EXIT_USAGE = 64,
	EXIT_FAULT = 70,
	EXIT_NOT_PERMITTED = 77,
};

int64_t agent_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct dl_params agent_own(const struct agent *a)
{
	return (struct dl_params){ a->config.own_runtime_ns, a->config.own_period_ns,
		a->config.own_period_ns };
}

void agent_log(const char *format, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	fprintf(stderr, "taktd: %s\n", line);
}

void agent_announce(struct agent *a, const struct change *c)
{
	agent_log("%s: %s: %s", c->name, c->what, c->why);
	door_publish(a->door, c);
}

static int read_boot_id(char *ret, size_t size, struct err *err)
{
	cleanup_file FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (!f || !fgets(ret, size, f))
		return err_set(err, -EIO, "read the boot id: is /proc mounted?");
	ret[strcspn(ret, "\n")] = '\0';
	return 0;
}

/* 1: told to end while another agent had it. */
static int open_store(struct agent *a, struct err *err)
{
	struct store_opened opened;
	char boot_id[64];
	int r = read_boot_id(boot_id, sizeof(boot_id), err);

	if (r < 0)
		return r;
	r = store_open(a->config.state_dir, boot_id, &a->store, &opened, err);
	if (r == -EAGAIN && a->config.standby) {
		agent_log("standing by: %s", err->text);
		r = standby_wait(a, err);
		if (r == 0)
			r = store_open(a->config.state_dir, boot_id, &a->store, &opened, err);
	}
	if (r != 0)
		return r;
	if (opened.set_aside[0]) {
		snprintf(a->boot_note, sizeof(a->boot_note),
			"the store could not be read (%.200s) and was set aside as %.200s; a new one was begun",
			opened.why, opened.set_aside);
		agent_log("%s", a->boot_note);
	}
	if (opened.rebooted)
		agent_log("the machine was started anew: reservations stay, containers are gone");
	return 0;
}

/*
 * A try takes a third of a second or more, in which nothing that is promised is held: several at the
 * first start of a boot, and only where they gave nothing one at each later start.
 */
static void measure_overrun(struct agent *a)
{
	cleanup_free char *known = NULL;
	char text[64];
	bool tried = store_probe_get(a->store, "overrun", &known, NULL) == 0 && known;

	if (tried &&
		sscanf(known, "%" SCNu64 " %" SCNu64, &a->overrun.worst_ns,
			&a->overrun.granularity_ns) == 2 &&
		a->overrun.granularity_ns > 0) {
		a->overrun.measured = true;
		return;
	}
	probe_overrun(a->probe.tick_ns, tried ? 1 : OVERRUN_TRIES, &a->overrun);
	snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64, a->overrun.worst_ns,
		a->overrun.measured ? a->overrun.granularity_ns : 0);
	store_probe_put(a->store, "overrun", text, NULL);
}

static int open_kernel(struct agent *a, struct err *err)
{
	int r;

	probe_run(&a->probe);
	if (!a->probe.deadline)
		return err_set(err, -EPERM, "SCHED_DEADLINE cannot be set here: %s",
			a->probe.deadline_why);
	r = holder_create(&a->holder, cpus_count(&a->probe.root_domain), err);
	if (r == 0)
		r = a->probe.unlimited ? kern_pinned_create(&a->kerns[PLACEMENT_PINNED], err)
				       : kern_shared_create(&a->kerns[PLACEMENT_SHARED],
						 &a->probe.root_domain, err);
	if (r == 0 && a->probe.rt_group_root[0])
		r = kern_group_create(&a->kerns[PLACEMENT_GROUP], a->probe.rt_group_root, err);
	return r;
}

static void on_events(uv_poll_t *poll, int status, int events)
{
	struct agent *a = container_of(poll, struct agent, events_poll);

	pace_check(a);
	event_source_read(a->events);
	/* libuv stops a handle with an error (uv__poll_io()), which lost events are. */
	if (status < 0)
		uv_poll_start(poll, UV_READABLE, on_events);
}

/* Without events no container can be followed: calls say so, doctor says why. */
static void open_events(struct agent *a)
{
	struct err err = ERR_NULL;

	follow_init(a);
	if (event_source_open(&a->events, &a->handler, &err) < 0) {
		snprintf(a->events_why, sizeof(a->events_why),
			"containers cannot be followed on this machine: %.400s", err.text);
		agent_log("%s", a->events_why);
		return;
	}
	uv_poll_init(&a->loop, &a->events_poll, event_source_fd(a->events));
	uv_poll_start(&a->events_poll, UV_READABLE, on_events);
}

static void on_stop(uv_signal_t *signal, int number)
{
	struct agent *a = signal->data;

	a->told_to_end = true;
	uv_stop(signal->loop);
}

/* 1: told to end before there was anything to begin with. */
static int start(struct agent *a, struct err *err)
{
	int r = open_store(a, err);

	fault_point("start.store");
	if (r == 0)
		r = commits_begin(a, err);
	if (r == 0)
		r = open_kernel(a, err);
	if (r != 0)
		return r;
	fault_point("start.kernel");
	measure_overrun(a);
	open_events(a);
	r = room_init(a, err);
	fault_point("start.room");
	if (r == 0)
		r = door_open(a, &a->door, err);
	fault_point("start.door");
	if (r == 0)
		r = recover(a, err);
	fault_point("start.recovered");
	if (r == 0)
		pace_start(a);
	fault_point("start.ready");
	return r;
}

static void ignore_handle(uv_handle_t *handle, void *context)
{
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

/* Threads of containers keep what they have: the next agent takes them over. */
static void stop(struct agent *a)
{
	struct promise *next;

	notify_send("STOPPING=1");
	pace_stop(a);
	fault_point("stop.begin");
	for (struct promise *p = a->promises.first; p; p = p->next)
		door_unlisten(TAKE(p->listener));
	door_close(a->door);
	later_stop(a);
	while (a->commits.first)
		uv_run(&a->loop, UV_RUN_ONCE);
	uv_walk(&a->loop, ignore_handle, NULL);
	uv_run(&a->loop, UV_RUN_DEFAULT);
	uv_loop_close(&a->loop);
	commits_end(a);
	fault_point("stop.written");
	for (struct promise *p = a->promises.first; p; p = next) {
		next = p->next;
		for (struct binding *b = p->bindings; b; b = b->next)
			tasks_remove_all(&a->tasks, b);
		room_give_back(a, p);
		promises_remove(&a->promises, p);
		promise_destroy(p);
	}
	door_free(a->door);
	told_fini(a);
	room_fini(a);
	event_source_close(a->events);
	for (enum placement i = 0; i < _PLACEMENT_MAX; i++)
		kern_destroy(a->kerns[i]);
	holder_destroy(a->holder);
	fault_point("stop.let-go");
	store_close(a->store);
	standby_fini(a);
	fault_point("stop.closed");
}

static void prepare_process(void)
{
	struct rlimit files;

	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

static int exit_code(int r)
{
	return r == -EPERM || r == -EACCES ? EXIT_NOT_PERMITTED : EXIT_FAULT;
}

int main(int argc, char **argv)
{
	static struct agent agent;
	enum config_answer answer;
	struct err err = ERR_NULL;
	int r = config_read(argc, argv, &agent.config, &answer, &err);

	if (r < 0) {
		agent_log("%s", err.text);
		return EXIT_USAGE;
	}
	if (answer == CONFIG_DONE)
		return 0;
	prepare_process();
	uv_loop_init(&agent.loop);
	uv_timer_init(&agent.loop, &agent.retry);
	uv_timer_init(&agent.loop, &agent.flagged);
	uv_timer_init(&agent.loop, &agent.look);
	uv_timer_init(&agent.loop, &agent.later_timer);
	uv_signal_init(&agent.loop, &agent.stop_term);
	uv_signal_init(&agent.loop, &agent.stop_int);
	agent.stop_term.data = agent.stop_int.data = &agent;
	uv_signal_start(&agent.stop_term, on_stop, SIGTERM);
	uv_signal_start(&agent.stop_int, on_stop, SIGINT);
	standby_init(&agent);
	r = start(&agent, &err);
	if (r == 0) {
		agent_log("ready on %s", agent.config.socket);
		notify_send("READY=1");
		uv_run(&agent.loop, UV_RUN_DEFAULT);
	} else if (r < 0) {
		agent_log("%s", err.text);
	}
	stop(&agent);
	return r < 0 ? exit_code(r) : 0;
}
