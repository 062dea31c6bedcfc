/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One claim that the kubelet asked to prepare or to unprepare, on its way between the API server and
 * taktd. Both may come again at any time. For prepare.c and unprepare.c.
 */
#pragma once

#include "cluster/dra/claim.h"
#include "cluster/nodeplugin/door.h"
#include "cluster/nodeplugin/nodeplugin.h"

struct errand {
	struct errand *next;
	struct plugin *plugin;
	struct kubelet_task
		*task; /* NULL: answered, as its time was up; an answer is still to come */
	bool unprepare;
	void (*begin)(struct errand *e);
	bool waits; /* for those before it, on the same claim */
	bool renewed; /* prepare: another promise under the name that comes now was ended */
	bool elsewhere; /* prepare: it is another node's claim, and what is told of it is that one's */
	bool given_up; /* prepare: the kubelet has asked for the opposite since */
	struct kube_call *reading; /* the claim; NULL: not now */
	uint64_t until; /* uv_now() */
	unsigned failures; /* of the API server */
	uv_timer_t timer; /* its time is up, or the pause before `resume` */
	void (*resume)(struct errand *e); /* NULL: it does not pause */
	json_t *key; /* namespace, name, uid: the task's own go with its answer */
	json_t *object;
	struct claim claim;
	size_t at; /* the result that is being reserved */
	json_t *reservations; /* taktd's, of those that were */
	int code; /* of the last refusal */
	char refusal[ERR_TEXT_MAX]; /* "": none yet */
	uint64_t n_released; /* prepare: the plugin's, before the last Reserve */
	unsigned more; /* prepare: Reserves for what others have released */
	json_t *releases; /* unprepare: parameters of those to come; the last one is the next */
	uint64_t held_since; /* unprepare: uv_now() when a container was found; 0: none is there */
};

/* Of plugin.errands; answered and NULL where it is out of memory. The newest is the first there. */
struct errand *errand_create(struct plugin *p, struct kubelet_task *task, bool unprepare,
	void (*begin)(struct errand *e));
/* Now, or after what came before on the same claim; only unprepares may be at it side by side. */
void errand_begin(struct errand *e);
/*
 * code 0: it went well. One whose time was up is only told now, if it went well after all. The kubelet
 * is answered first; only then is the outcome told to anybody else. `e` is gone.
 */
void errand_end(struct errand *e, int code, const char *error);
/* The kubelet alone, before the end: NULL, or why not. */
void errand_answer(struct errand *e, const char *error);

/* "namespace", "name" or "uid" of the claim. */
const char *errand_key(const struct errand *e, const char *key);
bool errand_is_of(const struct errand *e, const char *uid, bool unprepare);
/* The first such one from `e` on; NULL: none. */
const struct errand *errand_find(const struct errand *e, const char *uid, bool unprepare);
bool errand_time_is_up(const struct errand *e);

/* What is answered when its time is up. */
void errand_refused(struct errand *e, int code, const char *sentence);
/* What may be otherwise in a moment is tried again, as long as the kubelet waits. */
void errand_try_again(struct errand *e, uint64_t pause_ms, void (*resume)(struct errand *e));
/* An answer of taktd that is no yes: to be tried again, or the end. */
void errand_agent_refused(
	struct errand *e, int code, const char *sentence, void (*resume)(struct errand *e));
bool errand_is_away(int code); /* taktd is */

extern const char errand_no_memory[];

/* The kubelet's calls. */
void prepare_task(void *user, struct kubelet_task *task);
void unprepare_task(void *user, struct kubelet_task *task);
