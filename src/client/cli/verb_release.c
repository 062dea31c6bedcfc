// SPDX-License-Identifier: Apache-2.0
#include <getopt.h>

#include "client/cli/options.h"

/* Goes on after one that cannot be ended; the first failure is the exit status. */
int verb_release(int argc, char **argv, struct cli *cli)
{
	int key = options_next(cli, argc, argv);
	int status = 0;

	if (key != OPTION_END)
		return options_exit(key);
	if (optind == argc)
		return cli_usage(cli, "name the reservations to end");
	for (int i = optind; i < argc; i++) {
		json_t *in = json_pack("{s:s}", "name", argv[i]);
		struct err err = ERR_NULL;
		int failed;

		if (cli_call(cli, "rt.takt.Release", in, NULL, &err) == 0)
			continue;
		failed = cli_fail(argv[i], &err);
		status = status ? status : failed;
	}
	return status;
}
