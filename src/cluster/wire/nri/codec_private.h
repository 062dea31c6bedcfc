/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NRI's messages as bytes, and as the structs of objects.h. For plugin*.c here only: all that is
 * read lives in the arena.
 *
 * Reading: -EBADMSG, the bytes are no such message; -ENOMEM, -ENOBUFS, it needs more memory than
 * there is or than one message may take. Writing: -ENOMEM, -ENOBUFS.
 */
#pragma once

#include "base/bytes.h"
#include "cluster/wire/nri/arena_private.h"
#include "cluster/wire/nri/objects.h"

struct codec_configure {
	const char *config, *runtime_name, *runtime_version, *nri_version;
	int64_t request_timeout_ms;
};

struct codec_synchronize {
	struct nri_pod *pods;
	struct nri_container *containers;
	size_t n_pods, n_containers;
	bool more;
};

struct codec_event {
	int event; /* of a StateChange */
	bool has_pod, has_container;
	struct nri_pod pod;
	struct nri_container container;
};

int codec_read_configure(struct arena *a, struct bytes in, struct codec_configure *ret);
int codec_read_synchronize(struct arena *a, struct bytes in, struct codec_synchronize *ret);
int codec_read_pod_event(struct arena *a, struct bytes in, struct codec_event *ret);
int codec_read_container_event(struct arena *a, struct bytes in, struct codec_event *ret);
int codec_read_state_change(struct arena *a, struct bytes in, struct codec_event *ret);
/* The ids of the containers that could not be updated. */
int codec_read_updated(
	struct arena *a, struct bytes in, const char *const **ret_failed, size_t *ret_n);

int codec_write_register(struct arena *a, const char *name, const char *index, const char *version,
	struct bytes *ret);
int codec_write_configured(struct arena *a, uint32_t events, bool fail_request, bool keep_connected,
	struct bytes *ret);
int codec_write_synchronized(struct arena *a, bool more, struct bytes *ret);
int codec_write_adjustment(
	struct arena *a, const struct nri_adjustment *adjustment, struct bytes *ret);
int codec_write_updates(
	struct arena *a, const struct nri_update *updates, size_t n, struct bytes *ret);
