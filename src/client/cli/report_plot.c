// SPDX-License-Identifier: Apache-2.0
#include "client/cli/report_plot.h"

#include <math.h>

#include "client/cli/report_axis.h"
#include "client/cli/report_html.h"

/* The plot's area in SVG units, which stretch to its size on the page. */
#define SIDE 1000.0

#define TICKS_X 10
#define TICKS_Y 10
#define MS 1e6

/* Origin of SVG is the upper left, that of a plot the lower left. */
static double svg_x(const struct report_axis *a, double value)
{
	return SIDE * report_axis_place(a, value);
}

static double svg_y(const struct report_axis *a, double value)
{
	return SIDE * (1 - report_axis_place(a, value));
}

static void open_area(FILE *f, double rem)
{
	fprintf(f, "<div class=\"area\"");
	if (rem > 0)
		fprintf(f, " style=\"--h:%.1frem\"", rem);
	fputs("><svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" aria-hidden=\"true\">",
		f);
}

static void draw_grid(FILE *f, const struct report_axis *x, const struct report_axis *y)
{
	double ticks[REPORT_TICKS_MAX];
	size_t n = report_axis_ticks(x, TICKS_X, ticks);

	fputs("<path class=\"grid\" d=\"", f);
	for (size_t i = 0; i < n; i++)
		fprintf(f, "M%.1f 0V1000", svg_x(x, ticks[i]));
	n = y ? report_axis_ticks(y, TICKS_Y, ticks) : 0;
	for (size_t i = 0; i < n; i++)
		fprintf(f, "M0 %.1fH1000", svg_y(y, ticks[i]));
	fputs("\"/>", f);
}

static void write_x(FILE *f, const struct report_axis *x, double unit, const char *title)
{
	double ticks[REPORT_TICKS_MAX];
	size_t n = report_axis_ticks(x, TICKS_X, ticks);

	for (size_t i = 0; i < n; i++)
		fprintf(f, "<span class=\"x\" style=\"left:%.2f%%\">%.6g</span>",
			100 * report_axis_place(x, ticks[i]), ticks[i] / unit);
	fprintf(f, "<span class=\"xt\">%s</span>", title);
}

static void write_y(FILE *f, const struct report_axis *y, double unit, const char *suffix)
{
	double ticks[REPORT_TICKS_MAX];
	size_t n = report_axis_ticks(y, TICKS_Y, ticks);

	for (size_t i = 0; i < n; i++)
		fprintf(f, "<span class=\"y\" style=\"bottom:%.2f%%\">%.6g%s</span>",
			100 * report_axis_place(y, ticks[i]), ticks[i] / unit, suffix);
}

/* Names a line across the area at `percent` of its height, `right` em from its right end. */
static void name_level(FILE *f, const char *kind, nsec_t ns, double percent, double right)
{
	fprintf(f, "<span class=\"mark %s\" style=\"bottom:%.2f%%;right:%.1fem\">%s ", kind,
		percent, right, kind);
	report_duration(f, ns);
	fputs("</span>", f);
}

/* Names a line up the area at `percent` of its width, on the side that has more room. */
static void name_upright(FILE *f, const char *kind, nsec_t ns, double percent, double top)
{
	fprintf(f, "<span class=\"mark up%s %s\" style=\"left:%.2f%%;top:%.1fem\">%s ",
		percent > 70 ? " back" : "", kind, percent, top, kind);
	report_duration(f, ns);
	fputs("</span>", f);
}

/* What all runs have in common, so that their plots can be compared. */
struct scale {
	struct report_axis response; /* log, in ns */
	struct report_axis time; /* in ns */
	size_t most_jobs;
};

static double max_limit(const struct report_run *run)
{
	double most = fmax(run->stat.worst_ns, run->deadline_ns);

	return fmax(most, run->bound_ns);
}

static struct scale find_scale(const struct report_run *runs, size_t n)
{
	double least = INFINITY, most = 0;
	struct scale s = { 0 };

	for (size_t i = 0; i < n; i++) {
		const struct report_log *log = &runs[i].log;

		least = fmin(least, fmax(runs[i].sorted[0], NSEC_PER_USEC));
		least = fmin(least, runs[i].deadline_ns);
		most = fmax(most, max_limit(&runs[i]));
		s.time.high = fmax(s.time.high, log->jobs[log->n - 1].at_ns);
		s.most_jobs = log->n > s.most_jobs ? log->n : s.most_jobs;
	}
	s.time.high = fmax(s.time.high, MS);
	s.response = report_axis_around(least, most);
	return s;
}

