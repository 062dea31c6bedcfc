/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What plugin.c, which carries the connection, and plugin_events.c, which serves the runtime's
 * calls, share.
 */
#pragma once

#include "cluster/wire/nri/arena_private.h"
#include "cluster/wire/nri/mux.h"
#include "cluster/wire/nri/plugin.h"
#include "cluster/wire/nri/ttrpc.h"

struct nri_plugin {
	struct nri_identity id;
	const struct nri_handlers *handlers;
	void *user;

	enum nri_state state;
	uint32_t epoch; /* of the connection: a late answer must not reach the next one */
	int failed; /* the connection cannot go on, and why */
	struct err why;

	struct nri_mux mux;
	struct ttrpc_reader from_plugin, from_runtime; /* by connection of the multiplexer */
	struct ttrpc_server server;
	struct ttrpc_client client;
	struct nri_buffer out;
};

/* The methods of the service nri.pkg.api.v1alpha1.Plugin, for plugin.server. */
extern const struct ttrpc_method plugin_methods[];

/* Notes the first reason why the connection cannot go on. */
void plugin_fail(struct nri_plugin *p, int code, const char *what);
