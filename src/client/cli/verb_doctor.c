// SPDX-License-Identifier: Apache-2.0
#include <getopt.h>
#include <inttypes.h>
#include <string.h>

#include "client/cli/options.h"
#include "client/cli/show.h"

#define STATUS_WIDTH 9
#define NAME_WIDTH 20

static int64_t number(const json_t *node, const char *key)
{
	return json_integer_value(json_object_get(node, key));
}

static int64_t free_ppm(const json_t *node)
{
	return number(node, "cpus") * number(node, "ceilingPpmPerCpu") -
	       number(node, "promisedPpm") - number(node, "foreignPpm");
}

static enum color status_color(const char *status)
{
	if (strcmp(status, "ok") == 0)
		return COLOR_GREEN;
	return strcmp(status, "limited") == 0 ? COLOR_YELLOW : COLOR_RED;
}

/* Padded on the right to the width. */
static void print_clean(int width, const char *text)
{
	cleanup_free char *clean = strdup(text ? text : "-");

	if (clean)
		printf("%-*s", width, cli_clean(clean));
}

static void print_check(const struct cli *cli, const json_t *check)
{
	const char *status = show_text(check, "status");
	const char *mend = show_text(check, "mend");

	fputs(cli_color(cli, status_color(status ? status : "no")), stdout);
	print_clean(STATUS_WIDTH, status);
	fputs(cli_color(cli, COLOR_OFF), stdout);
	print_clean(NAME_WIDTH, show_text(check, "name"));
	print_clean(0, show_text(check, "detail"));
	putchar('\n');
	if (mend && *mend) {
		printf("%*smend: ", STATUS_WIDTH + NAME_WIDTH, "");
		print_clean(0, mend);
		putchar('\n');
	}
}

static int print(const struct cli *cli, const json_t *node)
{
	const json_t *checks = json_object_get(node, "checks");
	char a[SHOW_TEXT_MAX], b[SHOW_TEXT_MAX];
	const char *g = show_duration(a, node, "granularityNs");

	for (size_t i = 0; i < json_array_size(checks); i++)
		print_check(cli, json_array_get(checks, i));
	printf("\n%" PRId64 " CPUs, %s of each may be promised; granularity %s\n",
		number(node, "cpus"), show_cpu(b, number(node, "ceilingPpmPerCpu")), g ? g : "-");
	printf("promised %s CPU, ", show_cpu(a, number(node, "promisedPpm")));
	printf("held by others %s CPU, ", show_cpu(a, number(node, "foreignPpm")));
	printf("free %s CPU\n", show_cpu(b, free_ppm(node)));
	return 0;
}

static int print_json(json_t *node)
{
	if (json_object_set_new(node, "freePpm", json_integer(free_ppm(node))) < 0) {
		cli_say(NULL, "out of memory");
		return EX_SOFTWARE;
	}
	return cli_print_json(node);
}

int verb_doctor(int argc, char **argv, struct cli *cli)
{
	cleanup_json json_t *node = NULL;
	struct err err = ERR_NULL;
	int key = options_next(cli, argc, argv);

	if (key != OPTION_END)
		return options_exit(key);
	if (optind < argc)
		return cli_usage(cli, "there is nothing to name");
	if (cli_call(cli, "rt.takt.Node", json_object(), &node, &err) < 0)
		return cli_fail(NULL, &err);
	return cli->json ? print_json(node) : print(cli, node);
}
