// SPDX-License-Identifier: Apache-2.0
#include "client/cli/report_page.h"

#include "client/cli/report_html.h"
#include "client/cli/report_plot.h"

static void write_head(FILE *f, const struct report *r)
{
	fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
	      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
	      "<meta name=\"color-scheme\" content=\"light dark\"><title>",
		f);
	report_text(f, r->title);
	fprintf(f, "</title><style>%s</style></head>\n<body><main><header><h1>", report_style);
	report_text(f, r->title);
	fputs("</h1>", f);
	if (r->note) {
		fputs("<p class=\"soft\">", f);
		report_text(f, r->note);
		fputs("</p>", f);
	}
	fputs("<p class=\"made\">", f);
	report_text(f, r->made);
	fputs("</p></header>\n", f);
}

static void write_card(FILE *f, const struct report_run *run, size_t i)
{
	const struct report_stat *s = &run->stat;

	fprintf(f, "<section class=\"card r%zu\"><h3>", i);
	report_text(f, run->label);
	fprintf(f, "</h3><strong class=\"%s\">", s->misses ? "bad" : "good");
	if (s->misses)
		report_percent(f, (double)s->misses / s->jobs);
	else
		fputs("none", f);
	fputs(" missed</strong>worst ", f);
	report_duration(f, s->worst_ns);
	fputs(", deadline ", f);
	report_duration(f, run->deadline_ns);
	fputs("</section>", f);
}

static void write_cell(FILE *f, nsec_t ns, bool bad)
{
	fprintf(f, "<td class=\"n%s\">", bad ? " bad" : "");
	report_duration(f, ns);
	fputs("</td>", f);
}

static void write_row(FILE *f, const struct report_run *run, size_t i)
{
	const struct report_stat *s = &run->stat;

	fprintf(f, "<tr><td class=\"r%zu\"><i class=\"key\"></i>", i);
	report_text(f, run->label);
	fprintf(f, "</td><td class=\"n\">%zu</td>", s->jobs);
	write_cell(f, s->p50_ns, s->p50_ns > run->deadline_ns);
	write_cell(f, s->p99_ns, s->p99_ns > run->deadline_ns);
	write_cell(f, s->worst_ns, s->worst_ns > run->deadline_ns);
	fprintf(f, "<td class=\"n%s\">%zu</td>", s->misses ? " bad" : "", s->misses);
	if (run->bound_ns)
		write_cell(f, run->bound_ns, false);
	else
		fputs("<td class=\"n\">none</td>", f);
	if (run->has_steal)
		write_cell(f, run->steal_ns, false);
	else
		fputs("<td class=\"n\">not measured</td>", f);
	fputs("</tr>", f);
}

static void write_lost(FILE *f, const struct report_run *runs, size_t n)
{
	size_t lost = 0;

	for (size_t i = 0; i < n; i++)
		lost += runs[i].log.lost;
	if (!lost)
		return;
	fputs("<p class=\"small soft\">Periods that passed without a job, because the one before took "
	      "longer, are not counted as misses:",
		f);
	for (size_t i = 0; i < n; i++) {
		fprintf(f, "%s %zu ", i ? "," : "", runs[i].log.lost);
		report_text(f, runs[i].label);
	}
	fputs(".</p>", f);
}

static void write_steal(FILE *f, const struct report_run *run)
{
	if (!run->has_steal)
		return;
	if (!run->steal_ns) {
		fputs("No steal time was counted during the run. ", f);
		return;
	}
	fputs("The hypervisor took ", f);
	report_duration(f, run->steal_ns);
	fputs(" of CPU time away during the run (steal time, all CPUs together). ", f);
}

