/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What takt-dra does with a container that a runtime tells of: is it entitled to the reservation
 * that it names, who puts it in, and is taktd told of it. Pure; used by takt-dra's NRI plugin.
 */
#pragma once

#include "cluster/nri/ties.h"
#include "cluster/wire/nri/plugin.h"

#define ADOPT_DEVICE "rt.takt.dev/reservation=" /* before the name, in a CDI device */
#define ADOPT_VARIABLE "TAKT_RESERVATION=" /* in the environment, which Takt's CDI device sets */
#define ADOPT_NAMES_MAX CLAIM_RESULTS_MAX

/* What a container names: a claim, no proof. Texts are the container's. */
struct adopt_names {
	const char *names[ADOPT_NAMES_MAX]; /* each once */
	size_t n;
	bool more; /* than fit */
};

void adopt_names(const struct nri_container *c, struct adopt_names *ret);

enum adopt_answer {
	ADOPT_PASS, /* it names no reservation */
	ADOPT_TAKE, /* it is entitled to all that it names */
	ADOPT_REFUSE,
};

struct adopt_verdict {
	enum adopt_answer answer;
	/* ADOPT_TAKE: what process.scheduler shall say; NULL: nothing, taktd puts its threads in. */
	const struct tie *scheduler;
	char sentence[ERR_TEXT_MAX]; /* ADOPT_REFUSE */
};

/* `scheduler`: the runtime can set process.scheduler. */
void adopt_judge(const struct ties *t, const char *pod_uid, const struct adopt_names *names,
	bool scheduler, struct adopt_verdict *ret);

/* The runtime passes LinuxScheduler on to the OCI runtime: since NRI 0.11. */
bool adopt_has_scheduler(const struct nri_runtime *r);

/* A container that is entitled to a reservation, as the runtime last told. */
struct adopt_seen {
	const char *title; /* namespace/pod/container */
	bool running;
};

/*
 * `resv`: the reservation that it names, out of taktd's List. True: taktd does not know it by its
 * title; a Bind binds it, or gives it that name.
 */
bool adopt_to_bind(const json_t *resv, const struct adopt_seen *seen);

/*
 * A Bind that failed so may succeed later: taktd was away or had no time, or is just changing the
 * reservation. What it refuses for another reason it would refuse again.
 */
bool adopt_bind_again(int code);

/*
 * The id of a container that holds a claim's reservation and has no name of a pod yet, from the
 * at-th holder on, which moves past it; NULL: there is no more. Whoever does not know it has missed
 * that it was created.
 */
const char *adopt_nameless(const json_t *resv, size_t *at);
