/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kubelet's health streams (DRAResourceHealth v1 and v1alpha1, the same bytes): how every
 * device is, told at each change and again before the kubelet takes silence for death. Used by takt-dra.
 */
#pragma once

#include <uv.h>

#include "cluster/dra/facts.h"
#include "cluster/wire/grpc.h"

/* What the kubelet is told to wait for news; then it shows the devices as unknown. */
#define HEALTH_TIMEOUT_S 30
#define HEALTH_AGAIN_MS (HEALTH_TIMEOUT_S * 1000 / 3)
/* A kubelet has one for each connection. Each costs a message that it has not read. */
#define HEALTH_STREAMS_MAX 8
#define HEALTH_MESSAGE_MAX 1024 /* characters; dra-health/v1alpha1/api.proto */

struct health_stream;

struct health {
	uv_timer_t again;
	const char *pool;
	const struct facts *facts;
	struct health_stream *streams;
	unsigned n_streams;
	bool ended;
};

/* What is borrowed outlives it. Without devices in *facts the list is empty. */
void health_init(struct health *h, uv_loop_t *loop, const char *pool, const struct facts *facts);
/* *facts has changed. */
void health_changed(struct health *h);
/* Ends the streams, and takes no more. The timer is the loop's to close. */
void health_end(struct health *h);

/* The methods' callbacks; `user` is the peer of a listen_open() whose user begins with a struct
 * kubelet_owner. */
void health_on_start(struct grpc_call *call, const struct grpc_request *request, void *user);
void health_on_cancelled(struct grpc_call *call);
void health_on_drained(struct grpc_call *call);