/* A worst above the promise wants an explanation, or is a fault of ours. */
static void write_broken(FILE *f, const struct report_run *runs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct report_run *run = &runs[i];

		if (!run->bound_ns || run->stat.worst_ns <= run->bound_ns)
			continue;
		fputs("<p class=\"small\"><b class=\"bad\">The bound was passed</b> in ", f);
		report_text(f, run->label);
		fprintf(f, ": %zu jobs took longer than promised. ",
			report_count_above(run->sorted, run->stat.jobs, run->bound_ns));
		write_steal(f, run);
		fputs("A job whose own work is longer than the runtime is not covered by it.</p>",
			f);
	}
}

static void write_summary(FILE *f, const struct report *r)
{
	fputs("<div class=\"cards\">", f);
	for (size_t i = 0; i < r->n_runs; i++)
		write_card(f, &r->runs[i], i);
	fputs("</div>\n<div class=\"wide\"><table><tr><th>Run</th><th class=\"n\">Jobs</th>"
	      "<th class=\"n\">Median</th><th class=\"n\">99th percentile</th><th class=\"n\">Worst</th>"
	      "<th class=\"n\">Misses</th><th class=\"n\">Promised bound</th>"
	      "<th class=\"n\">Steal time</th></tr>",
		f);
	for (size_t i = 0; i < r->n_runs; i++)
		write_row(f, &r->runs[i], i);
	fputs("</table></div>\n", f);
	write_broken(f, r->runs, r->n_runs);
	write_lost(f, r->runs, r->n_runs);
}

static void write_plots(FILE *f, const struct report *r)
{
	fputs("<h2>Response time over time</h2><p class=\"soft\">From the release of a job to the end of "
	      "its work. Each dot is a job; in the red zone it missed its deadline.</p>\n",
		f);
	report_plot_times(f, r->runs, r->n_runs);
	fputs("<h2>Distribution</h2><p class=\"soft\">How many jobs took longer than a given time. A "
	      "curve that ends left of the red line missed nothing.</p>\n",
		f);
	report_plot_shares(f, r->runs, r->n_runs);
	fputs("<h2>Promised and seen</h2>\n", f);
	report_plot_bounds(f, r->runs, r->n_runs);
}

void report_page_write(FILE *f, const struct report *r)
{
	write_head(f, r);
	if (r->n_runs) {
		write_summary(f, r);
		write_plots(f, r);
	}
	report_page_write_machine(f, r);
	if (r->node)
		report_page_write_promises(f, r);
	fputs("<footer>Takt " TAKT_VERSION ". ", f);
	if (r->n_runs)
		fputs("Percentiles are nearest-rank: the smallest time that so many per cent of the jobs "
		      "did not exceed. A miss is a job that took longer than the deadline.",
			f);
	fputs("</footer></main></body></html>\n", f);
}

static json_t *encode_run(const struct report_run *run)
{
	const struct report_stat *s = &run->stat;

	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:o}", "name", run->label,
		"jobs", (json_int_t)s->jobs, "p50Ns", (json_int_t)s->p50_ns, "p99Ns",
		(json_int_t)s->p99_ns, "worstNs", (json_int_t)s->worst_ns, "misses",
		(json_int_t)s->misses, "deadlineNs", (json_int_t)run->deadline_ns, "boundNs",
		run->bound_ns ? json_integer(run->bound_ns) : json_null(), "lostReleases",
		(json_int_t)run->log.lost, "stealNs",
		run->has_steal ? json_integer(run->steal_ns) : json_null());
}

json_t *report_page_encode(const struct report *r)
{
	json_t *runs = json_array(), *all;

	for (size_t i = 0; i < r->n_runs; i++)
		if (json_array_append_new(runs, encode_run(&r->runs[i])) < 0) {
			json_decref(runs);
			return NULL;
		}
	all = json_pack("{s:o}", "runs", runs);
	if (!all || !r->node)
		return all;
	if (json_object_set(all, "node", r->node) < 0 ||
		json_object_set(all, "reservations", r->reservations) < 0 ||
		json_object_set(all, "changes", r->changes) < 0) {
		json_decref(all);
		return NULL;
	}
	return all;
}
