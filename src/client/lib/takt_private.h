/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a handle of libtakt. Used by the files of this folder.
 */
#pragma once

#include <takt/takt.h>

#include "api/message.h"
#include "client/lib/conn.h"

struct takt {
	struct sockaddr_un to;
	int timeout_ms;
	struct conn conn;
	struct err err; /* of the last call */
	char error_name[API_NAME_MAX];
};

/* Forgets the last call's error. */
void takt_begin(struct takt *t);

/* One call and its only reply, whose parameters *ret are a new reference; ret may be NULL. */
int takt_exchange(struct takt *t, const char *method, json_t *parameters, json_t **ret);
