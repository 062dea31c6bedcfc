// SPDX-License-Identifier: Apache-2.0
#include <getopt.h>

#include "client/cli/options.h"
#include "client/cli/request.h"
#include "client/cli/show.h"
#include "core/document/document.h"

/* The CDI name alone, so that $(takt reserve ...) is an argument of podman. */
static int print(const struct cli *cli, const json_t *reply)
{
	const char *device = show_text(reply, "device");

	if (cli->json)
		return cli_print_json(reply);
	if (!device) {
		cli_say(NULL, "the agent's answer has no device");
		return EX_SOFTWARE;
	}
	puts(device);
	return 0;
}

int verb_reserve(int argc, char **argv, struct cli *cli)
{
	cleanup_request struct resv_request q = request_default();
	cleanup_json json_t *reply = NULL;
	struct err err = ERR_NULL;
	const char *name;
	int key;

	while ((key = options_next(cli, argc, argv)) >= 0)
		if (request_option(&q, key, optarg, &err) < 0)
			return cli_usage(cli, "%s", err.text);
	if (key != OPTION_END)
		return options_exit(key);
	if (argc - optind != 1)
		return cli_usage(cli, "name one reservation");
	name = argv[optind];
	if (request_finish(&q, name, &err) < 0)
		return cli_fail_input(name, &err);
	if (cli_call(cli, "rt.takt.Reserve", json_pack("{s:o}", "document", document_to_json(&q)),
		    &reply, &err) < 0 ||
		show_complete(reply, &err) < 0)
		return cli_fail(name, &err);
	return print(cli, reply);
}
