/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of `takt report`, for the table of verbs, and what they say, for the verb.
 */
#pragma once

#include "client/cli/report_stat.h"
#include "client/cli/report_page.h"
#include "client/cli/verbs.h"

extern const struct option_row report_options[];

/* What the command line says. The texts belong to argv. */
struct report_wish {
	const char *output; /* NULL: report.html, or with --json no page */
	const char *title, *note; /* NULL: not given */
	bool offline;
	nsec_t deadline_ns; /* 0: not given */
	struct report_run runs[REPORT_RUNS_MAX]; /* label, bound and steal; nothing is read yet */
	const char *paths[REPORT_RUNS_MAX];
	size_t n_runs;
};

/*
 * Takes all of argv. -1: go on; else what the verb returns, after the sentence. The labels in
 * *ret are parts of argv, which is changed for it.
 */
int report_options_take(int argc, char **argv, struct cli *cli, struct report_wish *ret);
