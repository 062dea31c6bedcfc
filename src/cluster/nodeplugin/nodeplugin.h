/* SPDX-License-Identifier: Apache-2.0 */
/*
 * takt-dra: what its files share. It keeps no state of its own: the API server has the claims,
 * taktd the promises.
 */
#pragma once

#include <dirent.h>
#include <uv.h>

#include "cluster/dra/checks.h"
#include "cluster/dra/claim.h"
#include "cluster/dra/facts.h"
#include "cluster/dra/outcome.h"
#include "cluster/dra/slice.h"
#include "cluster/kube/client.h"
#include "cluster/kube/watch.h"
#include "cluster/nodeplugin/feed.h"
#include "cluster/nodeplugin/health.h"
#include "cluster/nodeplugin/kubelet.h"
#include "cluster/nodeplugin/listen.h"
#include "cluster/nodeplugin/sockets.h"

#define PLUGIN_PATH_MAX 256

/* look.c: what taktd says. */
struct look {
	struct feed *feed;
	uv_timer_t timer;
	bool asking, again, stopped;
	uint64_t done_ns; /* the last answer, or none */
	uint64_t asked_ns; /* the question that is under way, or was the last */
	uint64_t lost_ns; /* since when it could not be asked; 0: it can */
	bool told_lost; /* to the scheduler and the kubelet */
	uint64_t max_utilisation_ppm; /* 0: none given */
	json_t *list; /* while asking */
	bool known; /* it has answered once */
	struct facts facts; /* the last answer, with a taint where it is too old */
};

/* publish.c: the node's slices. */
struct publish {
	struct kube_watch *watch;
	uv_timer_t timer;
	unsigned failures;
	char node_uid[64]; /* "": not known yet */
	bool registered; /* before that the kubelet refuses every pod that a slice brings */
	bool synced; /* `stored` is all that there is */
	bool busy, again;
	json_t *stored; /* name -> object */
	struct slice_plan plan; /* while it is carried out */
	size_t at; /* its next step */
	int64_t generation; /* the last */
	int turn_fd; /* its lock says who publishes */
	bool has_turn, waits_for_turn;
	unsigned dropped, told; /* enum slice_drop */
	bool refuses_informing; /* the server knows no taint that only informs */
};

/* checks.c: lines for `takt doctor`. */
struct checks {
	uv_timer_t
		timer; /* until the next time; while processes are looked at, until the next step */
	bool busy, again;
	bool lost; /* the last time they could not be told */
	char refused[ERR_TEXT_MAX]; /* why the kubelet does not take us; "": nothing is known */
	unsigned node_times; /* the Node object is read anew so often */
	uint64_t node_ns; /* when it was read */
	struct kube_call *reading; /* it; NULL: not now */
	DIR *proc; /* while processes are looked at */
	unsigned n_seen; /* of them */
	uint64_t seen_ns; /* when it began; 0: never */
	struct checks_facts facts;
	struct pods pods;
};

struct plugin {
	struct kubelet_owner owner; /* first: what the kubelet's methods get */
	uv_loop_t loop;
	const char *node; /* the Node's name */
	const char *socket; /* of taktd */
	struct kube_client *kube;
	struct door *door;
	struct listen *registration, *dra;
	struct sockets sockets;
	uv_signal_t stop_term, stop_int;

	struct errand *errands; /* errand.c */
	uint64_t n_released; /* promises that this program has ended so far */

	/* reclaim.c */
	struct sweep *sweeps;
	uv_timer_t reconcile_timer;
	bool reconciling, reconcile_again;

	/* report.c */
	struct report *reports;
	unsigned n_reports, n_reports_running;
	uv_timer_t report_timer;
	struct outcome_said said;
	bool told_no_events; /* in the log */
	json_t *troubles; /* reservation -> what was wrong with it at the last look */

	struct look look;
	struct publish publish;
	struct health health;
	struct checks checks;
	uv_timer_t end_timer; /* while it ends */
	uint64_t end_ns; /* not longer than that */

	struct runtime *runtime; /* NULL: without NRI */
};

/* A line for the log. */
void plugin_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* errand.c, prepare.c, unprepare.c: a claim becomes reservations, and is over again. */
extern const struct kubelet_handler errand_handler;
/* That claim is just being prepared; or unprepared, and no container is in the way. */
bool prepare_is_at(const struct plugin *p, const char *uid);
bool unprepare_is_at(const struct plugin *p, const char *uid);
/* What is under way ends without an answer. */
void errands_stop(struct plugin *p);

/* look.c: asks taktd when something has changed, and slowly for what nobody announces. */
int look_start(struct plugin *p, struct err *err);
void look_stop(struct plugin *p);

/* publish.c: what the node can promise, as ResourceSlices that are always there. */
int publish_start(struct plugin *p, struct err *err);
/* The kubelet has taken us: from now on there are slices, of this takt-dra or one before it. */
void publish_registered(struct plugin *p);
/* look.facts are new. */
void publish_changed(struct plugin *p);
void publish_stop(struct plugin *p);

/* checks.c */

/* Something that they tell of is new; the first time, they begin. */
void checks_changed(struct plugin *p);
/* why: what the kubelet does not like; NULL: we are registered. */
void checks_registered(struct plugin *p, const char *why);
void checks_stop(struct plugin *p);

/*
 * runtime.c: the plugin of the container runtime (NRI), which checks who uses a claim's reservation.
 * NULL or "none": without it, containers are bound by taktd's hook alone.
 */
int runtime_start(struct plugin *p, const char *socket, struct err *err);
/* What is known of NRI; the texts live as long as nothing changes. */
void runtime_facts(const struct plugin *p, struct checks_facts *f);
/* A claim is prepared: the pods that it is reserved for may use its reservations. */
void runtime_learn(struct plugin *p, const json_t *object, const struct claim *claim);
/* A claim is over. */
void runtime_forget(struct plugin *p, const char *claim_uid);
/* Ends it; the memory goes by runtime_free(), when the loop has run out. */
void runtime_stop(struct plugin *p);
void runtime_free(struct plugin *p);
