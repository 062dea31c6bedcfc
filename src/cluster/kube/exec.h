/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a kubeconfig's exec plugin in the loop and hands back what it printed. Used by auth.c.
 */
#pragma once

#include <uv.h>

#include "cluster/kube/config.h"

struct kube_run;

#define KUBE_EXEC_OUTPUT_MAX (256 * 1024)
#define KUBE_EXEC_TIMEOUT_MS 30000

/*
 * `done` is called once, from the loop: code 0 and what the program printed, or a negative errno
 * and a sentence (it did not end with 0, printed too much, or took longer than the timeout, after
 * which it is killed). An error here means that done is not called.
 */
int kube_run_start(struct kube_run **ret, uv_loop_t *loop, const struct kube_exec *exec,
	void (*done)(void *data, int code, struct bytes output, const struct err *why), void *data,
	struct err *err);

/* Kills the program; done is not called any more. Accepts NULL. */
void kube_run_cancel(struct kube_run *run);
