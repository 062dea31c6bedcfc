// SPDX-License-Identifier: Apache-2.0
#include "client/cli/report_page.h"

#include "base/cleanup.h"
#include "client/cli/report_html.h"
#include "test.h"

#define N_JOBS 5000

/* Every job took 1.5 ms, but one, in the middle: 34.125 ms. */
static struct report_run make_run(const char *label)
{
	struct report_run run = { .label = label, .deadline_ns = 10 * NSEC_PER_MSEC };
	struct err err = ERR_NULL;

	run.log.jobs = calloc(N_JOBS, sizeof(*run.log.jobs));
	CHECK(run.log.jobs != NULL);
	run.log.n = N_JOBS;
	for (size_t i = 0; i < N_JOBS; i++)
		run.log.jobs[i] = (struct report_job){ i * 10 * NSEC_PER_MSEC, 1500000 };
	run.log.jobs[N_JOBS / 2].response_ns = 34125000;
	CHECK_EQ(report_run_measure(&run, &err), 0);
	return run;
}

static char *make_page(const struct report *r)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	CHECK(f != NULL);
	report_page_write(f, r);
	CHECK_EQ(fclose(f), 0);
	return text;
}

static size_t count(const char *text, const char *what)
{
	size_t n = 0;

	while ((text = strstr(text, what))) {
		text += strlen(what);
		n++;
	}
	return n;
}

#define cleanup_run __attribute__((cleanup(report_run_fini)))

TEST(text_from_outside_cannot_become_markup)
{
	cleanup_free char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	report_text(f, "<script a=\"b\" c='d'>&\x1b\n");
	fclose(f);
	CHECK_TEXT(text, "&lt;script a=&quot;b&quot; c=&#39;d&#39;&gt;&amp;?\n");
}

TEST(the_page_shows_every_run_and_needs_nothing_from_elsewhere)
{
	struct report_run runs[2] = { make_run("without"), make_run("<b>with</b>") };
	struct report r = { .title = "T<i>", .made = "now", .runs = runs, .n_runs = 2 };
	cleanup_free char *page = make_page(&r);

	CHECK_EQ(count(page, "34.1 ms"), 2 * 4); /* card, table, time, bar */
	CHECK_EQ(count(page, "<svg"), 4); /* two over time, distribution, bounds */
	CHECK_EQ(count(page, "<svg"), count(page, "</svg>"));
	CHECK_EQ(count(page, "<div"), count(page, "</div>"));
	CHECK_EQ(count(page, "<span"), count(page, "</span>"));
	CHECK_EQ(count(page, "<b>with</b>"), 0);
	CHECK_EQ(count(page, "<i>"), 0);
	CHECK_EQ(count(page, "http"), 0);
	CHECK_EQ(count(page, "url("), 0);
	CHECK_EQ(count(page, "<script"), 0);
	report_run_fini(&runs[0]);
	report_run_fini(&runs[1]);
}

TEST(a_page_of_many_jobs_stays_small)
{
	cleanup_run struct report_run run = make_run("run");
	struct report r = { .title = "T", .made = "now", .runs = &run, .n_runs = 1 };
	cleanup_free char *page = make_page(&r);

	CHECK(strlen(page) < 80 * 1024);
	CHECK_EQ(count(page, "class=\"late\" d=\"M"), 1);
}

TEST(a_bound_that_was_passed_is_said)
{
	cleanup_run struct report_run run = make_run("run");
	struct report r = { .title = "T", .made = "now", .runs = &run, .n_runs = 1 };
	cleanup_free char *kept = NULL, *passed = NULL;

	run.bound_ns = 40 * NSEC_PER_MSEC;
	kept = make_page(&r);
	CHECK_EQ(count(kept, "The bound was passed"), 0);
	run.bound_ns = 12 * NSEC_PER_MSEC;
	run.steal_ns = 30 * NSEC_PER_MSEC;
	run.has_steal = true;
	passed = make_page(&r);
	CHECK_EQ(count(passed, "The bound was passed"), 1);
	CHECK_EQ(count(passed, ": 1 jobs took longer than promised"), 1);
	CHECK_EQ(count(passed, "The hypervisor took 30 ms"), 1);
}

