/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection and its calls from inside. grpc_conn.c speaks HTTP/2 and owns the calls, grpc_call.c
 * reads one request and writes its answers.
 */
#pragma once

#include <nghttp2/nghttp2.h>

#include "cluster/wire/grpc.h"
#include "cluster/wire/grpc_head.h"

#define GRPC_PREFIX_BYTES 5 /* compressed flag, length in big-endian */

/* Frames are joined up to here before they are written; one more frame always fits behind. */
#define GRPC_OUT_JOIN_BYTES (16 * 1024)
#define GRPC_OUT_FRAME_BYTES (20 * 1024)

struct grpc_conn {
	nghttp2_session *session;
	const struct grpc_service *service;
	void *user;
	struct grpc_call *calls;
	size_t buffered;
	unsigned busy; /* > 0: inside a callback, or inside nghttp2 */
	bool draining; /* the peer is told to go */
	bool pinged; /* the last word follows the answer to this PING */
	struct err failed; /* code 0: alive */
	uint8_t out[GRPC_OUT_JOIN_BYTES + GRPC_OUT_FRAME_BYTES];
};

enum call_phase {
	CALL_READING, /* the request is not whole yet */
	CALL_OPEN, /* the handler has it */
	CALL_ENDED, /* its status is known; it goes when HTTP/2 closes the stream */
};

struct grpc_call {
	struct grpc_conn *conn;
	struct grpc_call *previous, *next;
	const struct grpc_method *method;
	void *data;
	int32_t stream;
	enum call_phase phase;
	bool request_ended; /* the client sends no more */
	bool answering; /* the reply's headers are queued */
	bool drained; /* to be told */

	struct grpc_head head;
	uint8_t prefix[GRPC_PREFIX_BYTES];
	size_t prefix_len;
	char *in;
	size_t in_len, in_size, in_whole;

	char *out;
	size_t out_len, out_at;
	enum grpc_status status;
	char message[GRPC_MESSAGE_MAX + 1]; /* so that it shows when it must be cut */
};

/* Ends the connection, with the sentence for this code of nghttp2; returns a negative errno. */
int grpc_conn_fail(struct grpc_conn *c, int nghttp2_code);

struct grpc_call *grpc_call_create(struct grpc_conn *c, int32_t stream);

/* A handler that still has it is told. Accepts NULL. */
void grpc_call_destroy(struct grpc_call *call);

/* The headers are whole. */
void grpc_call_begin(struct grpc_call *call);

/* Bytes of the body, cut anywhere. */
void grpc_call_receive(struct grpc_call *call, struct bytes in);

/* The body has ended: the handler gets the request, or the client a refusal. */
void grpc_call_request_end(struct grpc_call *call);
