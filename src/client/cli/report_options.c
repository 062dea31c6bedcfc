// SPDX-License-Identifier: Apache-2.0
#include "client/cli/report_options.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "base/text.h"
#include "client/cli/options.h"

enum {
	REPORT_JOBS = OPTION_FIRST_FREE,
	REPORT_DEADLINE,
	REPORT_BOUND,
	REPORT_STEAL,
	REPORT_TITLE,
	REPORT_NOTE,
	REPORT_OFFLINE,
};

const struct option_row report_options[] = {
	{ 'o', "output", "FILE", "where to write it; default report.html, with --json nowhere",
		WORD_FILE },
	{ REPORT_JOBS, "jobs", "LABEL=FILE", "a log of rt-app(1); may be given again", WORD_FILE },
	{ REPORT_DEADLINE, "deadline", "TIME", "of the jobs; default: the period in the log" },
	{ REPORT_BOUND, "bound", "[LABEL=]TIME", "promised to the jobs of all logs, or of one" },
	{ REPORT_STEAL, "steal", "[LABEL=]TIME", "what the hypervisor took meanwhile" },
	{ REPORT_TITLE, "title", "TEXT", "of the page" },
	{ REPORT_NOTE, "note", "TEXT", "a paragraph under the title" },
	{ REPORT_OFFLINE, "offline", NULL, "do not ask the agent" },
	{ 0 },
};

/* "[LABEL=]TIME", for all runs or the one; it may come before or after its --jobs. */
struct timed {
	const char *text;
	bool is_steal;
};

struct taking {
	struct report_wish *wish;
	struct timed timed[4 * REPORT_RUNS_MAX];
	size_t n_timed;
};

static int add_jobs(struct report_wish *w, char *text, struct err *err)
{
	char *equals = strchr(text, '=');

	if (!equals || equals == text || !equals[1])
		return err_set(err, -EINVAL, "--jobs %s: write LABEL=FILE", text);
	if (w->n_runs == REPORT_RUNS_MAX)
		return err_set(err, -EINVAL, "more than %d --jobs", REPORT_RUNS_MAX);
	*equals = '\0';
	for (size_t i = 0; i < w->n_runs; i++)
		if (!strcmp(w->runs[i].label, text))
			return err_set(err, -EINVAL, "two --jobs are called %s", text);
	w->paths[w->n_runs] = equals + 1;
	w->runs[w->n_runs++].label = text;
	return 0;
}

static int add_timed(struct taking *t, const char *text, bool is_steal, struct err *err)
{
	if (t->n_timed == ARRAY_SIZE(t->timed))
		return err_set(err, -EINVAL, "too many --bound and --steal");
	t->timed[t->n_timed++] = (struct timed){ text, is_steal };
	return 0;
}

static int take_time(const char *option, const char *text, nsec_t *ret, struct err *err)
{
	int r = duration_parse(text, ret, err);

	return r < 0 ? err_wrap(err, r, "%s", option) : 0;
}

static int take_deadline(struct report_wish *w, const char *text, struct err *err)
{
	int r = take_time("--deadline", text, &w->deadline_ns, err);

	if (r == 0 && !w->deadline_ns)
		return err_set(err, -EINVAL, "--deadline 0 is not a deadline");
	return r;
}

static int apply_timed(struct report_wish *w, const struct timed *t, struct err *err)
{
	const char *equals = strrchr(t->text, '=');
	size_t len = equals ? (size_t)(equals - t->text) : 0;
	bool found = false;
	nsec_t ns;
	int r = take_time(
		t->is_steal ? "--steal" : "--bound", t->text + (equals ? len + 1 : 0), &ns, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < w->n_runs; i++) {
		const char *label = w->runs[i].label;

		if (equals && (strlen(label) != len || memcmp(label, t->text, len)))
			continue;
		found = true;
		w->runs[i].has_steal |= t->is_steal;
		*(t->is_steal ? &w->runs[i].steal_ns : &w->runs[i].bound_ns) = ns;
	}
	return found ? 0 : err_set(err, -EINVAL, "%s belongs to no --jobs", t->text);
}

static int take_option(struct taking *t, int key, char *value, struct err *err)
{
	struct report_wish *w = t->wish;

	switch (key) {
	case 'o':
		w->output = value;
		return 0;
	case REPORT_JOBS:
		return add_jobs(w, value, err);
	case REPORT_DEADLINE:
		return take_deadline(w, value, err);
	case REPORT_BOUND:
	case REPORT_STEAL:
		return add_timed(t, value, key == REPORT_STEAL, err);
	case REPORT_TITLE:
		w->title = value;
		return 0;
	case REPORT_NOTE:
		w->note = value;
		return 0;
	default:
		w->offline = true;
		return 0;
	}
}

int report_options_take(int argc, char **argv, struct cli *cli, struct report_wish *ret)
{
	struct taking t = { .wish = ret };
	struct err err = ERR_NULL;
	int key, r = 0;

	*ret = (struct report_wish){ 0 };
	while (r == 0 && (key = options_next(cli, argc, argv)) >= 0)
		r = take_option(&t, key, optarg, &err);
	for (size_t i = 0; r == 0 && i < t.n_timed; i++)
		r = apply_timed(ret, &t.timed[i], &err);
	if (r < 0)
		return cli_usage(cli, "%s", err.text);
	if (options_exit(key) >= 0)
		return options_exit(key);
	if (optind < argc)
		return cli_usage(cli, "%s is not an option", argv[optind]);
	if (ret->offline && !ret->n_runs)
		return cli_usage(
			cli, "without --jobs and with --offline there is nothing to report");
	return -1;
}
