/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When something that failed is tried again, and how a watch goes on: list or watch. Pure, with the
 * caller's random numbers; used by watch.c and by who makes calls.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define KUBE_BACKOFF_FIRST_MS 200
#define KUBE_BACKOFF_MAX_MS 30000
#define KUBE_RETRY_AFTER_MAX_S 60
#define KUBE_LIVED_MS 5000

/*
 * After the n-th failure in a row, n from 0 on: 200 ms times 2^n, at most 30 s; of that a half for
 * certain and the other half by chance, so that many clients do not come back together.
 */
uint64_t kube_backoff_ms(unsigned failures, uint64_t random);

/* The same, and not before the time that the server asked for, if that is up to a minute. */
uint64_t kube_wait_ms(unsigned failures, unsigned retry_after_s, uint64_t random);

/* How a list or a stream ended. */
struct kube_end {
	bool listing; /* it was a list; else a stream of changes */
	bool brought; /* the stream brought something */
	uint64_t lived_ms; /* the stream */
	int code; /* 0: the server closed the stream in good order */
	unsigned retry_after_s;
};

struct kube_next {
	bool list; /* all again; else go on from the last resourceVersion */
	uint64_t delay_ms;
};

/*
 * 410 (-ESTALE), and what the server does not want to understand, lead to a list, and so does a
 * stream that lived for some seconds, brought nothing and ended in good order; all else of a stream
 * to a stream from where the last one stood, without a wait if that lived for some seconds and ended
 * in good order. *failures counts; a stream that lived or brought something resets it.
 */
struct kube_next kube_retry(const struct kube_end *end, unsigned *failures, uint64_t random);
