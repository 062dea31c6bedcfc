/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gRPC as the side that is called: the bytes of one connection go in and come out, no socket here.
 * Whoever serves the kubelet makes one for each connection that it accepts.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

/* A request names the claims of one pod, and a pod is an object of at most 1.5 MiB in etcd. */
#define GRPC_REQUEST_MAX_BYTES (1024 * 1024)
/* What a Go client takes (grpc-go's default limit); more than that it would refuse. */
#define GRPC_REPLY_MAX_BYTES (4 * 1024 * 1024)
/* All requests and replies of one connection that are not whole or not written yet. */
#define GRPC_BUFFERED_MAX_BYTES (8 * 1024 * 1024)
/* Calls at a time. The kubelet has one call and one health stream; a client waits above that. */
#define GRPC_CALLS_MAX 64
/* Names, values and 32 bytes each (RFC 9113, 6.5.2). A kubelet's request has some 300. */
#define GRPC_HEADERS_MAX_BYTES (16 * 1024)
/* Frames that a peer makes us write and does not read. GRPC_CALLS_MAX calls are some 200. */
#define GRPC_UNREAD_FRAMES_MAX 2048
/* The text beside a status, with its NUL: a whole sentence of struct err. */
#define GRPC_MESSAGE_MAX ERR_TEXT_MAX

#define GRPC_NO_TIMEOUT UINT64_MAX

/* grpc/grpc: doc/statuscodes.md */
enum grpc_status {
	GRPC_OK,
	GRPC_CANCELLED,
	GRPC_UNKNOWN,
	GRPC_INVALID_ARGUMENT,
	GRPC_DEADLINE_EXCEEDED,
	GRPC_NOT_FOUND,
	GRPC_ALREADY_EXISTS,
	GRPC_PERMISSION_DENIED,
	GRPC_RESOURCE_EXHAUSTED,
	GRPC_FAILED_PRECONDITION,
	GRPC_ABORTED,
	GRPC_OUT_OF_RANGE,
	GRPC_UNIMPLEMENTED,
	GRPC_INTERNAL,
	GRPC_UNAVAILABLE,
	GRPC_DATA_LOSS,
	GRPC_UNAUTHENTICATED,
	_GRPC_STATUS_MAX,
};

/*
 * What a client is told without a handler: UNIMPLEMENTED for a method that is not there, another
 * encoding than identity, and a body of none or two messages; RESOURCE_EXHAUSTED for what is too
 * long or has no memory; INVALID_ARGUMENT (HTTP 415) for another content-type; INTERNAL for other
 * headers that gRPC does not allow, a message that is cut short, and one that is compressed.
 */
struct grpc_conn;
struct grpc_call;
struct grpc_method;

/* What was asked; valid until start() returns. */
struct grpc_request {
	const struct grpc_method *method;
	struct bytes message; /* protobuf, may be empty; `at` is never NULL */
	uint64_t timeout_ns; /* from the call's start; GRPC_NO_TIMEOUT: the client waits for ever */
};

/*
 * One method. Its callbacks run in grpc_conn_receive, grpc_conn_send and grpc_conn_destroy; they
 * may use the functions grpc_call_*, and nothing of grpc_conn_*.
 *
 * A call lives from start() until the handler ends it by grpc_call_reply or grpc_call_finish, in
 * start() or at any time later, or until cancelled() has returned. After that it must not be used.
 */
struct grpc_method {
	const char *path; /* "/v1.DRAResourceHealth/NodeWatchResources" */
	bool streaming; /* any number of answers; otherwise exactly one */
	/* `user` is grpc_conn_create's. */
	void (*start)(struct grpc_call *call, const struct grpc_request *request, void *user);
	/* The client gave up, or the connection ended. May be NULL. */
	void (*cancelled)(struct grpc_call *call);
	/* Streaming: the message before is on its way, another one is taken. May be NULL. */
	void (*drained)(struct grpc_call *call);
};

/* Borrowed, and outlives the connections made with it. */
struct grpc_service {
	const struct grpc_method *methods;
	size_t n;
	/*
	 * Something is to be written, after a handler answered outside of the callbacks. It only takes
	 * note; grpc_conn_send is called from the loop. May be NULL.
	 */
	void (*wake)(void *user);
};

/*
 * `user` is handed to start() and wake(). What is to be written first (the SETTINGS that a client
 * waits for) is ready at once. -ENOMEM.
 */
int grpc_conn_create(
	struct grpc_conn **ret, const struct grpc_service *service, void *user, struct err *err);

/* Calls that are open are cancelled. Accepts NULL. */
void grpc_conn_destroy(struct grpc_conn *c);

/*
 * Takes what the peer sent, all of it; grpc_conn_send has the answers. An error ends the
 * connection, and every later call gives it again: -EPROTO: the peer speaks no HTTP/2; -ENOBUFS:
 * it makes us queue without end; -ENOMEM. What breaks HTTP/2 otherwise is no error here: the peer
 * is told, and grpc_conn_want_read gives false. -EBUSY: called from a callback.
 */
int grpc_conn_receive(struct grpc_conn *c, struct bytes in, struct err *err);

/*
 * 1: *ret is to be written next, valid until grpc_conn_send is called again, which therefore waits
 * until all of it is written. 0: nothing now. Errors as grpc_conn_receive; *ret changes on 1 only.
 */
int grpc_conn_send(struct grpc_conn *c, struct bytes *ret, struct err *err);

/* Neither of the two: the connection is over, close it. */
bool grpc_conn_want_read(const struct grpc_conn *c);
bool grpc_conn_want_write(const struct grpc_conn *c);

/*
 * Tells the peer to take its next calls elsewhere. Calls that it has begun go on; when they have
 * ended, and the peer has answered, the connection wants neither to read nor to write. A streaming
 * call is ended by its handler. -ENOMEM.
 */
int grpc_conn_shutdown(struct grpc_conn *c, struct err *err);

/* A pointer of the handler's, NULL at first. */
void grpc_call_set_data(struct grpc_call *call, void *data);
void *grpc_call_data(const struct grpc_call *call);

/*
 * Answers a call that is not streaming, and ends it. The bytes are copied. Where they cannot be
 * (more than GRPC_REPLY_MAX_BYTES, too much unwritten, no memory), the call ends with
 * RESOURCE_EXHAUSTED.
 */
void grpc_call_reply(struct grpc_call *call, struct bytes message);

/*
 * Sends one message of a streaming call; it is copied. -EAGAIN: the one before still waits for the
 * peer to read, come back in drained(). -EMSGSIZE: longer than GRPC_REPLY_MAX_BYTES. -ENOBUFS: the
 * connection has too much unwritten. -ENOMEM. -EINVAL: the method is not streaming. The call goes
 * on in any case.
 */
int grpc_call_send(struct grpc_call *call, struct bytes message);

/*
 * Ends a call: a streaming one after what was sent, any other without an answer. `message` is for
 * people, NULL is none; what is longer than GRPC_MESSAGE_MAX is cut.
 */
void grpc_call_finish(struct grpc_call *call, enum grpc_status status, const char *message);
