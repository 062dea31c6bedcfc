/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verbs of `takt`: one table of name, usage, help, options and function. Dispatch, --help and
 * the completions of all shells come from it.
 */
#pragma once

#include <stdbool.h>

struct cli;

/* What an argument is, for completion. */
enum word_kind {
	WORD_NONE,
	WORD_FILE,
	WORD_COMMAND,
	WORD_RESERVATION, /* the name of one that exists */
	WORD_LIST, /* one of option_row.words */
};

struct option_row {
	int key; /* the short letter; 256 or above: it has none; 0 ends the table */
	const char *name; /* "runtime" for --runtime */
	const char *argument; /* "TIME"; NULL: it takes none */
	const char *help;
	enum word_kind kind;
	const char *words; /* WORD_LIST: "hard soft" */
};

struct verb {
	const char *name;
	const char *usage; /* what stands behind "takt NAME " */
	const char *help; /* one line */
	const char *more; /* what else --help says; NULL: nothing */
	const struct option_row *options; /* NULL: only the common ones */
	enum word_kind operands;
	const char *operand_words; /* WORD_LIST */
	bool json; /* takes --json */
	bool agent; /* takes --socket */
	bool command; /* the options end at the first word that is none */
	/* argv[0] is the verb. Returns the exit status (cli.h), after the sentence is written. */
	int (*run)(int argc, char **argv, struct cli *cli);
};

/* Ends with a row without a name. */
extern const struct verb verbs[];

const struct verb *verb_find(const char *name); /* NULL: there is none */

int verb_run(int argc, char **argv, struct cli *cli);
int verb_reserve(int argc, char **argv, struct cli *cli);
int verb_release(int argc, char **argv, struct cli *cli);
int verb_apply(int argc, char **argv, struct cli *cli);
int verb_attach(int argc, char **argv, struct cli *cli);
int verb_detach(int argc, char **argv, struct cli *cli);
int verb_ps(int argc, char **argv, struct cli *cli);
int verb_describe(int argc, char **argv, struct cli *cli);
int verb_admit(int argc, char **argv, struct cli *cli);
int verb_doctor(int argc, char **argv, struct cli *cli);
int verb_report(int argc, char **argv, struct cli *cli);
int verb_history(int argc, char **argv, struct cli *cli);
int verb_completion(int argc, char **argv, struct cli *cli);
