// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <getopt.h>
#include <unistd.h>

#include "base/text.h"
#include "client/cli/admit_set.h"
#include "client/cli/documents.h"
#include "client/cli/number.h"
#include "client/cli/options.h"
#include "client/cli/show.h"
#include "client/cli/table.h"

#define CEILING_DEFAULT_PPM 950000
#define REASON_MAX 512

/* What the options say; zero or false: nothing. */
struct options {
	const char *file;
	uint64_t cpus, ceiling_ppm, granularity_ns;
	bool has_granularity, machine;
};

static int option(struct options *o, int key, const char *value, struct err *err)
{
	int r = 0;

	switch (key) {
	case 'f':
		o->file = value;
		break;
	case OPTION_MACHINE:
		o->machine = true;
		break;
	case OPTION_CPUS:
		r = number_parse(value, 1, ADMIT_CPUS_MAX, &o->cpus, err);
		return r < 0 ? err_wrap(err, r, "--cpus") : 0;
	case OPTION_CEILING:
		r = number_parse(value, 1, PPM_ONE_CPU, &o->ceiling_ppm, err);
		return r < 0 ? err_wrap(err, r, "--ceiling") : 0;
	case OPTION_GRANULARITY:
		r = duration_parse(value, &o->granularity_ns, err);
		o->has_granularity = true;
		return r < 0 ? err_wrap(err, r, "--granularity") : 0;
	}
	return r;
}

static int number_of(const json_t *node, const char *key, uint64_t min, uint64_t max, uint64_t *ret,
	struct err *err)
{
	const json_t *value = json_object_get(node, key);

	if (!json_is_integer(value) || json_integer_value(value) < (json_int_t)min ||
		json_integer_value(value) > (json_int_t)max)
		return err_set(err, -EPROTO, "the agent's answer has no usable %s", key);
	*ret = (uint64_t)json_integer_value(value);
	return 0;
}

/* The machine as the agent probed it; what an option says goes before. */
static int ask_agent(struct cli *cli, struct options *o, struct err *err)
{
	cleanup_json json_t *node = NULL;
	int r = cli_call(cli, "rt.takt.Node", json_object(), &node, err);

	if (r >= 0 && !o->cpus)
		r = number_of(node, "cpus", 1, ADMIT_CPUS_MAX, &o->cpus, err);
	if (r >= 0 && !o->ceiling_ppm)
		r = number_of(node, "ceilingPpmPerCpu", 1, PPM_ONE_CPU, &o->ceiling_ppm, err);
	if (r >= 0 && !o->has_granularity)
		r = number_of(node, "granularityNs", 0, ADMIT_TIME_MAX_NS, &o->granularity_ns, err);
	return r;
}

static struct admit_machine machine_of(const struct options *o)
{
	long here = sysconf(_SC_NPROCESSORS_ONLN);

	return (struct admit_machine){
		.n_cpus = o->cpus    ? (unsigned)o->cpus
			  : here > 0 ? (unsigned)here
				     : 1,
		.ceiling = bw_from_ppm(o->ceiling_ppm ? o->ceiling_ppm : CEILING_DEFAULT_PPM),
		.granularity_ns = o->granularity_ns,
	};
}

static const char *reason_of(char buf[static REASON_MAX], const struct admit_machine *m,
	const struct resv_request *q, const struct admit_verdict *v)
{
	struct admit_task t = set_task(q);

	admit_explain(v, &t, m, buf, REASON_MAX);
	return buf;
}

static json_t *row_json(
	const struct admit_machine *m, const struct resv_request *q, const struct admit_verdict *v)
{
	char reason[REASON_MAX];
	json_t *bound =
		v->yes && v->has_bound ? json_integer((json_int_t)v->bound_ns) : json_null();

	return json_pack("{s:s, s:b, s:s, s:o, s:s}", "name", q->name, "fits", v->yes, "test",
		admit_test_name(v->test), "boundNs", bound, "reason", reason_of(reason, m, q, v));
}

static int print_json(const struct admit_machine *m, const struct document_set *set,
	const struct set_answer *answer)
{
	cleanup_json json_t *rows = json_array(), *all = NULL;

	for (size_t i = 0; i < set->n; i++)
		if (json_array_append_new(
			    rows, row_json(m, &set->requests[i], &answer->verdicts[i])) < 0)
			return EX_SOFTWARE;
	all = json_pack("{s:b, s:O}", "fits", answer->fits, "reservations", rows);
	return all ? cli_print_json(all) : EX_SOFTWARE;
}

static const char *const heads[] = { "NAME", "FITS", "TEST", "BOUND", "WHY", NULL };

static int add_row(struct table *t, const struct admit_machine *m, const struct resv_request *q,
	const struct admit_verdict *v, struct err *err)
{
	char bound[TEXT_NUMBER_MAX], reason[REASON_MAX];
	const char *cells[] = { q->name, v->yes ? "yes" : "no", admit_test_name(v->test),
		v->yes && v->has_bound ? duration_format(bound, v->bound_ns) : NULL,
		reason_of(reason, m, q, v) };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(cells) && r >= 0; i++)
		r = table_add(t, cells[i], err);
	return r;
}

static int print(const struct cli *cli, const struct admit_machine *m,
	const struct document_set *set, const struct set_answer *answer)
{
	cleanup_table struct table t = table_make(heads);
	struct err err = ERR_NULL;

	for (size_t i = 0; i < set->n; i++)
		if (add_row(&t, m, &set->requests[i], &answer->verdicts[i], &err) < 0)
			return cli_fail(NULL, &err);
	table_print(&t, stdout, cli_color(cli, COLOR_BOLD), cli_color(cli, COLOR_OFF));
	return 0;
}

static int judge(
	const struct cli *cli, const struct admit_machine *m, const struct document_set *set)
{
	struct set_answer answer = { 0 };
	cleanup_free struct admit_verdict *verdicts = NULL;
	struct err err = ERR_NULL;
	int status;

	if (set_judge(m, set->requests, set->n, &answer, &err) < 0)
		return cli_fail_input(NULL, &err);
	verdicts = answer.verdicts;
	status = cli->json ? print_json(m, set, &answer) : print(cli, m, set, &answer);
	if (status)
		return status;
	return answer.fits ? 0 : EX_TEMPFAIL;
}

int verb_admit(int argc, char **argv, struct cli *cli)
{
	cleanup_document_set struct document_set set = DOCUMENT_SET_NULL;
	struct options o = { 0 };
	struct err err = ERR_NULL;
	struct admit_machine m;
	int key, status;

	while ((key = options_next(cli, argc, argv)) >= 0)
		if (option(&o, key, optarg, &err) < 0)
			return cli_usage(cli, "%s", err.text);
	if (key != OPTION_END)
		return options_exit(key);
	if (!o.file || optind < argc)
		return cli_usage(cli, "name the file of the documents by -f");
	status = documents_load(o.file, &set);
	if (status)
		return status;
	if (o.machine && ask_agent(cli, &o, &err) < 0)
		return cli_fail(NULL, &err);
	m = machine_of(&o);
	return judge(cli, &m, &set);
}
