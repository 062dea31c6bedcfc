/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl's multi interface driven by a libuv loop: a uv_poll for each socket that libcurl waits
 * for, one uv_timer. Used by client.c.
 */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>
#include <uv.h>

#include "base/err.h"

struct kube_multi_socket;

struct kube_multi {
	CURLM *curl;
	uv_loop_t *loop;
	uv_timer_t timer;
	struct kube_multi_socket *sockets;
	/* After libcurl did something, never from inside of it. */
	void (*turned)(struct kube_multi *m);
	void (*closed)(struct kube_multi *m);
	unsigned open_handles;
};

/* -ENOMEM; then nothing has to be closed. */
int kube_multi_init(struct kube_multi *m, uv_loop_t *loop, void (*turned)(struct kube_multi *),
	struct err *err);

/* An idle connection is kept where there are no more than that many, those in use among them. */
void kube_multi_keep(struct kube_multi *m, unsigned connections);

/* All transfers were removed before. `closed` is called from the loop when *m may be freed. */
void kube_multi_close(struct kube_multi *m, void (*closed)(struct kube_multi *));