/* The jobs that met the deadline, or those that did not. */
static void draw_dots(FILE *f, const struct report_run *run, const struct scale *s,
	const size_t *picked, size_t n, bool late)
{
	fprintf(f, "<path class=\"%s\" d=\"", late ? "late" : "dots");
	for (size_t i = 0; i < n; i++) {
		const struct report_job *job = &run->log.jobs[picked[i]];

		if ((job->response_ns > run->deadline_ns) == late)
			fprintf(f, "M%.1f %.1fh0", svg_x(&s->time, job->at_ns),
				svg_y(&s->response, job->response_ns));
	}
	fputs("\"/>", f);
}

static void draw_levels(FILE *f, const struct report_run *run, const struct report_axis *y)
{
	double d = svg_y(y, run->deadline_ns);

	fprintf(f, "<rect class=\"zone\" width=\"1000\" height=\"%.1f\"/>", d);
	fprintf(f, "<path class=\"deadline\" d=\"M0 %.1fH1000\"/>", d);
	if (run->bound_ns)
		fprintf(f, "<path class=\"promise\" d=\"M0 %.1fH1000\"/>", svg_y(y, run->bound_ns));
}

static void name_levels(FILE *f, const struct report_run *run, const struct report_axis *y)
{
	name_level(
		f, "deadline", run->deadline_ns, 100 * report_axis_place(y, run->deadline_ns), 0);
	if (run->bound_ns)
		name_level(
			f, "bound", run->bound_ns, 100 * report_axis_place(y, run->bound_ns), 8.5);
}

static void caption_times(FILE *f, const struct report_run *run, size_t drawn)
{
	fputs("<figcaption><b>", f);
	report_text(f, run->label);
	fputs("</b>: ", f);
	if (run->stat.misses)
		fprintf(f, "%zu of %zu jobs above the deadline", run->stat.misses, run->stat.jobs);
	else
		fprintf(f, "none of %zu jobs above the deadline", run->stat.jobs);
	fputs(", worst ", f);
	report_duration(f, run->stat.worst_ns);
	if (drawn < run->stat.jobs)
		fprintf(f, ". Drawn are %zu: the shortest and longest of each slice", drawn);
	fputs(".</figcaption>", f);
}

void report_plot_times(FILE *f, const struct report_run *runs, size_t n)
{
	struct scale s = find_scale(runs, n);

	for (size_t i = 0; i < n; i++) {
		const struct report_run *run = &runs[i];
		size_t picked[REPORT_POINTS_MAX], n_picked = report_pick(&run->log, picked);

		fprintf(f, "<figure class=\"r%zu\">", i);
		caption_times(f, run, n_picked);
		open_area(f, 0);
		draw_grid(f, &s.time, &s.response);
		draw_levels(f, run, &s.response);
		draw_dots(f, run, &s, picked, n_picked, false);
		draw_dots(f, run, &s, picked, n_picked, true);
		fputs("</svg>", f);
		write_y(f, &s.response, MS, "");
		fputs("<span class=\"yt\">response, ms</span>", f);
		write_x(f, &s.time, NSEC_PER_SEC, "time, s");
		name_levels(f, run, &s.response);
		fputs("</div></figure>\n", f);
	}
}

/*
 * The share of jobs above t falls by one job at each response. A step is drawn where it moved by
 * one unit of the area: at most 2 * SIDE of them, and the last one always.
 */
static void draw_steps(FILE *f, const struct report_run *run, const struct report_axis *x,
	const struct report_axis *y)
{
	size_t n = run->stat.jobs;
	double at_x = 0, at_y = 0;

	fputs("<path class=\"steps\" d=\"M0 0", f);
	for (size_t i = 0; i < n; i++) {
		double to_x = svg_x(x, run->sorted[i]);
		double to_y = i + 1 < n ? svg_y(y, (double)(n - i - 1) / n) : SIDE;

		if (fabs(to_x - at_x) < 1 && fabs(to_y - at_y) < 1 && i + 1 < n)
			continue;
		fprintf(f, "H%.1fV%.1f", to_x, to_y);
		at_x = to_x;
		at_y = to_y;
	}
	fprintf(f, "\"/><path class=\"end\" d=\"M%.1f 1000h0\"/>", at_x);
}

