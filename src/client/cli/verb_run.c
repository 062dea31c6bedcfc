// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <getopt.h>
#include <unistd.h>

#include "client/cli/child.h"
#include "client/cli/options.h"
#include "client/cli/request.h"
#include "client/cli/show.h"
#include "core/document/document.h"

/* As env(1) and timeout(1). */
#define EXIT_OWN 125
#define EXIT_CANNOT_EXEC 126
#define EXIT_NO_COMMAND 127

/* What is not the command's status; only "does not fit" keeps its number. */
static int own(int status)
{
	return status == 0 || status == EX_TEMPFAIL ? status : EXIT_OWN;
}

/* A reservation that is there already is somebody else's: it would end with the command. */
static int refuse_existing(struct cli *cli, const char *name)
{
	cleanup_json json_t *reply = NULL;
	struct err err = ERR_NULL;
	int r = cli_call(cli, "rt.takt.List", json_pack("{s:s}", "name", name), &reply, &err);

	if (r == -ESRCH)
		return 0;
	if (r < 0)
		return cli_fail(name, &err);
	if (json_array_size(json_object_get(reply, "reservations")) == 0)
		return 0;
	cli_say(name, "there is a reservation of that name already: take another --name");
	return EXIT_REFUSED;
}

static int run_bound(struct cli *cli, const char *name, char **command, const sigset_t *mask)
{
	__attribute__((cleanup(child_fini))) struct child child = CHILD_NULL;
	struct err err = ERR_NULL;
	int status = 0;
	int r = child_start(&child, command, mask, &err);

	if (r >= 0)
		r = cli_call(cli, "rt.takt.Bind",
			json_pack("{s:s, s:i}", "name", name, "pid", (int)child.pid), NULL, &err);
	if (r < 0)
		return own(cli_fail(name, &err));
	r = child_go(&child, &err);
	if (r < 0) {
		cli_say(command[0], "%s", err.text);
		return r == -ENOENT ? EXIT_NO_COMMAND : EXIT_CANNOT_EXEC;
	}
	r = child_wait(&child, &status, &err);
	return r < 0 ? own(cli_fail(name, &err)) : status;
}

static int run_reserved(struct cli *cli, const struct resv_request *q, char **command)
{
	struct err err = ERR_NULL;
	sigset_t mask;
	int status, r;

	if (child_block_signals(&mask, &err) < 0)
		return own(cli_fail(NULL, &err));
	if (cli_call(cli, "rt.takt.Reserve",
		    json_pack("{s:o, s:b}", "document", document_to_json(q), "transient", 1), NULL,
		    &err) < 0)
		return own(cli_fail(q->name, &err));
	status = run_bound(cli, q->name, command, &mask);
	r = cli_call(cli, "rt.takt.Release", json_pack("{s:s}", "name", q->name), NULL, &err);
	if (r < 0 && r != -ESRCH)
		cli_say(q->name, "still promised, end it by `takt release`: %s", err.text);
	return status;
}

int verb_run(int argc, char **argv, struct cli *cli)
{
	cleanup_request struct resv_request q = request_default();
	char own_name[RESV_NAME_MAX];
	const char *name = NULL;
	struct err err = ERR_NULL;
	int key, status;

	while ((key = options_next(cli, argc, argv)) >= 0) {
		if (key == OPTION_NAME)
			name = optarg;
		else if (request_option(&q, key, optarg, &err) < 0)
			return own(cli_usage(cli, "%s", err.text));
	}
	if (key != OPTION_END)
		return own(options_exit(key));
	if (optind == argc)
		return own(cli_usage(cli, "name the command to run"));
	snprintf(own_name, sizeof(own_name), "run-%d", (int)getpid());
	if (request_finish(&q, name ? name : own_name, &err) < 0)
		return own(cli_fail_input(name ? name : own_name, &err));
	status = refuse_existing(cli, q.name);
	return status ? own(status) : run_reserved(cli, &q, argv + optind);
}