TEST(the_document_has_the_shape_that_others_rely_on)
{
	cleanup_run struct report_run run = make_run("with");
	struct report r = { .title = "T", .made = "now", .runs = &run, .n_runs = 1 };
	cleanup_json json_t *all = NULL;
	cleanup_free char *text = NULL;

	run.bound_ns = 12345678;
	all = report_page_encode(&r);
	CHECK(all != NULL);
	text = json_dumps(all, JSON_COMPACT);
	CHECK_TEXT(text,
		"{\"runs\":[{\"name\":\"with\",\"jobs\":5000,\"p50Ns\":1500000,"
		"\"p99Ns\":1500000,\"worstNs\":34125000,\"misses\":1,\"deadlineNs\":10000000,"
		"\"boundNs\":12345678,\"lostReleases\":0,\"stealNs\":null}]}");
}

TEST(what_the_agent_says_is_on_the_page)
{
	cleanup_json json_t *node = json_pack(
		"{s:i, s:i, s:i, s:i, s:i, s:[s], s:[{s:s, s:s, s:s, s:s}]}", "cpus", 2,
		"ceilingPpmPerCpu", 900000, "granularityNs", 4000000, "promisedPpm", 250000,
		"foreignPpm", 100000, "placements", "shared", "checks", "name", "granularity",
		"status", "limited", "detail", "4 ms <tick>", "mend", "HRTICK_DL");
	cleanup_json json_t *reservations =
		json_pack("[{s:s, s:s, s:i, s:i, s:i, s:s, s:i, s:s, s:[{s:i, s:s}]}]", "name",
			"camera", "state", "active", "runtimeNs", 2500000, "periodNs", 10000000,
			"cores", 1, "guarantee", "hard", "boundNs", 9500000, "reason", "it <fits>",
			"threads", "tid", 42, "name", "cam<0>");
	cleanup_json json_t *changes = json_pack("[{s:I, s:s, s:s, s:s}]", "atMs",
		(json_int_t)1795417214625, "name", "camera", "what", "reserved", "why", "it fits");
	struct report r = { .title = "T",
		.made = "now",
		.node = node,
		.reservations = reservations,
		.changes = changes };
	cleanup_free char *page = make_page(&r);

	CHECK_EQ(count(page, "90 % of each CPU"), 1);
	CHECK_EQ(count(page, "<dd>4 ms</dd>"), 1);
	CHECK_EQ(count(page, "0.25 of 2 CPUs, and 0.1 taken"), 1);
	CHECK_EQ(count(page, "4 ms &lt;tick&gt;"), 1);
	CHECK_EQ(count(page, "2.5 ms every 10 ms"), 1);
	CHECK_EQ(count(page, "cam&lt;0&gt; (42)"), 1);
	CHECK_EQ(count(page, "9.5 ms"), 1);
	CHECK_EQ(count(page, "2026-11-23 07:00:14.625"), 1);
}

TEST(an_agent_that_answers_nonsense_does_no_harm)
{
	cleanup_json json_t *node = json_pack(
		"{s:[i], s:i, s:s}", "placements", 1, "checks", 7, "granularityNs", "soon");
	cleanup_json json_t *reservations = json_pack("[i, {s:i}, {}]", 3, "threads", 4);
	cleanup_json json_t *changes = json_pack("[{s:I}, n]", "atMs", (json_int_t)INT64_MIN);
	struct report r = { .title = "T",
		.made = "now",
		.node = node,
		.reservations = reservations,
		.changes = changes };
	cleanup_free char *page = make_page(&r);

	CHECK_EQ(count(page, "</html>"), 1);
}
