// SPDX-License-Identifier: Apache-2.0
#include <getopt.h>

#include "client/cli/options.h"
#include "client/cli/show.h"
#include "client/cli/table.h"

static const char *const heads[] = { "TIME", "WHAT", "WHY", NULL };

static int add_row(struct table *t, const json_t *change, struct err *err)
{
	char moment[SHOW_TEXT_MAX];
	int64_t at_ms = json_integer_value(json_object_get(change, "atMs"));
	int r = table_add(t, show_moment(moment, at_ms), err);

	if (r >= 0)
		r = table_add(t, show_text(change, "what"), err);
	if (r >= 0)
		r = table_add(t, show_text(change, "why"), err);
	return r;
}

static int print(const struct cli *cli, const json_t *reply)
{
	cleanup_table struct table t = table_make(heads);
	const json_t *changes = json_object_get(reply, "changes");
	struct err err = ERR_NULL;

	for (size_t i = 0; i < json_array_size(changes); i++)
		if (add_row(&t, json_array_get(changes, i), &err) < 0)
			return cli_fail(NULL, &err);
	table_print(&t, stdout, cli_color(cli, COLOR_BOLD), cli_color(cli, COLOR_OFF));
	return 0;
}

int verb_history(int argc, char **argv, struct cli *cli)
{
	cleanup_json json_t *reply = NULL;
	struct err err = ERR_NULL;
	int key = options_next(cli, argc, argv);
	const char *name;

	if (key != OPTION_END)
		return options_exit(key);
	if (argc - optind != 1)
		return cli_usage(cli, "name one reservation");
	name = argv[optind];
	if (cli_call(cli, "rt.takt.History", json_pack("{s:s}", "name", name), &reply, &err) < 0)
		return cli_fail(name, &err);
	if (json_array_size(json_object_get(reply, "changes")) == 0) {
		cli_say(name, "nothing is known of a reservation of this name");
		return EXIT_REFUSED;
	}
	return cli->json ? cli_print_json(reply) : print(cli, reply);
}
