// SPDX-License-Identifier: Apache-2.0
/*
 * What the runtime tells of containers. Its calls are answered from memory at once; what taktd is
 * to be told of them follows a moment later, see compare.c.
 */
#include "cluster/nodeplugin/runtime_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define ANNOTATION "rt.takt.dev/scheduler" /* for takt-hook, client/hook/state.h */

static void seen_free(struct seen *s)
{
	free(s->id);
	free(s->pod_id);
	free(s->title);
	free(s->name);
	free(s->names);
	free(s);
}

CLEANUP_DEFINE(struct seen *, seen_free)
#define cleanup_seen __attribute__((cleanup(seen_free_p)))

struct seen **containers_find(struct runtime *r, const char *id)
{
	struct seen **at = &r->seen;

	while (*at && strcmp((*at)->id, id) != 0)
		at = &(*at)->next;
	return at;
}

static void unsee(struct runtime *r, struct seen **at)
{
	struct seen *s = *at;

	if (!s)
		return;
	*at = s->next;
	r->n_seen--;
	seen_free(s);
}

static void unsee_all(struct runtime *r)
{
	while (r->seen)
		unsee(r, &r->seen);
}

static void forget_pods(struct runtime *r)
{
	while (r->pods) {
		struct told_pod *p = r->pods;

		r->pods = p->next;
		free(p->id);
		free(p->uid);
		free(p->title);
		free(p);
	}
	r->n_pods = 0;
}

/* Remembers the container, anew if it was; NULL: no memory, or too many. */
static struct seen *see(
	struct runtime *r, const struct nri_container *c, const struct adopt_names *names)
{
	cleanup_seen struct seen *s = calloc(1, sizeof(*s));

	unsee(r, containers_find(r, c->id));
	if (!s || r->n_seen == RUNTIME_SEEN_MAX)
		return NULL;
	s->id = strdup(c->id);
	s->pod_id = strdup(c->pod_id);
	s->name = strdup(c->name);
	s->names = calloc(names->n + 1, sizeof(*s->names));
	if (!s->id || !s->pod_id || !s->name || !s->names)
		return NULL;
	for (size_t i = 0; i < names->n; i++)
		snprintf(s->names[s->n_names++].name, RESV_NAME_MAX + 1, "%s", names->names[i]);
	s->pid = c->pid;
	s->running = c->state == NRI_CONTAINER_RUNNING && c->pid > 0;
	s->next = r->seen;
	r->seen = s;
	r->n_seen++;
	return TAKE(s);
}

static void set_title(struct seen *s, const char *pod_title)
{
	char *title;

	if (!s || asprintf(&title, "%s/%s", pod_title, s->name) < 0)
		return;
	free(s->title);
	s->title = title;
}

static void set_title_of(struct seen *s, const struct nri_pod *pod)
{
	cleanup_free char *pod_title = NULL;

	if (s && asprintf(&pod_title, "%s/%s", pod->namespace, pod->name) >= 0)
		set_title(s, pod_title);
}

/* Synchronize */

static void on_configured(void *user, const struct nri_runtime *runtime)
{
	struct runtime *r = user;

	r->scheduler = adopt_has_scheduler(runtime);
	snprintf(r->name, sizeof(r->name), "%s", runtime->name);
	snprintf(r->version, sizeof(r->version), "%s", runtime->version);
	unsee_all(r);
	forget_pods(r);
	plugin_log("NRI: %.32s %.32s; %s", runtime->name, runtime->version,
		r->scheduler
			? "it puts first threads under their reservations, where they alone have it"
			: "it cannot set process.scheduler, taktd puts the threads in");
}

static void on_known_pod(void *user, const struct nri_pod *pod)
{
	struct runtime *r = user;
	struct told_pod *p = r->n_pods < RUNTIME_PODS_MAX ? calloc(1, sizeof(*p)) : NULL;

	if (!p)
		return;
	p->next = r->pods;
	r->pods = p;
	r->n_pods++;
	p->id = strdup(pod->id);
	p->uid = strdup(pod->uid);
	if (asprintf(&p->title, "%s/%s", pod->namespace, pod->name) < 0)
		p->title = NULL;
}

static void on_known_container(void *user, const struct nri_container *c)
{
	struct adopt_names names;

	adopt_names(c, &names);
	if (names.n > 0 && !names.more && c->state != NRI_CONTAINER_STOPPED)
		see(user, c, &names);
}

static const struct told_pod *told_pod(const struct runtime *r, const char *id)
{
	for (const struct told_pod *p = r->pods; p; p = p->next)
		if (p->id && p->uid && p->title && strcmp(p->id, id) == 0)
			return p;
	return NULL;
}

static bool is_entitled(const struct runtime *r, const struct seen *s, const char *pod_uid)
{
	struct adopt_names names = { .n = s->n_names };
	struct adopt_verdict v;

	for (size_t i = 0; i < s->n_names; i++)
		names.names[i] = s->names[i].name;
	adopt_judge(&r->ties, pod_uid, &names, false, &v);
	if (v.answer != ADOPT_TAKE)
		plugin_log("NRI: container %s runs and is not taken: %s", s->id, v.sentence);
	return v.answer == ADOPT_TAKE;
}

