// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "client/cli/report_html.h"
#include "client/cli/report_page.h"

/* "": the agent did not say it. Everything here belongs to `object`. */
static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static json_int_t number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void write_fact(FILE *f, const char *name, const char *value)
{
	fprintf(f, "<dt>%s</dt><dd>", name);
	report_text(f, value);
	fputs("</dd>", f);
}

static void write_cpus(FILE *f, json_int_t ppm)
{
	fprintf(f, "%.3g", (double)ppm / PPM_ONE_CPU);
}

static void write_node(FILE *f, const json_t *node)
{
	json_int_t foreign = number_of(node, "foreignPpm");
	size_t i;
	json_t *place;

	fputs("<dt>Ceiling</dt><dd>", f);
	report_percent(f, (double)number_of(node, "ceilingPpmPerCpu") / PPM_ONE_CPU);
	fputs(" of each CPU, found by trying</dd><dt>Throttle granularity</dt><dd>", f);
	report_duration(f, number_of(node, "granularityNs"));
	fputs("</dd><dt>Promised</dt><dd>", f);
	write_cpus(f, number_of(node, "promisedPpm"));
	fprintf(f, " of %" JSON_INTEGER_FORMAT " CPUs", number_of(node, "cpus"));
	if (foreign) {
		fputs(", and ", f);
		write_cpus(f, foreign);
		fputs(" taken by deadline threads that are not Takt's", f);
	}
	fputs("</dd><dt>Placements</dt><dd>", f);
	json_array_foreach (json_object_get(node, "placements"), i, place) {
		fputs(i ? ", " : "", f);
		report_text(f, json_is_string(place) ? json_string_value(place) : "");
	}
	fputs("</dd>", f);
}

static const char *class_of(const char *status)
{
	if (!strcmp(status, "ok"))
		return "good";
	return strcmp(status, "no") ? "warn" : "bad";
}

static void write_checks(FILE *f, const json_t *checks)
{
	size_t i;
	json_t *check;

	fputs("<div class=\"wide\"><table><tr><th>Check</th><th></th><th>Found</th></tr>", f);
	json_array_foreach (checks, i, check) {
		const char *status = text_of(check, "status");

		fputs("<tr><td>", f);
		report_text(f, text_of(check, "name"));
		fprintf(f, "</td><td class=\"%s\">", class_of(status));
		report_text(f, status);
		fputs("</td><td>", f);
		report_text(f, text_of(check, "detail"));
		if (*text_of(check, "mend")) {
			fputs("<br><span class=\"soft\">", f);
			report_text(f, text_of(check, "mend"));
			fputs("</span>", f);
		}
		fputs("</td></tr>", f);
	}
	fputs("</table></div>\n", f);
}

void report_page_write_machine(FILE *f, const struct report *r)
{
	const struct report_facts *facts = &r->facts;
	const json_t *checks = json_object_get(r->node, "checks");

	fputs("<h2>The machine</h2><dl>", f);
	write_fact(f, "Kernel", facts->kernel);
	write_fact(f, "CPU", facts->cpu_model[0] ? facts->cpu_model : "model not told");
	fprintf(f, "<dt>CPUs</dt><dd>%u%s</dd>", facts->cpus,
		facts->is_virtual ? ", in a virtual machine: the hypervisor may take them away"
				  : "");
	if (r->node)
		write_node(f, r->node);
	fputs("</dl>\n", f);
	if (json_array_size(checks))
		write_checks(f, checks);
}

static void write_threads(FILE *f, const json_t *threads)
{
	size_t i;
	json_t *thread;

	json_array_foreach (threads, i, thread) {
		fputs(i ? ", " : "", f);
		report_text(f, text_of(thread, "name"));
		fprintf(f, " (%" JSON_INTEGER_FORMAT ")", number_of(thread, "tid"));
	}
	if (!json_array_size(threads))
		fputs("none", f);
}

static void write_reservation(FILE *f, const json_t *v)
{
	fputs("<tr><td>", f);
	report_text(f, text_of(v, "name"));
	fputs("</td><td>", f);
	report_text(f, text_of(v, "state"));
	fputs("</td><td>", f);
	report_duration(f, number_of(v, "runtimeNs"));
	fputs(" every ", f);
	report_duration(f, number_of(v, "periodNs"));
	if (number_of(v, "cores") > 1)
		fprintf(f, ", %" JSON_INTEGER_FORMAT " times", number_of(v, "cores"));
	fputs("</td><td>", f);
	report_text(f, text_of(v, "guarantee"));
	fputs("</td><td class=\"n\">", f);
	if (json_object_get(v, "boundNs"))
		report_duration(f, number_of(v, "boundNs"));
	else
		fputs("none", f);
	fputs("</td><td>", f);
	write_threads(f, json_object_get(v, "threads"));
	fputs("</td></tr>", f);
	if (*text_of(v, "reason") || *text_of(v, "trouble")) {
		fputs("<tr><td colspan=\"6\" class=\"soft\">", f);
		report_text(f, text_of(v, "reason"));
		fputs(" <b class=\"bad\">", f);
		report_text(f, text_of(v, "trouble"));
		fputs("</b></td></tr>", f);
	}
}

static void write_change(FILE *f, const json_t *change)
{
	json_int_t at_ms = number_of(change, "atMs");
	time_t seconds = at_ms / 1000;
	const char *what = text_of(change, "what");
	bool bad = !strcmp(what, "trouble") || !strcmp(what, "refused");
	struct tm tm;
	char text[sizeof("2026-01-01 00:00:00")] = "?";

	if (gmtime_r(&seconds, &tm))
		strftime(text, sizeof(text), "%F %T", &tm);
	fprintf(f, "<li class=\"%s\"><time>%s.%03d</time><b>", bad ? "bad" : "good", text,
		(int)(at_ms % 1000));
	report_text(f, what);
	fputs("</b> ", f);
	report_text(f, text_of(change, "name"));
	fputs("<p>", f);
	report_text(f, text_of(change, "why"));
	fputs("</p></li>", f);
}

static void write_changes(FILE *f, const json_t *changes, const json_t *reservations)
{
	size_t n = json_array_size(changes), from = 0;

	fputs("<h2>History</h2><p class=\"soft\">Times are UTC.", f);
	if (n > REPORT_CHANGES_MAX) {
		from = n - REPORT_CHANGES_MAX;
		fprintf(f, " The latest %d of %zu changes.", REPORT_CHANGES_MAX, n);
	}
	if (json_array_size(reservations) > REPORT_HISTORIES_MAX)
		fprintf(f, " Of the first %d reservations.", REPORT_HISTORIES_MAX);
	fputs("</p><ol class=\"log\">", f);
	for (size_t i = from; i < n; i++)
		write_change(f, json_array_get(changes, i));
	fputs("</ol>\n", f);
}

void report_page_write_promises(FILE *f, const struct report *r)
{
	size_t i;
	json_t *reservation;

	fputs("<h2>Reservations</h2>\n", f);
	if (json_array_size(r->reservations)) {
		fputs("<div class=\"wide\"><table><tr><th>Name</th><th>State</th><th>CPU time</th>"
		      "<th>Guarantee</th><th class=\"n\">Bound</th><th>Threads</th></tr>",
			f);
		json_array_foreach (r->reservations, i, reservation)
			write_reservation(f, reservation);
		fputs("</table></div>\n", f);
	} else {
		fputs("<p class=\"soft\">None.</p>\n", f);
	}
	if (json_array_size(r->changes))
		write_changes(f, r->changes, r->reservations);
}
