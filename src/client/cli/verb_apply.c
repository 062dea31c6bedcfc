// SPDX-License-Identifier: Apache-2.0
#include <getopt.h>
#include <string.h>

#include "client/cli/documents.h"
#include "client/cli/options.h"
#include "client/cli/show.h"

static bool is_listed(const json_t *list, const char *name)
{
	const json_t *reservations = json_object_get(list, "reservations");

	for (size_t i = 0; i < json_array_size(reservations); i++) {
		const char *other = show_text(json_array_get(reservations, i), "name");

		if (other && strcmp(other, name) == 0)
			return true;
	}
	return false;
}

static int add_result(json_t *results, const char *name, const char *result, const char *reason)
{
	json_t *row =
		json_pack("{s:s, s:s, s:s?}", "name", name, "result", result, "reason", reason);

	return json_array_append_new(results, row);
}

static int apply_one(
	struct cli *cli, const json_t *before, const struct resv_request *q, json_t *results)
{
	struct err err = ERR_NULL;
	json_t *in = json_pack("{s:o}", "document", document_to_json(q));
	const char *result = is_listed(before, q->name) ? "unchanged" : "reserved";
	int r = cli_call(cli, "rt.takt.Reserve", in, NULL, &err);

	if (r < 0) {
		cli_say(q->name, "%s", err.text);
		result = "refused";
	} else if (!cli->json) {
		printf("%s: %s\n", q->name, result);
	}
	if (add_result(results, q->name, result, r < 0 ? err.text : NULL) < 0)
		return EX_SOFTWARE;
	return r < 0 ? cli_exit_code(r) : 0;
}

/* The first refusal is the exit status; those behind it are still tried. */
static int apply_all(struct cli *cli, const struct document_set *set)
{
	cleanup_json json_t *before = NULL, *results = json_array(), *answer = NULL;
	struct err err = ERR_NULL;
	int status = 0;

	if (cli_call(cli, "rt.takt.List", json_object(), &before, &err) < 0)
		return cli_fail(NULL, &err);
	for (size_t i = 0; i < set->n; i++) {
		int one = apply_one(cli, before, &set->requests[i], results);

		status = status ? status : one;
	}
	if (!cli->json)
		return status;
	answer = json_pack("{s:O}", "reservations", results);
	if (!answer || cli_print_json(answer) != 0)
		return EX_SOFTWARE;
	return status;
}

int verb_apply(int argc, char **argv, struct cli *cli)
{
	cleanup_document_set struct document_set set = DOCUMENT_SET_NULL;
	const char *file = NULL;
	int key, status;

	while ((key = options_next(cli, argc, argv)) >= 0)
		file = optarg;
	if (key != OPTION_END)
		return options_exit(key);
	if (!file || optind < argc)
		return cli_usage(cli, "name the file of the documents by -f");
	status = documents_load(file, &set);
	return status ? status : apply_all(cli, &set);
}
