// SPDX-License-Identifier: Apache-2.0
#include "client/cli/options.h"

#include <getopt.h>
#include <string.h>

#define OPTIONS_MAX 32
#define HELP_COLUMN 28

const struct option_row *options_common(const struct verb *v, struct option_row buf[static 4])
{
	struct option_row *row = buf;

	if (!v || v->json)
		*row++ = (struct option_row){ OPTION_JSON, "json", NULL, "print JSON" };
	if (!v || v->agent)
		*row++ = (struct option_row){ OPTION_SOCKET, "socket", "PATH",
			"the agent's socket; default $TAKT_SOCKET, then " TAKT_SOCKET_DEFAULT,
			WORD_FILE };
	*row++ = (struct option_row){ 'h', "help", NULL, "print this help" };
	*row = (struct option_row){ 0 };
	return buf;
}

struct getopt_rows {
	char letters[2 * OPTIONS_MAX + 3]; /* "+:q:p:" */
	struct option names[OPTIONS_MAX + 1];
	size_t n;
};

static void add_rows(struct getopt_rows *g, const struct option_row *rows)
{
	for (const struct option_row *row = rows; row && row->key && g->n < OPTIONS_MAX; row++) {
		char letter[] = { (char)row->key, row->argument ? ':' : '\0', '\0' };

		if (row->key < 256)
			strcat(g->letters, letter);
		g->names[g->n++] = (struct option){
			.name = row->name,
			.has_arg = row->argument ? required_argument : no_argument,
			.val = row->key,
		};
	}
}

static int wrong(struct cli *cli, int key, char **argv)
{
	const char *word = optind > 0 ? argv[optind - 1] : "";

	if (key == ':')
		cli_usage(cli, "%s needs an argument", word);
	else if (optopt && optopt < 256)
		cli_usage(cli, "there is no option -%c", optopt);
	else
		cli_usage(cli, "there is no option %s", word);
	return OPTION_WRONG;
}

/* Before the verb, the options end at the verb. */
static struct getopt_rows rows_of(const struct verb *v)
{
	struct option_row common[4];
	struct getopt_rows g = { 0 };

	strcpy(g.letters, !v || v->command ? "+:" : ":");
	if (v)
		add_rows(&g, v->options);
	add_rows(&g, options_common(v, common));
	if (!v)
		g.names[g.n++] = (struct option){ .name = "version", .val = OPTION_VERSION };
	return g;
}

int options_next(struct cli *cli, int argc, char **argv)
{
	struct getopt_rows g = rows_of(cli->verb);

	opterr = 0;
	for (;;) {
		int key = getopt_long(argc, argv, g.letters, g.names, NULL);

		switch (key) {
		case OPTION_JSON:
			cli->json = true;
			break;
		case OPTION_SOCKET:
			cli->socket = optarg;
			break;
		case 'h':
			if (cli->verb)
				options_help(stdout, cli->verb);
			else
				options_overview(stdout);
			return OPTION_HELP;
		case ':':
		case '?':
			return wrong(cli, key, argv);
		default:
			return key;
		}
	}
}

int options_exit(int key)
{
	if (key == OPTION_HELP)
		return 0;
	return key == OPTION_END ? -1 : EX_USAGE;
}

static void print_row(FILE *out, const struct option_row *row)
{
	int n;

	if (row->key < 256)
		n = fprintf(out, "  -%c, --%s", row->key, row->name);
	else
		n = fprintf(out, "      --%s", row->name);
	if (row->argument)
		n += fprintf(out, " %s", row->argument);
	if (n >= HELP_COLUMN)
		n = fprintf(out, "\n") - 1;
	fprintf(out, "%*s%s\n", HELP_COLUMN - n, "", row->help);
}

void options_help(FILE *out, const struct verb *v)
{
	struct option_row common[4];

	fprintf(out, "usage: takt %s %s\n\n%s.\n\n", v->name, v->usage, v->help);
	for (const struct option_row *row = v->options; row && row->key; row++)
		print_row(out, row);
	for (const struct option_row *row = options_common(v, common); row->key; row++)
		print_row(out, row);
	if (v->more)
		fprintf(out, "\n%s", v->more);
}

void options_overview(FILE *out)
{
	fprintf(out,
		"usage: takt VERB [OPTION...]\n\nCPU time that is promised, kept and shown.\n\n");
	for (const struct verb *v = verbs; v->name; v++)
		fprintf(out, "  %-12s%s\n", v->name, v->help);
	fprintf(out,
		"\nVerbs that print take --json, those that ask taktd take --socket PATH.\n"
		"`takt VERB --help` tells more, takt(1) tells all; `takt --version` the version.\n");
}
