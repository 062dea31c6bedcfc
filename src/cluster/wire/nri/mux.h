/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NRI's multiplexer: two logical connections on one socket. Used by the plugin's half of the
 * protocol; it sees bytes, never a socket. Source: containerd/nri pkg/net/multiplex/mux.go.
 */
#pragma once

#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "cluster/wire/nri/buffer.h"

#define NRI_MUX_PLUGIN 1 /* the runtime calls us */
#define NRI_MUX_RUNTIME 2 /* we call the runtime */

#define NRI_MUX_HEADER_LEN 8
/* mux.go: maxPayloadSize; a ttrpc header and the longest message. */
#define NRI_MUX_FRAME_MAX (10 + 4 * 1024 * 1024)
/*
 * The runtime reads a ttrpc header through a buffer of this size and fails if the frame is
 * longer; the rest of a message it reads straight into place, and at most 256 frames may wait.
 * So a message is one frame of at most this, and one with all the rest.
 */
#define NRI_MUX_FIRST_MAX 4096

/* The reader: where in which frame the bytes so far have ended. Starts as zero. */
struct nri_mux {
	unsigned char header[NRI_MUX_HEADER_LEN];
	uint8_t header_len;
	uint32_t connection, left; /* of the frame under way */
};

/*
 * 1: *ret is a piece of what connection *ret_connection carries, a view into *in, which moves past
 * it. 0: nothing is left in *in. Frames of other connections than the two are passed over.
 * -EPROTO: connection 0; -EMSGSIZE: a frame over the limit; nothing after that can be read.
 */
int nri_mux_next(struct nri_mux *m, struct bytes *in, uint32_t *ret_connection, struct bytes *ret,
	struct err *err);

/* Appends one message, of up to NRI_MUX_FRAME_MAX bytes; errors as nri_buffer_extend. */
int nri_mux_write(struct nri_buffer *out, uint32_t connection, struct bytes message);