static void caption_shares(FILE *f, const struct report_run *runs, size_t n)
{
	fputs("<figcaption>", f);
	for (size_t i = 0; i < n; i++) {
		fprintf(f, "%s<span class=\"r%zu\"><i class=\"key\"></i></span><b>",
			i ? " &emsp;" : "", i);
		report_text(f, runs[i].label);
		fputs("</b> ", f);
		if (runs[i].stat.misses)
			report_percent(f, (double)runs[i].stat.misses / runs[i].stat.jobs);
		else
			fputs("none", f);
		fputs(" above the deadline", f);
	}
	fputs("</figcaption>", f);
}

static void draw_shares_limits(FILE *f, const struct report_run *run, const struct report_axis *x)
{
	double d = svg_x(x, run->deadline_ns);

	fprintf(f, "<rect class=\"zone\" x=\"%.1f\" width=\"%.1f\" height=\"1000\"/>", d, SIDE - d);
	fprintf(f, "<path class=\"deadline\" d=\"M%.1f 0V1000\"/>", d);
	if (run->bound_ns)
		fprintf(f, "<path class=\"promise\" d=\"M%.1f 0V1000\"/>", svg_x(x, run->bound_ns));
}

static void name_uprights(FILE *f, const struct report_run *run, const struct report_axis *x)
{
	name_upright(
		f, "deadline", run->deadline_ns, 100 * report_axis_place(x, run->deadline_ns), .6);
	if (run->bound_ns)
		name_upright(
			f, "bound", run->bound_ns, 100 * report_axis_place(x, run->bound_ns), 2.6);
}

void report_plot_shares(FILE *f, const struct report_run *runs, size_t n)
{
	struct scale s = find_scale(runs, n);
	struct report_axis y = {
		.low = pow(10, floor(log10(0.5 / s.most_jobs))), .high = 1, .log = true
	};
	const struct report_run *last = &runs[n - 1];

	fputs("<figure>", f);
	caption_shares(f, runs, n);
	open_area(f, 18);
	draw_grid(f, &s.response, &y);
	draw_shares_limits(f, last, &s.response);
	for (size_t i = 0; i < n; i++) {
		fprintf(f, "<g class=\"r%zu\">", i);
		draw_steps(f, &runs[i], &s.response, &y);
		fputs("</g>", f);
	}
	fputs("</svg>", f);
	write_y(f, &y, 0.01, " %");
	fputs("<span class=\"yt\">share of jobs that took longer</span>", f);
	write_x(f, &s.response, MS, "response, ms");
	name_uprights(f, last, &s.response);
	fputs("</div></figure>\n", f);
}

static void name_bar(FILE *f, const struct report_run *run, double top)
{
	fprintf(f, "<span class=\"name\" style=\"left:.5em;top:%.1f%%\">", top);
	report_text(f, run->label);
	fputs(": worst seen ", f);
	report_duration(f, run->stat.worst_ns);
	if (run->bound_ns) {
		fputs(", promised ", f);
		report_duration(f, run->bound_ns);
	} else {
		fputs(", nothing promised", f);
	}
	fputs("</span>", f);
}

static void draw_bar(
	FILE *f, const struct report_run *run, const struct report_axis *x, double top, double high)
{
	double d = svg_x(x, run->deadline_ns), b = svg_x(x, run->bound_ns);

	fprintf(f, "<rect class=\"bar\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>",
		top + high * .55, svg_x(x, run->stat.worst_ns), high * .25);
	fprintf(f, "<path class=\"deadline\" d=\"M%.1f %.1fv%.1f\"/>", d, top + high * .42,
		high * .5);
	if (run->bound_ns)
		fprintf(f, "<path class=\"promise\" d=\"M%.1f %.1fv%.1f\"/>", b, top + high * .42,
			high * .5);
}

void report_plot_bounds(FILE *f, const struct report_run *runs, size_t n)
{
	struct report_axis x = { 0 };
	double high = SIDE / n;

	for (size_t i = 0; i < n; i++)
		x.high = fmax(x.high, 1.05 * max_limit(&runs[i]));
	fputs("<figure><figcaption>From 0 to the worst response. "
	      "Red line: the deadline. Green, dashed: the promised bound.</figcaption>",
		f);
	open_area(f, 4.5 * n);
	draw_grid(f, &x, NULL);
	for (size_t i = 0; i < n; i++) {
		fprintf(f, "<g class=\"r%zu\">", i);
		draw_bar(f, &runs[i], &x, i * high, high);
		fputs("</g>", f);
	}
	fputs("</svg>", f);
	for (size_t i = 0; i < n; i++)
		name_bar(f, &runs[i], (i * high + high * .18) / SIDE * 100);
	write_x(f, &x, MS, "response, ms");
	fputs("</div></figure>\n", f);
}
