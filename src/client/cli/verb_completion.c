// SPDX-License-Identifier: Apache-2.0
#include <getopt.h>
#include <string.h>

#include "client/cli/completion.h"
#include "client/cli/options.h"

int verb_completion(int argc, char **argv, struct cli *cli)
{
	static const struct {
		const char *shell;
		void (*print)(FILE *out);
	} shells[] = {
		{ "bash", completion_bash },
		{ "zsh", completion_zsh },
		{ "fish", completion_fish },
	};
	int key = options_next(cli, argc, argv);

	if (key != OPTION_END)
		return options_exit(key);
	for (size_t i = 0; argc - optind == 1 && i < ARRAY_SIZE(shells); i++) {
		if (strcmp(argv[optind], shells[i].shell) != 0)
			continue;
		shells[i].print(stdout);
		return 0;
	}
	return cli_usage(cli, "name a shell: bash, zsh or fish");
}
