// SPDX-License-Identifier: Apache-2.0
/*
 * takt: the command line. main() finds the verb; everything else is in the file of that verb.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/options.h"

static bool wants_color(void)
{
	const char *no = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

/* A full disk or a closed pipe shows at the latest here. */
static int flush(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	cli_say(NULL, "cannot write to standard output: %s", strerror(errno));
	return status ? status : EX_SOFTWARE;
}

static int before_verb(struct cli *cli, int argc, char **argv)
{
	int key = options_next(cli, argc, argv);

	if (key == OPTION_VERSION) {
		puts("takt " TAKT_VERSION);
		return 0;
	}
	if (key != OPTION_END)
		return options_exit(key);
	if (optind == argc)
		return cli_usage(cli, "a verb is missing");
	cli->verb = verb_find(argv[optind]);
	if (!cli->verb)
		return cli_usage(cli, "there is no verb \"%s\"", argv[optind]);
	return -1;
}

int main(int argc, char **argv)
{
	__attribute__((cleanup(cli_fini))) struct cli cli = { .color = wants_color() };
	int first;
	int status = before_verb(&cli, argc, argv);

	if (status >= 0)
		return flush(status);
	first = optind;
	optind = 0; /* getopt(3), "NOTES": start anew */
	return flush(cli.verb->run(argc - first, argv + first, &cli));
}
