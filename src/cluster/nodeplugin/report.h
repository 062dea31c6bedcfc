/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells Kubernetes what became of claims: status.devices[] by server-side apply, and Events. It
 * comes after the kubelet's answer and never holds one up; of a claim only the last word counts.
 * Used by errand.c, and by whoever looks at what taktd has.
 */
#pragma once

#include <jansson.h>

struct plugin;

/* `claim` is the object that was read; `reservations` what taktd replied, of all its devices. */
void report_prepared(struct plugin *p, const json_t *claim, const json_t *reservations);
/* `code` and `sentence`: why not; `reservations` of those devices that have one. */
void report_refused(struct plugin *p, const json_t *claim, const json_t *reservations, int code,
	const char *sentence);
/* Its promises were released; the claim may be gone or have no allocation any more. */
void report_released(struct plugin *p, const char *namespace, const char *name, const char *uid);
/*
 * `list`: all reservations, of rt.takt.List. Those of claims whose trouble came or went since the last
 * look are told; at the first look all are, where the claim says something else.
 */
void report_look(struct plugin *p, const json_t *list);

/* What is still to be told is not. */
void report_stop(struct plugin *p);