/* Only now is every pod known: pieces bring them in any order. */
static void on_synchronized(void *user)
{
	struct runtime *r = user;

	for (struct seen *s = r->seen; s; s = s->next) {
		const struct told_pod *p = told_pod(r, s->pod_id);

		if (p && is_entitled(r, s, p->uid))
			set_title(s, p->title);
	}
	forget_pods(r);
	plugin_log("NRI: connected; %zu containers with a reservation are there", r->n_seen);
	runtime_synchronized(r);
	/* Runtimes lose containers that begin while they tell (containerd issue 13698). */
	compare_later(r);
	compare_in(r, 0);
}

/* Events */

static void refuse(struct runtime *r, uint64_t call, const struct nri_pod *pod,
	const struct nri_container *c, const char *sentence)
{
	struct err err = ERR_NULL;

	plugin_log("NRI: %s/%s/%s is refused: %s", pod->namespace, pod->name, c->name, sentence);
	if (nri_plugin_refuse(r->nri, call, sentence, &err) < 0)
		plugin_log("NRI: %s", err.text);
}

static void adjust(struct runtime *r, uint64_t call, const struct tie *scheduler)
{
	static const struct nri_variable by_runtime = { ANNOTATION, "runtime" };
	struct nri_adjustment adjustment = { 0 };
	struct err err = ERR_NULL;

	if (scheduler) {
		adjustment.annotations = &by_runtime;
		adjustment.n_annotations = 1;
		adjustment.scheduler = (struct nri_scheduler){
			.policy = NRI_SCHED_DEADLINE,
			.reset_on_fork = true,
			.runtime_ns = scheduler->dl.runtime_ns,
			.deadline_ns = scheduler->dl.deadline_ns,
			.period_ns = scheduler->dl.period_ns,
		};
	}
	if (nri_plugin_adjust(r->nri, call, &adjustment, &err) < 0)
		plugin_log("NRI: %s", err.text);
}

/* By another container: who shares a reservation gets its one server when that is free. */
static bool is_held(
	const struct runtime *r, const struct nri_container *c, const struct adopt_names *names)
{
	for (const struct seen *s = r->seen; s; s = s->next)
		for (size_t i = 0; i < s->n_names && names->n > 0; i++)
			if (strcmp(s->id, c->id) != 0 &&
				strcmp(s->names[i].name, names->names[0]) == 0)
				return true;
	return false;
}

static void on_create(
	void *user, uint64_t call, const struct nri_pod *pod, const struct nri_container *c)
{
	struct runtime *r = user;
	struct adopt_names names;
	struct adopt_verdict v;

	adopt_names(c, &names);
	/* Of two plugins that set it the runtime takes neither; the other may be another takt-dra. */
	adopt_judge(&r->ties, pod->uid, &names,
		r->scheduler && c->scheduler.policy == NRI_SCHED_NONE && !is_held(r, c, &names),
		&v);
	if (v.answer == ADOPT_REFUSE) {
		refuse(r, call, pod, c, v.sentence);
		entitled_refresh(r, pod); /* the kubelet asks again, in the same sandbox */
		return;
	}
	adjust(r, call, v.scheduler);
	if (v.answer == ADOPT_PASS)
		return;
	set_title_of(see(r, c, &names), pod);
	plugin_log("NRI: %s/%s/%s is entitled to %s; %s puts it in", pod->namespace, pod->name,
		c->name, names.names[0], v.scheduler ? "the runtime" : "taktd");
}

static void on_started(void *user, const struct nri_pod *pod, const struct nri_container *c)
{
	struct runtime *r = user;
	struct seen *s = *containers_find(r, c->id);

	if (!s)
		return;
	s->pid = c->pid;
	s->running = c->pid > 0;
	compare_in(r, COMPARE_SOON_MS);
}

static void on_ended(void *user, const struct nri_pod *pod, const struct nri_container *c)
{
	struct runtime *r = user;

	unsee(r, containers_find(r, c->id));
}

static void on_pod_started(void *user, const struct nri_pod *pod)
{
	entitled_refresh(user, pod);
}

const struct nri_handlers containers_handlers = {
	.configured = on_configured,
	.known_pod = on_known_pod,
	.known_container = on_known_container,
	.synchronized = on_synchronized,
	.create_container = on_create,
	.container_started = on_started,
	.container_stopped = on_ended,
	.container_removed = on_ended,
	.pod_started = on_pod_started,
};

void containers_init(struct runtime *r)
{
	uv_timer_init(&r->plugin->loop, &r->compare);
}

void containers_fini(struct runtime *r)
{
	unsee_all(r);
	forget_pods(r);
	json_decref(r->binds);
	json_decref(r->bind);
}
