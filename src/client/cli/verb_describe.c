// SPDX-License-Identifier: Apache-2.0
#include <getopt.h>
#include <string.h>

#include "base/text.h"
#include "client/cli/options.h"
#include "client/cli/show.h"

#define KEY_WIDTH 12

static void line(const char *key, const char *value)
{
	cleanup_free char *clean = value ? strdup(value) : NULL;

	if (clean)
		printf("%-*s%s\n", KEY_WIDTH, key, cli_clean(clean));
}

static void print_promise(const json_t *resv)
{
	char a[SHOW_TEXT_MAX], b[SHOW_TEXT_MAX], c[SHOW_TEXT_MAX];
	const char *runtime = show_duration(a, resv, "runtimeNs");
	const char *period = show_duration(b, resv, "periodNs");
	const char *deadline = show_duration(c, resv, "deadlineNs");
	json_int_t cores = json_integer_value(json_object_get(resv, "cores"));

	printf("%-*s%s every %s by %s, on %" JSON_INTEGER_FORMAT " %s\n", KEY_WIDTH, "promise",
		runtime ? runtime : "-", period ? period : "-", deadline ? deadline : "-", cores,
		cores == 1 ? "core" : "cores");
	printf("%-*s%s CPU\n", KEY_WIDTH, "bandwidth",
		show_cpu(a, json_integer_value(json_object_get(resv, "bandwidthPpm"))));
	line("guarantee", show_text(resv, "guarantee"));
	line("bound", show_duration(a, resv, "boundNs"));
	line("test", show_text(resv, "test"));
	line("why", show_text(resv, "reason"));
}

static void print_threads(const json_t *resv)
{
	const json_t *threads = json_object_get(resv, "threads");

	for (size_t i = 0; i < json_array_size(threads); i++) {
		const json_t *thread = json_array_get(threads, i);
		const char *name = show_text(thread, "name");
		char text[SHOW_TEXT_MAX];

		snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT " %.32s",
			json_integer_value(json_object_get(thread, "tid")), name ? name : "");
		line(i ? "" : "threads", text);
	}
}

static void print_labels(const json_t *resv)
{
	bool first = true;
	const char *key;
	json_t *value;

	json_object_foreach (json_object_get(resv, "labels"), key, value) {
		cleanup_free char *text = NULL;

		if (!json_is_string(value) ||
			asprintf(&text, "%s=%s", key, json_string_value(value)) < 0)
			continue;
		line(first ? "labels" : "", text);
		first = false;
	}
}

/* A shareable reservation may have several; the first one is told already. */
static void print_more_containers(const json_t *resv)
{
	const json_t *containers = json_object_get(resv, "containers");

	for (size_t i = 1; i < json_array_size(containers); i++)
		if (json_is_string(json_array_get(containers, i)))
			line("", json_string_value(json_array_get(containers, i)));
}

static int print(const struct cli *cli, const json_t *resv)
{
	line("name", show_text(resv, "name"));
	line("state", show_text(resv, "state"));
	if (show_text(resv, "trouble")) {
		fputs(cli_color(cli, COLOR_RED), stdout);
		line("trouble", show_text(resv, "trouble"));
		fputs(cli_color(cli, COLOR_OFF), stdout);
	}
	print_promise(resv);
	line("placement", show_text(resv, "placement"));
	line("container", show_text(resv, "container"));
	print_more_containers(resv);
	line("cgroup", show_text(resv, "cgroup"));
	line("via", show_text(resv, "via"));
	print_threads(resv);
	print_labels(resv);
	return 0;
}

int verb_describe(int argc, char **argv, struct cli *cli)
{
	cleanup_json json_t *reply = NULL;
	struct err err = ERR_NULL;
	int key = options_next(cli, argc, argv);
	const char *name;
	const json_t *resv;

	if (key != OPTION_END)
		return options_exit(key);
	if (argc - optind != 1)
		return cli_usage(cli, "name one reservation");
	name = argv[optind];
	if (cli_call(cli, "rt.takt.List", json_pack("{s:s}", "name", name), &reply, &err) < 0 ||
		show_complete(reply, &err) < 0)
		return cli_fail(name, &err);
	resv = json_array_get(json_object_get(reply, "reservations"), 0);
	if (!resv) {
		cli_say(name, "there is no such reservation; takt ps lists them");
		return EXIT_REFUSED;
	}
	return cli->json ? cli_print_json(reply) : print(cli, resv);
}
