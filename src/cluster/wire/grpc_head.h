/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the headers of a request say, and whether gRPC allows it. Pure; used by the gRPC
 * connection, which has HTTP's own checks switched off: an :authority may be a path here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "cluster/wire/grpc.h"

#define GRPC_PATH_MAX 128 /* with the NUL; the kubelet's longest is 69 */

struct grpc_head {
	char path[GRPC_PATH_MAX]; /* one that is longer is cut, and so no method has it */
	uint64_t timeout_ns;
	size_t size; /* as GRPC_HEADERS_MAX_BYTES counts */
	uint32_t seen, bad; /* bits of the fields that we know */
	bool twice;
};

#define GRPC_HEAD_NULL ((struct grpc_head){ .timeout_ns = GRPC_NO_TIMEOUT })

void grpc_head_field(struct grpc_head *h, struct bytes name, struct bytes value);

struct grpc_refusal {
	int http; /* the HTTP status */
	enum grpc_status status;
	const char *why;
};

/* NULL: nothing is wrong with it. The method is looked for by the caller. */
const struct grpc_refusal *grpc_head_check(const struct grpc_head *h);
