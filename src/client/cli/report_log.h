/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log that rt-app(1) writes of one thread, as jobs with a response time each. Read by
 * `takt report`.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "base/err.h"
#include "core/model/units.h"

#define REPORT_JOBS_MAX 1000000
#define REPORT_LINE_MAX 256

struct report_job {
	nsec_t at_ns; /* its release, after the release of the first job */
	nsec_t response_ns; /* from its release to the end of its work */
};

/* Owns `jobs`. */
struct report_log {
	struct report_job *jobs;
	size_t n;
	nsec_t period_ns; /* of the timer; 0: it changes within the log */
	size_t lost; /* periods that passed without a release, because a job took longer */
};

#define REPORT_LOG_NULL ((struct report_log){ 0 })

void report_log_fini(struct report_log *log); /* accepts NULL and a zeroed log */

#define cleanup_report_log __attribute__((cleanup(report_log_fini)))

/*
 * Reads to the end of `f`; the job that the end of rt-app cut short is left out. -EBADMSG:
 * something is not as rt-app writes it, or there is no job; -E2BIG: more than REPORT_JOBS_MAX jobs;
 * the sentence begins with the line's number. -ENOMEM, -EIO. *ret changes on success only.
 */
int report_log_parse(FILE *f, struct report_log *ret, struct err *err);

/* The same from a file; the sentence begins with its path. */
int report_log_read(const char *path, struct report_log *ret, struct err *err);
