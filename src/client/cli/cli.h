/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all verbs of `takt` share: where output goes, how a failure becomes a sentence and an exit
 * status, and calls to the agent. Used by every verb.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <sysexits.h>
#include <takt/takt.h>

#include "base/cleanup.h"
#include "base/err.h"

/*
 * Exit status: 0, EX_USAGE 64, EX_UNAVAILABLE 69 (agent not reachable), EX_SOFTWARE 70, EX_TEMPFAIL
 * 75 (does not fit), EX_NOPERM 77 (sysexits.h), and this one: the answer is no for a reason that has
 * no number of its own (no such reservation, the name is taken, held by something else).
 */
#define EXIT_REFUSED 1

struct verb;

struct cli {
	const struct verb *verb;
	const char *socket; /* NULL: libtakt's default */
	bool json;
	bool color; /* on stdout */
	struct takt *takt; /* made by the first call */
};

void cli_fini(struct cli *cli);

/* "takt: SUBJECT: text" on stderr; subject NULL: without. Control characters become '?'. */
void cli_say(const char *subject, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The sentence about a wrong command line, and where the right one is told. Returns EX_USAGE. */
int cli_usage(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The sentence of an error of the agent or of libtakt. Returns the exit status for its code. */
int cli_fail(const char *subject, const struct err *err);
int cli_exit_code(int code);

/* The same for what is in a file or on the command line: the user's, so EX_USAGE; -ENOMEM: 70. */
int cli_fail_input(const char *subject, const struct err *err);

/* `parameters` is taken, also on failure; NULL is out of memory. *ret may be NULL. */
int cli_call(
	struct cli *cli, const char *method, json_t *parameters, json_t **ret, struct err *err);

/* Indented, with a newline. Returns 0 or EX_SOFTWARE. */
int cli_print_json(const json_t *value);

/* ANSI colour around text that is printed next; "" where colour is off. */
enum color {
	COLOR_OFF,
	COLOR_BOLD,
	COLOR_GREEN,
	COLOR_YELLOW,
	COLOR_RED,
	_COLOR_MAX,
};
const char *cli_color(const struct cli *cli, enum color c);

/* Foreign text for a terminal: control characters become '?', in place. */
char *cli_clean(char *text);
