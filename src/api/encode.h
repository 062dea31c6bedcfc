/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be told of a reservation, a node and a change, as JSON in the shapes of
 * rt.takt.varlink. Used by the agent.
 *
 * Each returns a new reference, or NULL: out of memory. Text that is not UTF-8 (a thread may have
 * any bytes as its name) has its bytes above 127 replaced by '?'.
 */
#pragma once

#include <jansson.h>

#include "core/model/info.h"

/* bandwidthPpm is that of all its servers together, rounded up. */
json_t *api_reservation_encode(const struct resv_info *info);
json_t *api_node_encode(const struct node_info *n);
json_t *api_change_encode(const struct change *c);
