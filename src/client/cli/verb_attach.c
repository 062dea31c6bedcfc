// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <getopt.h>
#include <limits.h>

#include "client/cli/number.h"
#include "client/cli/options.h"

/* The agent takes at most 64 in a call (api/params.h), so that all go in or none. */
static int add_tid(json_t *tids, const char *text, struct err *err)
{
	uint64_t tid;
	int r = number_parse(text, 1, INT_MAX, &tid, err);

	if (r < 0)
		return err_wrap(err, r, "thread id");
	if (json_array_append_new(tids, json_integer((json_int_t)tid)) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	return 0;
}

static int call_threads(const char *method, int argc, char **argv, struct cli *cli)
{
	cleanup_json json_t *tids = json_array();
	struct err err = ERR_NULL;
	int key = options_next(cli, argc, argv);
	const char *name;

	if (key != OPTION_END)
		return options_exit(key);
	if (argc - optind < 2)
		return cli_usage(cli, "name a reservation and at least one thread id");
	name = argv[optind];
	for (int i = optind + 1; i < argc; i++)
		if (add_tid(tids, argv[i], &err) < 0)
			return cli_fail_input(name, &err);
	if (cli_call(cli, method, json_pack("{s:s, s:O}", "name", name, "tids", tids), NULL, &err) <
		0)
		return cli_fail(name, &err);
	return 0;
}

int verb_attach(int argc, char **argv, struct cli *cli)
{
	return call_threads("rt.takt.Attach", argc, argv, cli);
}

int verb_detach(int argc, char **argv, struct cli *cli)
{
	return call_threads("rt.takt.Detach", argc, argv, cli);
}
