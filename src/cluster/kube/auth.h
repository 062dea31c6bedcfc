/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps the credential of one client: a token from a text, a file or an exec plugin, and the
 * plugin's client certificate. Used by client.c, which asks before each request.
 */
#pragma once

#include <uv.h>

#include "cluster/kube/config.h"
#include "cluster/kube/credential.h"

struct kube_run;

struct kube_auth {
	uv_loop_t *loop;
	const struct kube_config *config;
	struct kube_credential now; /* what is used */
	unsigned generation; /* grows with each change of it */
	bool have, refused; /* refused: the server did not take it */
	uint64_t read_at_ms;
	struct kube_run *run; /* the plugin, while it runs */
	/* Called from the loop when a wait is over; code 0: ask again. */
	void (*ready)(void *data, int code, const struct err *why);
	void *data;
};

void kube_auth_init(struct kube_auth *a, uv_loop_t *loop, const struct kube_config *config,
	void (*ready)(void *data, int code, const struct err *why), void *data);
void kube_auth_fini(struct kube_auth *a);

/*
 * 0: a->now may be used. 1: wait for `ready`. Negative: there is none, and err says why. A token
 * file that cannot be read is no reason to drop a token that was read before.
 */
int kube_auth_ask(struct kube_auth *a, struct err *err);

/*
 * The server answered 401 to a request with that generation. true: there may be a better one, so
 * ask again and send the request once more.
 */
bool kube_auth_refused(struct kube_auth *a, unsigned generation);
