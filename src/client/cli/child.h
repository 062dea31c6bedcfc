/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command as a child that waits before it becomes the command, so that its process can be bound
 * first. Used by the verb run.
 */
#pragma once

#include <signal.h>
#include <sys/types.h>

#include "base/err.h"

struct child {
	pid_t pid; /* 0: none */
	int go; /* our end: a byte lets it go on, its end tells it to give up */
	int failed; /* our end: the errno of an exec that failed, or the end */
};

#define CHILD_NULL ((struct child){ .go = -1, .failed = -1 })

/* Blocks what is forwarded, for this thread; *ret_old is what the command gets back. */
int child_block_signals(sigset_t *ret_old, struct err *err);

/* `argv` ends with NULL; `mask` is the command's signal mask. */
int child_start(struct child *ret, char *const *argv, const sigset_t *mask, struct err *err);

/* Lets it become the command. An error is that of execvp(3). */
int child_go(struct child *c, struct err *err);

/*
 * Waits for its end. Signals go on to it; where it stops, we stop. *ret is its exit status, 128+N
 * where signal N ended it.
 */
int child_wait(struct child *c, int *ret, struct err *err);

/* A child that did not get to go ends here. */
void child_fini(struct child *c);
