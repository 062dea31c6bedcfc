// SPDX-License-Identifier: Apache-2.0
/*
 * takt report: the response times of rt-app logs, what the agent promised and what happened, as
 * one page.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "client/cli/cli.h"
#include "client/cli/report_options.h"

#define OUTPUT_DEFAULT "report.html"

/* Everything that the page is made of, and that is given back at the end. */
struct making {
	struct report_wish wish;
	struct report report;
	char made[sizeof("2026-01-01 00:00 UTC")];
	json_t *node, *listed, *changes;
};

static void making_fini(struct making *m)
{
	for (size_t i = 0; i < m->wish.n_runs; i++)
		report_run_fini(&m->wish.runs[i]);
	json_decref(m->node);
	json_decref(m->listed);
	json_decref(m->changes);
}

#define cleanup_making __attribute__((cleanup(making_fini)))

static int measure_run(
	struct report_run *run, const char *path, nsec_t deadline_ns, struct err *err)
{
	int r = report_log_read(path, &run->log, err);

	if (r < 0)
		return r;
	run->deadline_ns = deadline_ns ? deadline_ns : run->log.period_ns;
	if (!run->deadline_ns)
		return err_set(
			err, -EINVAL, "%s: its jobs have different periods: give --deadline", path);
	return report_run_measure(run, err);
}

static int take_history(struct cli *cli, const char *name, json_t *changes, struct err *err)
{
	cleanup_json json_t *reply = NULL;
	int r = cli_call(cli, "rt.takt.History", json_pack("{s:s}", "name", name), &reply, err);

	if (r == -ESRCH) /* it went since it was listed */
		return 0;
	if (r < 0)
		return r;
	if (json_array_extend(changes, json_object_get(reply, "changes")) < 0)
		return err_set(err, -EPROTO, "the agent answered without a history of %s", name);
	return 0;
}

static int compare_changes(const void *x, const void *y)
{
	json_int_t a = json_integer_value(json_object_get(*(json_t *const *)x, "atMs"));
	json_int_t b = json_integer_value(json_object_get(*(json_t *const *)y, "atMs"));

	return (a > b) - (a < b);
}

/* Those of all reservations together, oldest first. */
static int sort_changes(json_t **changes, struct err *err)
{
	size_t n = json_array_size(*changes);
	cleanup_free json_t **sorted = calloc(n + 1, sizeof(*sorted));
	json_t *ret = json_array();

	for (size_t i = 0; sorted && i < n; i++)
		sorted[i] = json_array_get(*changes, i);
	if (sorted && ret)
		qsort(sorted, n, sizeof(*sorted), compare_changes);
	for (size_t i = 0; sorted && i < n; i++)
		if (json_array_append(ret, sorted[i]) < 0)
			break;
	if (!sorted || json_array_size(ret) != n) {
		json_decref(ret);
		return err_set(err, -ENOMEM, "out of memory");
	}
	json_decref(*changes);
	*changes = ret;
	return 0;
}

static int ask_agent(struct making *m, struct cli *cli, struct err *err)
{
	size_t i;
	json_t *reservation;
	int r = cli_call(cli, "rt.takt.Node", json_object(), &m->node, err);

	if (r == 0)
		r = cli_call(cli, "rt.takt.List", json_object(), &m->listed, err);
	m->changes = json_array();
	if (r == 0 && !m->changes)
		r = err_set(err, -ENOMEM, "out of memory");
	json_array_foreach (json_object_get(m->listed, "reservations"), i, reservation) {
		const char *name = json_string_value(json_object_get(reservation, "name"));

		if (r == 0 && name && i < REPORT_HISTORIES_MAX)
			r = take_history(cli, name, m->changes, err);
	}
	return r < 0 ? r : sort_changes(&m->changes, err);
}

static void fill_report(struct making *m)
{
	const struct report_wish *w = &m->wish;
	time_t now = time(NULL);
	struct tm tm;

	if (gmtime_r(&now, &tm))
		strftime(m->made, sizeof(m->made), "%F %R UTC", &tm);
	m->report = (struct report){
		.title = w->title ? w->title : "What was promised, and what happened",
		.note = w->note,
		.made = m->made,
		.runs = w->runs,
		.n_runs = w->n_runs,
		.node = m->node,
		.reservations = json_object_get(m->listed, "reservations"),
		.changes = m->changes,
	};
	report_facts_read(&m->report.facts);
}

static int replace_file(const char *path, struct bytes page, struct err *err)
{
	cleanup_free char *folder = strdup(path), *name = strdup(path);
	cleanup_fd int dirfd = -1;

	if (!folder || !name)
		return err_set(err, -ENOMEM, "out of memory");
	dirfd = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return err_set_errno(err, -errno, "open the folder of %s", path);
	return file_replace(dirfd, basename(name), page, 0644, err);
}

static int write_page(const struct report *report, const char *path, struct err *err)
{
	cleanup_free char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	bool failed;

	if (!f)
		return err_set(err, -ENOMEM, "out of memory");
	report_page_write(f, report);
	failed = ferror(f);
	if (fclose(f) != 0 || failed)
		return err_set(err, -ENOMEM, "out of memory");
	return replace_file(path, (struct bytes){ text, len }, err);
}

static int print_json(const struct report *report)
{
	cleanup_json json_t *all = report_page_encode(report);
	struct err err = ERR_NULL;

	if (all)
		return cli_print_json(all);
	err_set(&err, -ENOMEM, "out of memory, or a label that is not UTF-8");
	return cli_fail(NULL, &err);
}

int verb_report(int argc, char **argv, struct cli *cli)
{
	cleanup_making struct making m = { 0 };
	struct report_wish *w = &m.wish;
	struct err err = ERR_NULL;
	int status = report_options_take(argc, argv, cli, w);
	const char *output = w->output ? w->output : cli->json ? NULL : OUTPUT_DEFAULT;

	if (status >= 0)
		return status;
	for (size_t i = 0; i < w->n_runs; i++)
		if (measure_run(&w->runs[i], w->paths[i], w->deadline_ns, &err) < 0)
			return cli_fail_input(NULL, &err);
	if (!w->offline && ask_agent(&m, cli, &err) < 0)
		return cli_fail(NULL, &err);
	fill_report(&m);
	if (output && write_page(&m.report, output, &err) < 0)
		return cli_fail_input(NULL, &err);
	if (cli->json)
		return print_json(&m.report);
	printf("%s\n", output);
	return 0;
}
