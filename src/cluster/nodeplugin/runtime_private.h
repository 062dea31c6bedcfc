/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugin of the container runtime, runtime.c has the socket, containers.c what the
 * runtime tells, compare.c what taktd is told, entitled.c who may use what. For these only.
 */
#pragma once

#include "cluster/nodeplugin/nodeplugin.h"
#include "cluster/nri/adopt.h"
#include "cluster/nri/delay.h"

#define RUNTIME_READ_BYTES (64 * 1024)
#define RUNTIME_SEEN_MAX 4096 /* containers with a reservation that are remembered */
#define RUNTIME_PODS_MAX 8192 /* pods while the runtime tells what is there */
#define RUNTIME_REFRESH_MAX 16 /* claims that are asked for at a time */

/* A container that names reservations. */
struct seen {
	struct seen *next;
	char *id, *pod_id;
	char *title; /* namespace/pod/container; NULL: the pod is not known yet */
	char *name; /* the container's, in its pod */
	uint32_t pid;
	bool running;
	struct seen_name {
		char name[RESV_NAME_MAX + 1];
		/* To taktd: once where that answers, since later the pid may be another process's. */
		bool told;
		unsigned binds;
		uint64_t due_ms; /* after a Bind that failed: not before, uv_now() */
	} * names;
	size_t n_names;
};

/* A pod, while the runtime tells what is there. */
struct told_pod {
	struct told_pod *next;
	char *id, *uid, *title; /* namespace/pod */
};

struct refresh {
	struct runtime *runtime;
	char uid[TIES_UID_MAX]; /* of the claim; "": free */
};

struct runtime {
	struct plugin *plugin;
	const char *path;
	bool stopping;

	/* runtime.c */
	struct nri_plugin *nri;
	uv_pipe_t pipe;
	uv_connect_t connecting;
	uv_timer_t
		timer; /* until the next try; while connected, until the runtime must have been ready */
	uv_signal_t tell;
	bool open, writing;
	unsigned failures;
	char told[ERR_TEXT_MAX]; /* the last trouble that was logged; "": it works */
	struct delay delay;
	char read[RUNTIME_READ_BYTES];

	/* containers.c */
	bool scheduler; /* the runtime has process.scheduler */
	char name[CHECKS_VERSION_MAX], version[CHECKS_VERSION_MAX]; /* the runtime's own */
	struct seen *seen;
	size_t n_seen;
	struct told_pod *pods;
	size_t n_pods;

	/* compare.c */
	uv_timer_t compare;
	bool comparing, compare_again;
	uint64_t later_ms; /* a comparison comes then, uv_now(), whatever comes before; 0: none */
	json_t *binds; /* parameters of the calls that are still to be made */
	json_t *bind; /* of the one that is under way */
	uint64_t asked_ms; /* when the runtime was last made to tell all again; 0: never */

	/* entitled.c */
	struct ties ties;
	bool filled;
	bool filling, fill_again;
	json_t *promises; /* taktd's, whose claims are fetched */
	size_t at;
	unsigned fill_failures;
	uv_timer_t fill;
	struct refresh refresh[RUNTIME_REFRESH_MAX];
};

/* runtime.c */

/* Who may use what is known: from now on there is a plugin. */
void runtime_ready(struct runtime *r);
/* The runtime has told what is there. */
void runtime_synchronized(struct runtime *r);
/* Connects anew, so that the runtime tells all that is there. */
void runtime_again(struct runtime *r);

/* containers.c */
extern const struct nri_handlers containers_handlers;
void containers_init(struct runtime *r);
void containers_fini(struct runtime *r);
/* Points to NULL where it is not known. */
struct seen **containers_find(struct runtime *r, const char *id);

/* compare.c: what taktd is to be told, that soon at the latest. */
#define COMPARE_SOON_MS 20
void compare_in(struct runtime *r, uint64_t ms);
/* Besides those that come before it, one some seconds after the one that is under way or is next. */
void compare_later(struct runtime *r);

/* entitled.c */

/*
 * Fetches the claims of what taktd has promised and is not known; the first time until it is done,
 * and then runtime_ready().
 */
void entitled_fill(struct runtime *r);
/*
 * A pod begins, or one of its containers was refused. Another takt-dra may have prepared its claims (two are there in a rolling update),
 * and shared claims of its namespace may be reserved for it by now.
 */
void entitled_refresh(struct runtime *r, const struct nri_pod *pod);
void entitled_fini(struct runtime *r);
