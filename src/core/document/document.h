/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Reservation document of takt-reservation(5): YAML and JSON into requests, with the path and
 * line of every mistake, and a request back into JSON. Used by the command line, api and agent.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/err.h"
#include "core/model/resv.h"

#define DOCUMENT_API_VERSION "rt.takt.dev/v1alpha1"
#define DOCUMENT_KIND "Reservation"

#define DOCUMENT_BYTES_MAX (4u << 20) /* of one text */
#define DOCUMENT_MAX 10000 /* documents in one text */
#define DOCUMENT_VALUES_MAX 256 /* maps, lists and scalars of one document */
#define DOCUMENT_DEPTH_MAX 10
#define DOCUMENT_FAULTS_MAX 100 /* then reading stops */
#define DOCUMENT_MISS_RATE_PPM 10000 /* spec.adapt.missRate where it is absent: "1%" */

/* What a text holds. Owns everything; document_set_fini() frees it. */
struct document_set {
	struct resv_request *requests; /* in the order of the text; none where there are faults */
	size_t n;
	char **faults; /* "ORIGIN:LINE: spec.runtime: ...", in the order of the lines */
	size_t n_faults;
};

struct document_faults {
	char **text; /* "spec.runtime: ..." */
	size_t n;
};

#define DOCUMENT_SET_NULL ((struct document_set){ 0 })
#define DOCUMENT_FAULTS_NULL ((struct document_faults){ 0 })

void document_set_fini(struct document_set *s); /* accepts NULL and a zeroed set */
void document_faults_fini(struct document_faults *f); /* accepts NULL and a zeroed list */

#define cleanup_document_set __attribute__((cleanup(document_set_fini)))
#define cleanup_document_faults __attribute__((cleanup(document_faults_fini)))

/*
 * YAML text of any number of documents (JSON text is YAML too); `origin` names it in the faults:
 * a file name. Every field of every request is set, defaults too; labels are sorted by key.
 * -EINVAL: mistakes, all of them in ret->faults, and in err the first and how many more there
 * are. -ENOMEM: *ret is unchanged. Overwrites *ret without freeing it.
 */
int document_parse(const char *text, size_t len, const char *origin, struct document_set *ret,
	struct err *err);

/*
 * One document that came through the door; as document_parse(), but faults have no origin and no
 * line. *ret changes on success only; *ret_faults (NULL: not wanted) on -EINVAL only.
 */
int document_from_json(const json_t *root, struct resv_request *ret,
	struct document_faults *ret_faults, struct err *err);

/*
 * The normal form: every field that differs from its default, durations by duration_format().
 * document_from_json() of it equals `r` where `r` passes resv_request_check() and its labels are
 * sorted by key. A new reference; NULL: out of memory, or a text that is not UTF-8.
 */
json_t *document_to_json(const struct resv_request *r);
