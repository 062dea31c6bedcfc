/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the API server says when it says no: HTTP's number and a Status object, as one errno and
 * one sentence. Pure; used by the client and the watch.
 */
#pragma once

#include <jansson.h>

#include "base/bytes.h"

#define KUBE_REASON_MAX 48
#define KUBE_MESSAGE_MAX 360

struct kube_status {
	/*
	 * 0: yes. -EINVAL: 400, 422. -EACCES: 401. -EPERM: 403. -ENOENT: 404, NotFound (else it says
	 * nothing of the object: a server without that API, or what stands before it). -EEXIST: 409,
	 * AlreadyExists. -EAGAIN: 409 else (read again, change that). -ESTALE: 410. -E2BIG: 413.
	 * -EBUSY: 429. -ETIMEDOUT: 504. -EREMOTEIO: 404 and 5xx else. -EPROTO: all other numbers.
	 */
	int code;
	unsigned http; /* 0: none came */
	unsigned retry_after_s; /* 0: not said */
	char reason[KUBE_REASON_MAX]; /* "Conflict"; "": not said */
	char message[KUBE_MESSAGE_MAX]; /* the server's sentence, printable; "": not said */
};

/* An answer's number and body; the body may be anything. */
void kube_status_read(unsigned http, struct bytes body, struct kube_status *ret);

/* A Status object, as the ERROR event of a watch has one; its own code stands for HTTP's. */
void kube_status_of(const json_t *object, struct kube_status *ret);
