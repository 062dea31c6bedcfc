/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What became of a claim on this node, told to Kubernetes: status.devices[] of the claim, and
 * Events. Pure: objects in, objects out. Used by takt-dra after it has answered the kubelet.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTCOME_CONDITION "Ready"
#define OUTCOME_CONTROLLER "rt.takt.dev/takt-dra"

struct outcome {
	bool ready;
	const char *reason; /* one word: "Reserved", "DoesNotFit" */
	const char *message; /* a sentence; of a device that is ready: its reservation's own */
};

#define OUTCOME_RESERVED "Reserved"
#define OUTCOME_RELEASED "Released"
#define OUTCOME_TROUBLE "Trouble"

/* "DoesNotFit" and the like for an error of door_call() or claim_read(). */
const char *outcome_reason(int code);

/*
 * For server-side apply to the claim's status: an entry of each of our devices on `node`, with the
 * condition and, where there is a reservation, what was promised. `reservations`: of this claim, as
 * taktd tells of them; may be fewer, or NULL. `now`: RFC 3339. A condition that is as it was keeps
 * its time. NULL: out of memory, or no device of ours there.
 */
json_t *outcome_status(const json_t *claim, const json_t *reservations, const struct outcome *o,
	const char *node, const char *now);

/* status.devices[] has that reservation's entry, and its condition is as `o` would make it. */
bool outcome_is_told(const json_t *claim, const json_t *wanted);

struct outcome_about {
	const char *api_version, *kind, *namespace, *name, *uid;
};

/* An Event of events.k8s.io/v1; `name` has to be new, `now` has microseconds. NULL: no memory. */
json_t *outcome_event(const struct outcome_about *about, const struct outcome_about *related,
	const struct outcome *o, const char *node, const char *name, const char *now);

#define OUTCOME_SAID_MAX 1024
#define OUTCOME_SAME_MS (5 * 60 * 1000)
#define OUTCOME_OTHER_MS (30 * 1000)

/* What was said lately, of what: the kubelet asks again for ever. */
struct outcome_said {
	struct {
		uint64_t about, note; /* hashes; about 0: empty */
		uint64_t at_ms;
	} rows[OUTCOME_SAID_MAX];
};

/*
 * Whether it may be said now, and remembers that it was: the same of one object once in
 * OUTCOME_SAME_MS, another sentence under the same reason once in OUTCOME_OTHER_MS.
 */
bool outcome_may_say(
	struct outcome_said *s, const char *uid, const struct outcome *o, uint64_t now_ms);
