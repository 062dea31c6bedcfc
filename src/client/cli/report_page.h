/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The report: what `takt report` found out, and its one self-contained HTML page or JSON document.
 */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "client/cli/report_facts.h"
#include "client/cli/report_stat.h"

#define REPORT_RUNS_MAX 6
#define REPORT_HISTORIES_MAX 100 /* reservations whose history is asked for */
#define REPORT_CHANGES_MAX 300 /* of the history, on the page; the latest */

/* Borrows everything. What comes from the agent has the shapes of rt.takt.varlink. */
struct report {
	const char *title;
	const char *note; /* a paragraph about the set-up; NULL: none */
	const char *made; /* date and time */
	const struct report_run *runs;
	size_t n_runs;
	struct report_facts facts;
	json_t *node; /* reply of Node; NULL: agent not asked, so the next two */
	json_t *reservations; /* array */
	json_t *changes; /* array, oldest first */
};

/* To the stream, whose owner looks for write errors. */
void report_page_write(FILE *f, const struct report *r);

/* The sections that come from the machine and the agent. */
void report_page_write_machine(FILE *f, const struct report *r);
void report_page_write_promises(FILE *f, const struct report *r);

/*
 * {"runs": [{"name", "jobs", "p50Ns", "p99Ns", "worstNs", "misses", "deadlineNs", "boundNs",
 * "lostReleases", "stealNs"}]}; boundNs and stealNs are null where there is none. With the agent
 * asked also "node", "reservations" and "changes". A new reference, or NULL: out of memory.
 */
json_t *report_page_encode(const struct report *r);
