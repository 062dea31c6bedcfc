/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What both roles of ttrpc write with. For the ttrpc*.c here only.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "cluster/wire/nri/arena_private.h"
#include "cluster/wire/nri/ttrpc.h"

/* -EMSGSIZE: longer than TTRPC_MESSAGE_MAX; -ENOBUFS; -ENOMEM. Nothing is written on failure. */
int ttrpc_write(struct nri_buffer *out, uint32_t connection, uint32_t stream, enum ttrpc_type type,
	const ProtobufCMessage *message);
