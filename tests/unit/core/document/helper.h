/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents to begin with, and their faults as one text. For the tests of this folder.
 */
#pragma once

#include <errno.h>

#include "base/cleanup.h"
#include "core/document/document.h"
#include "test.h"

#define HEAD                                 \
	"apiVersion: rt.takt.dev/v1alpha1\n" \
	"kind: Reservation\n"                \
	"metadata: {name: camera}\n"         \
	"spec:\n"
/* Lines 5 and 6; what a test adds is line 7. */
#define CAMERA                  \
	HEAD "  runtime: 4ms\n" \
	     "  period: 20ms\n"

static inline struct document_set parse_good(const char *text)
{
	struct document_set set = DOCUMENT_SET_NULL;
	struct err err = ERR_NULL;

	if (document_parse(text, strlen(text), "f.yaml", &set, &err) < 0)
		fail_msg("%s", err.text);
	CHECK(set.n > 0 && set.n_faults == 0 && !set.faults);
	return set;
}

/* All faults, one a line; fails where there are none, or the result is not as promised. */
static inline const char *faults_of_bytes(const char *text, size_t len)
{
	static char all[256 * 1024];
	cleanup_document_set struct document_set set = DOCUMENT_SET_NULL;
	struct err err = ERR_NULL;
	size_t n = 0;

	CHECK_EQ(document_parse(text, len, "f.yaml", &set, &err), -EINVAL);
	CHECK_EQ(err.code, -EINVAL);
	CHECK(set.n == 0 && !set.requests && set.n_faults > 0);
	CHECK(strncmp(err.text, set.faults[0], strlen(set.faults[0])) == 0);
	for (size_t i = 0; i < set.n_faults; i++)
		n += snprintf(all + n, sizeof(all) - n, i ? "\n%s" : "%s", set.faults[i]);
	return all;
}

static inline const char *faults_of(const char *text)
{
	return faults_of_bytes(text, strlen(text));
}

/* The faults of one document at the door, given as JSON text. */
static inline const char *faults_of_json(const char *text)
{
	static char all[64 * 1024];
	cleanup_document_faults struct document_faults faults = DOCUMENT_FAULTS_NULL;
	cleanup_json json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
	struct resv_request untouched, request;
	size_t n = 0;

	CHECK(json);
	memset(&untouched, 'x', sizeof(untouched));
	memset(&request, 'x', sizeof(request));
	CHECK_EQ(document_from_json(json, &request, &faults, NULL), -EINVAL);
	CHECK(memcmp(&request, &untouched, sizeof(request)) == 0);
	for (size_t i = 0; i < faults.n; i++)
		n += snprintf(all + n, sizeof(all) - n, i ? "\n%s" : "%s", faults.text[i]);
	return all;
}
