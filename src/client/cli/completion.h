/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completions of the shells, made from the table of verbs. Used by the verb completion.
 */
#pragma once

#include <stdio.h>

#include "client/cli/verbs.h"

/*
 * Prints the names of all reservations, one a line. The spaces are those of cli_print_json():
 * the names of threads stand deeper.
 */
#define COMPLETION_NAMES \
	"takt ps --json 2>/dev/null | sed -n 's/^      \"name\": \"\\([^\"]*\\)\".*/\\1/p'"

void completion_bash(FILE *out);
void completion_zsh(FILE *out);
void completion_fish(FILE *out);
