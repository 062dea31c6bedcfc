/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of a verb by getopt_long(3), from the rows of its table, and the help made of the same
 * rows. Used by main and by every verb.
 */
#pragma once

#include <stdio.h>

#include "client/cli/cli.h"
#include "client/cli/verbs.h"

enum {
	OPTION_END = -1, /* the operands begin at argv[optind] */
	OPTION_HELP = -2, /* the help was asked for and is printed: exit 0 */
	OPTION_WRONG = -3, /* the sentence is printed: exit EX_USAGE */
	OPTION_JSON = 0x1000,
	OPTION_SOCKET,
	OPTION_VERSION,
	OPTION_PLACEMENT, /* from here on: of single verbs, without a letter */
	OPTION_RECLAIM,
	OPTION_NAME,
	OPTION_CPUS,
	OPTION_CEILING,
	OPTION_GRANULARITY,
	OPTION_MACHINE,
	OPTION_FIRST_FREE = 0x2000, /* for a verb with more of its own */
};

/*
 * The key of the next option of cli->verb, its argument in optarg. --json and --socket go into
 * *cli and are not returned.
 */
int options_next(struct cli *cli, int argc, char **argv);

/* What a verb returns when options_next() ended with this: -1 where it goes on. */
int options_exit(int key);

/* The row of the common options that a verb takes by its flags; at most 3 and an end. */
const struct option_row *options_common(const struct verb *v, struct option_row buf[static 4]);

void options_help(FILE *out, const struct verb *v);
void options_overview(FILE *out);
