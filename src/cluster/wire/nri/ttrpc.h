/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ttrpc, unary calls only, as server and as client, on one connection of the multiplexer. Used by
 * the plugin's half of NRI; it sees bytes, never a socket. Source: containerd/ttrpc PROTOCOL.md,
 * channel.go, server.go.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "cluster/wire/nri/buffer.h"

#define TTRPC_HEADER_LEN 10
#define TTRPC_MESSAGE_MAX (4 * 1024 * 1024) /* channel.go: messageLengthMax */

enum ttrpc_type {
	TTRPC_REQUEST = 1,
	TTRPC_RESPONSE = 2,
	TTRPC_DATA = 3,
};

#define TTRPC_REMOTE_OPEN 0x2 /* flag of a request: a stream, not a unary call */

struct ttrpc_frame {
	uint32_t stream;
	uint8_t type, flags;
	bool oversize; /* over TTRPC_MESSAGE_MAX: the payload is passed over */
	struct bytes payload;
};

/* Puts frames together; .part.max is TTRPC_HEADER_LEN + TTRPC_MESSAGE_MAX, the rest zero. */
struct ttrpc_reader {
	struct nri_buffer part;
	size_t used, skip; /* bytes: of the frame told last, of an oversize one */
};

#define TTRPC_READER_NULL \
	((struct ttrpc_reader){ .part.max = TTRPC_HEADER_LEN + TTRPC_MESSAGE_MAX })

void ttrpc_reader_fini(struct ttrpc_reader *r);

/*
 * 1: *ret is a frame; its payload lives until the next call. 0: nothing is left in *in. -ENOMEM.
 * Memory grows with the bytes that came, not with the length that a header claims.
 */
int ttrpc_next(struct ttrpc_reader *r, struct bytes *in, struct ttrpc_frame *ret);

/* google.rpc.Code */
enum ttrpc_code {
	TTRPC_OK = 0,
	TTRPC_UNKNOWN = 2,
	TTRPC_INVALID_ARGUMENT = 3,
	TTRPC_RESOURCE_EXHAUSTED = 8,
	TTRPC_FAILED_PRECONDITION = 9,
	TTRPC_UNIMPLEMENTED = 12,
};

/* -EINVAL for TTRPC_INVALID_ARGUMENT and so on; -EREMOTEIO for what has no errno. */
int ttrpc_code_errno(int32_t code);

/* "UNIMPLEMENTED"; "UNKNOWN" for a code that google.rpc.Code does not have. */
const char *ttrpc_code_name(int32_t code);

/*
 * Requests that wait for an answer. A runtime sends its events one after the other, so more than
 * one open call is one that it no longer waits for; more than this are refused.
 */
#define TTRPC_OPEN_MAX 64

struct ttrpc_method {
	const char *service, *name;
	unsigned tag; /* the owner's own */
	/*
	 * Answers or refuses `stream`, now or later, once. The payload lives until it returns.
	 */
	void (*handle)(
		void *user, const struct ttrpc_method *m, uint32_t stream, struct bytes payload);
};

/* Set the first line, the rest is zero. */
struct ttrpc_server {
	const struct ttrpc_method *methods; /* a row without name ends it */
	void *user;
	struct nri_buffer *out;
	uint32_t connection; /* of the multiplexer */
	uint32_t last;
	uint32_t open[TTRPC_OPEN_MAX]; /* streams; 0: free */
};

/*
 * Takes a frame that the client sent. What the client does wrong is answered by a status. < 0:
 * the answer could not be written (-ENOMEM, -ENOBUFS), so the connection cannot go on.
 */
int ttrpc_server_take(struct ttrpc_server *s, const struct ttrpc_frame *f);

/*
 * -ENOENT: no such call is open; -EMSGSIZE: too long, and the client is told so; -ENOMEM,
 * -ENOBUFS: nothing was written and the call stays open.
 */
int ttrpc_server_answer(struct ttrpc_server *s, uint32_t stream, struct bytes payload);
/* `text` is cut at ERR_TEXT_MAX; errors as ttrpc_server_answer. */
int ttrpc_server_refuse(
	struct ttrpc_server *s, uint32_t stream, enum ttrpc_code code, const char *text);

#define TTRPC_PENDING_MAX 16 /* our own calls at a time; Takt makes one or two */

/* err: NULL with an answer; else no payload and why. The payload lives until it returns. */
typedef void (*ttrpc_done)(void *user, struct bytes payload, const struct err *err);

/* Set the first line, the rest is zero. */
struct ttrpc_client {
	struct nri_buffer *out;
	uint32_t connection; /* of the multiplexer */
	uint32_t last;
	struct ttrpc_pending {
		uint32_t stream; /* 0: free */
		ttrpc_done done;
		void *user;
	} pending[TTRPC_PENDING_MAX];
};

/*
 * `done` is called exactly once after success, from ttrpc_client_take or ttrpc_client_lost; never
 * after an error here. -EBUSY: TTRPC_PENDING_MAX calls are under way; -EOVERFLOW: the stream ids
 * of this connection are used up; -EMSGSIZE; -ENOBUFS; -ENOMEM.
 */
int ttrpc_client_call(struct ttrpc_client *c, const char *service, const char *method,
	struct bytes payload, ttrpc_done done, void *user, struct err *err);

/* Takes a frame that the server sent. One that answers no call of ours is passed over. */
void ttrpc_client_take(struct ttrpc_client *c, const struct ttrpc_frame *f);

/* The connection is gone: every pending call ends with -ECONNRESET. */
void ttrpc_client_lost(struct ttrpc_client *c);
