// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <string.h>

#include "client/cli/options.h"
#include "client/cli/show.h"
#include "client/cli/table.h"

static const char *const heads[] = { "NAME", "STATE", "RUNTIME", "PERIOD", "CORES", "CPU",
	"GUARANTEE", "PLACEMENT", "BOUND", "THREADS", "CONTAINER", NULL };

/* Ids of containers are long; twelve digits tell them apart, as podman ps(1) shows them. */
#define CONTAINER_SHOWN 12
#define CONTAINER_TEXT_MAX 1024

static const char *state_of(char buf[static SHOW_TEXT_MAX], const json_t *resv)
{
	const char *state = show_text(resv, "state");

	if (!show_text(resv, "trouble"))
		return state;
	snprintf(buf, SHOW_TEXT_MAX, "%.32s, trouble", state ? state : "-");
	return buf;
}

static const char *number_of(char buf[static SHOW_TEXT_MAX], json_int_t n)
{
	snprintf(buf, SHOW_TEXT_MAX, "%" JSON_INTEGER_FORMAT, n);
	return buf;
}

/* An id is cut; namespace/pod/container is not. */
static const char *container_of_resv(char buf[static CONTAINER_TEXT_MAX], const json_t *resv)
{
	const char *container = show_text(resv, "container");
	size_t n = json_array_size(json_object_get(resv, "containers"));
	int shown;

	if (!container)
		return NULL;
	shown = strchr(container, '/') ? CONTAINER_TEXT_MAX / 2 : CONTAINER_SHOWN;
	if (n > 1)
		snprintf(buf, CONTAINER_TEXT_MAX, "%.*s +%zu", shown, container, n - 1);
	else
		snprintf(buf, CONTAINER_TEXT_MAX, "%.*s", shown, container);
	return buf;
}

static int add_row(struct table *t, const json_t *resv, struct err *err)
{
	char b[9][SHOW_TEXT_MAX], container[CONTAINER_TEXT_MAX];
	const char *cells[] = {
		show_text(resv, "name"),
		state_of(b[0], resv),
		show_duration(b[1], resv, "runtimeNs"),
		show_duration(b[2], resv, "periodNs"),
		number_of(b[3], json_integer_value(json_object_get(resv, "cores"))),
		show_cpu(b[4], json_integer_value(json_object_get(resv, "bandwidthPpm"))),
		show_text(resv, "guarantee"),
		show_text(resv, "placement"),
		show_duration(b[5], resv, "boundNs"),
		number_of(b[6], (json_int_t)json_array_size(json_object_get(resv, "threads"))),
		container_of_resv(container, resv),
	};
	int r = 0;

	_Static_assert(ARRAY_SIZE(cells) + 1 == ARRAY_SIZE(heads), "a cell for each head");
	for (size_t i = 0; i < ARRAY_SIZE(cells) && r >= 0; i++)
		r = table_add(t, cells[i], err);
	return r;
}

static int print(const struct cli *cli, const json_t *reply)
{
	cleanup_table struct table t = table_make(heads);
	const json_t *reservations = json_object_get(reply, "reservations");
	struct err err = ERR_NULL;

	for (size_t i = 0; i < json_array_size(reservations); i++)
		if (add_row(&t, json_array_get(reservations, i), &err) < 0)
			return cli_fail(NULL, &err);
	table_print(&t, stdout, cli_color(cli, COLOR_BOLD), cli_color(cli, COLOR_OFF));
	return 0;
}

int verb_ps(int argc, char **argv, struct cli *cli)
{
	cleanup_json json_t *reply = NULL;
	struct err err = ERR_NULL;
	int key = options_next(cli, argc, argv);

	if (key != OPTION_END)
		return options_exit(key);
	if (optind < argc)
		return cli_usage(cli, "there is nothing to name; takt describe NAME tells of one");
	if (cli_call(cli, "rt.takt.List", json_object(), &reply, &err) < 0 ||
		show_complete(reply, &err) < 0)
		return cli_fail(NULL, &err);
	return cli->json ? cli_print_json(reply) : print(cli, reply);
}
