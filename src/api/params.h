/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parameters of each call of rt.takt.varlink, checked: types, ranges, and no name that the
 * call does not have. Used by the agent, which answers a refusal here with API_BAD_ARGUMENT.
 *
 * All return 0 or -EINVAL with a sentence that begins with the parameter's name; *ret changes on
 * success only. What they return are views into `p`.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <jansson.h>

#include "base/err.h"
#include "core/model/info.h"

#define API_TIDS_MAX 64
/* Of a container's id, or of namespace/pod/container; without the NUL. */
#define API_CONTAINER_MAX 512

/* Bind. */
struct api_bind {
	const char *name;
	pid_t pid; /* above 0, in the PID namespace of whoever asks */
	const char *container; /* NULL: none given */
	enum bind_via via;
	bool running; /* its own program has begun already */
};

int api_bind_decode(const json_t *p, struct api_bind *ret, struct err *err);

/* Attach, Detach. */
struct api_threads {
	const char *name; /* NULL: none given, as on a container's own socket */
	pid_t tids[API_TIDS_MAX]; /* each above 0 */
	size_t n; /* at least 1 */
};

int api_threads_decode(const json_t *p, struct api_threads *ret, struct err *err);

/* History (required). */
int api_name_decode(const json_t *p, const char **ret, struct err *err);

/* Reserve. */
struct api_reserve {
	const json_t *document; /* an object, for document_from_json() */
	bool transient, shareable; /* false where they are absent */
};

int api_reserve_decode(const json_t *p, struct api_reserve *ret, struct err *err);

/* List. */
struct api_list {
	const char *name, *prefix; /* NULL: none given; not both are */
};

int api_list_decode(const json_t *p, struct api_list *ret, struct err *err);

/* Release. */
struct api_release {
	const char *name;
	bool unheld, lazy; /* false where they are absent */
};

int api_release_decode(const json_t *p, struct api_release *ret, struct err *err);

#define API_TELL_CHECKS_MAX 8
#define API_TELL_NAME_MAX 32 /* of a source and of a line; this and the next without the NUL */
#define API_TELL_TEXT_MAX 500
#define API_TELL_FOR_MS_MAX (60 * 60 * 1000)

/* Tell. */
struct api_tell {
	const char *source;
	struct check checks[API_TELL_CHECKS_MAX]; /* no two of one name */
	size_t n; /* 0: takes back what was told */
	uint64_t for_ms; /* above 0 */
};

int api_tell_decode(const json_t *p, struct api_tell *ret, struct err *err);

/* Node, Watch: they have none. */
int api_nothing_decode(const json_t *p, struct err *err);
