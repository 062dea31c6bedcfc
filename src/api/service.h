/* SPDX-License-Identifier: Apache-2.0 */
/*
 * org.varlink.service: what every Varlink server answers about itself, so that varlinkctl and
 * libraries in any language can look around. The agent asks here first.
 */
#pragma once

#include "api/message.h"

/*
 * 1: it was a call of org.varlink.service and *ret, the caller's to free(), is its reply or
 * error, with the NUL. 0: it was not one. < 0: an error as from api_reply_encode().
 */
int api_service_answer(const struct api_call *call, char **ret, size_t *ret_len, struct err *err);

/* The text of rt.takt.varlink. */
extern const char api_interface[];
