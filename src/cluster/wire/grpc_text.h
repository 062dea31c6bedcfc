/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two texts that gRPC has in its headers: a timeout and a message for people. Pure; used by
 * the gRPC connection. Source: grpc/grpc, doc/PROTOCOL-HTTP2.md.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "cluster/wire/grpc.h"

/*
 * One to eight digits and one of H M S m u n. -EINVAL: anything else. *ret_ns changes on success
 * only; what is longer than 2^63-1 ns (292 years) is that.
 */
int grpc_timeout_parse(struct bytes text, uint64_t *ret_ns);

#define GRPC_ENCODED_MAX (3 * GRPC_MESSAGE_MAX)

/*
 * Printable ASCII but "%" as it is, every other byte as %XX. At most GRPC_MESSAGE_MAX - 1 bytes of
 * the text; a character of several bytes is not cut in two. Returns the length.
 */
size_t grpc_message_encode(char buf[static GRPC_ENCODED_MAX], const char *text);
