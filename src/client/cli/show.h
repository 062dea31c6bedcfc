/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields of the agent's JSON as text for people. Used by the verbs that print what it says; a
 * field that is missing or of another type is shown as absent, never trusted.
 */
#pragma once

#include <stdint.h>
#include <jansson.h>

#include "base/err.h"

#define SHOW_TEXT_MAX 64

/* NULL: absent. */
const char *show_text(const json_t *object, const char *key);

/* "2.5ms"; NULL: absent. */
const char *show_duration(char buf[static SHOW_TEXT_MAX], const json_t *object, const char *key);

/* Millionths of a CPU as CPUs: "0.25", at most three decimals, to nearest. */
const char *show_cpu(char buf[static SHOW_TEXT_MAX], int64_t ppm);

/* A moment in milliseconds since the epoch: "2026-03-01 13:04:05.250", in local time. */
const char *show_moment(char buf[static SHOW_TEXT_MAX], int64_t ms);

/*
 * The reply of List or Reserve, with every field that takt(1) lists: what the agent left out because
 * there is none (boundNs, container, cgroup, via, trouble) is null. -ENOMEM.
 */
int show_complete(json_t *reply, struct err *err);
