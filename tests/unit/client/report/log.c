// SPDX-License-Identifier: Apache-2.0
#include "client/cli/report_log.h"

#include <errno.h>

#include "base/cleanup.h"
#include "test.h"

#define HEADER                                                                                  \
	"# Policy : SCHED_OTHER priority : 0\n"                                                 \
	"#idx     perf      run   period           start             end          rel_st      " \
	"slack c_duration   c_period     wu_lat\n"

/* Written by rt-app 1.0: 2 ms every 10 ms on an overloaded machine, timer in mode relative. */
static const char relative_log[] = HEADER
	"   0   125000     2246    15900      2308664184      2308680083            4634       "
	"7725       2000      10000       5923\n"
	"   0   125000     2194    20356      2308680103      2308700459           20554       "
	"1861       2000      10000      16299\n"
	"   0   125000     2172     2175      2308700472      2308702647           40923      "
	"-8488       2000      10000          0\n"
	"   0   125000    22309    22312      2308702655      2308724968           43106     "
	"-12319       2000      10000          0\n"
	"   0   125000     2177    12846      2308724980      2308737825           65430       "
	"7810       2000      10000       2856\n"
	"   0   125000     2228     7175      2308737835      2308745010           78286       "
	"4903       2000      10000         41\n";

/* The same with mode absolute: the releases stay on the grid of 10 ms. */
static const char absolute_log[] = HEADER
	"   0   125000     2197    10112      2442556150      2442566262            4914       "
	"7772       2000      10000        137\n"
	"   0   125000    14226    14229      2442566277      2442580507           15041      "
	"-4382       2000      10000          0\n"
	"   0   125000     2207    11531      2442580519      2442592050           29283       "
	"3397       2000      10000       5925\n"
	"   0   125000     2158    11985      2442592063      2442604047           40827       "
	"1902       2000      10000       7922\n"
	"   0   125000     2237     2240      2442604061      2442606300           52825       "
	"-176       2000      10000          0\n"
	"   0   125000    14271    14274      2442606303      2442620578           55067      "
	"-4453       2000      10000          0\n";

static int parse(const char *text, size_t len, struct report_log *ret, struct err *err)
{
	cleanup_file FILE *f = fmemopen((void *)text, len, "r");

	CHECK(f != NULL);
	return report_log_parse(f, ret, err);
}

/* -EBADMSG, and the sentence begins like this. */
static void check_refused(const char *text, const char *sentence)
{
	struct report_log log = REPORT_LOG_NULL;
	struct err err = ERR_NULL;

	CHECK_EQ(parse(text, strlen(text), &log, &err), -EBADMSG);
	CHECK_TEXT(err.text, sentence);
	CHECK(log.jobs == NULL);
}

TEST(response_is_from_release_to_end_of_work)
{
	static const nsec_t us[] = { 2275, 8139, 18488, 22319, 2190, 5097 };
	cleanup_report_log struct report_log log = REPORT_LOG_NULL;
	struct err err = ERR_NULL;

	CHECK_EQ(parse(relative_log, strlen(relative_log), &log, &err), 0);
	CHECK_EQ(log.n, ARRAY_SIZE(us));
	CHECK_EQ(log.period_ns, 10 * NSEC_PER_MSEC);
	for (size_t i = 0; i < log.n; i++)
		CHECK_EQ(log.jobs[i].response_ns, us[i] * NSEC_PER_USEC);
}

TEST(after_an_overrun_the_relative_timer_starts_again_from_the_end_of_the_job)
{
	static const nsec_t us[] = { 0, 10000, 19999, 38489, 60809, 70809 };
	cleanup_report_log struct report_log log = REPORT_LOG_NULL;
	struct err err = ERR_NULL;

	CHECK_EQ(parse(relative_log, strlen(relative_log), &log, &err), 0);
	for (size_t i = 0; i < log.n; i++)
		CHECK_EQ(log.jobs[i].at_ns, us[i] * NSEC_PER_USEC);
}

TEST(periods_without_a_release_are_counted_as_lost)
{
	cleanup_report_log struct report_log log = REPORT_LOG_NULL;
	struct err err = ERR_NULL;

	/* 70.8 ms from the first release to the last: 7 periods, so 8 jobs were due. */
	CHECK_EQ(parse(relative_log, strlen(relative_log), &log, &err), 0);
	CHECK_EQ(log.lost, 2);
}

TEST(an_absolute_timer_keeps_its_grid_and_loses_nothing)
{
	cleanup_report_log struct report_log log = REPORT_LOG_NULL;
	struct err err = ERR_NULL;

	CHECK_EQ(parse(absolute_log, strlen(absolute_log), &log, &err), 0);
	for (size_t i = 0; i < log.n; i++) {
		nsec_t grid = i * 10 * NSEC_PER_MSEC, slip = 3 * NSEC_PER_USEC;

		CHECK(log.jobs[i].at_ns + slip >= grid && log.jobs[i].at_ns <= grid + slip);
	}
	CHECK_EQ(log.jobs[1].response_ns, 14382 * NSEC_PER_USEC);
	CHECK_EQ(log.lost, 0);
}

TEST(the_job_that_the_end_of_rt_app_cut_short_is_left_out)
{
	static const char text[] = HEADER
		"   0   500000     7981     9994      2893500570      2893510564          983140       "
		"1921       8000      10000         91\n"
		"   0   500000     8252     8253      2893510565      2893518818          993136          "
		"0       8000          0          0\n";
	cleanup_report_log struct report_log log = REPORT_LOG_NULL;
	struct err err = ERR_NULL;

	CHECK_EQ(parse(text, strlen(text), &log, &err), 0);
	CHECK_EQ(log.n, 1);
	CHECK_EQ(log.jobs[0].response_ns, 8079 * NSEC_PER_USEC);
}

TEST(a_timer_that_changes_leaves_no_single_period)
{
	static const char text[] =
		HEADER "0 1 1 1 100 200 0 7 2 10 0\n0 1 1 1 200 300 0 7 2 20 0\n";
	cleanup_report_log struct report_log log = REPORT_LOG_NULL;
	struct err err = ERR_NULL;

	CHECK_EQ(parse(text, strlen(text), &log, &err), 0);
	CHECK_EQ(log.period_ns, 0);
	CHECK_EQ(log.lost, 0);
}

TEST(what_rt_app_would_not_write_is_refused_with_its_line)
{
	static const char names[] =
		"#idx perf run period start end rel_st slack c_duration c_period wu_lat\n";
	char text[512];

	check_refused("0 1 1 1 1 2 0 7 2 10 0\n",
		"line 1: no line of column names above it: not a log of rt-app");
	check_refused("#idx perf run period start end rel_st slack c_duration c_period\n",
		"line 1: not the columns that rt-app 1.0 writes");
	check_refused("#idx perf run period start end rel_st slack c_duration c_period wu_lat x\n",
		"line 1: more columns than rt-app 1.0 writes");
	check_refused(names, "line 1: the log ends without a job");
#define ROW(row, sentence)                                        \
	do {                                                      \
		snprintf(text, sizeof(text), "%s%s", names, row); \
		check_refused(text, sentence);                    \
	} while (0)
	ROW("0 1 1 1 1 2 0 7 2 10\n", "line 2: 10 numbers where 11 belong");
	ROW("\n", "line 2: 0 numbers where 11 belong");
	ROW("0 1 1 1 1 2 0 7 2 10 0 0\n", "line 2: more numbers than columns");
	ROW("0 1 1 1 1 2 0 x 2 10 0\n", "line 2: slack is not a number: x");
	ROW("0 1 1 1 1 2 0 - 2 10 0\n", "line 2: slack is not a number: -");
	ROW("0 1 1 1 1 2 0 7 2 10 -1\n", "line 2: wu_lat is below 0");
	ROW("0 1 1 1 1 1000000000000001 0 7 2 10 0\n",
		"line 2: end is not a number: 1000000000000001");
	ROW("0 1 1 1 1 2 0 7 2 0 0\n",
		"line 2: c_period is 0: the thread has no timer, so its jobs have no release");
	ROW("0 1 1 1 1 20 0 7 2 10 0\n0 1 1 1 20 30 0 1 2 0 0\n",
		"line 3: c_period is 0: the thread has no timer, so its jobs have no release");
	ROW("0 1 1 1 1 20 0 7 2 10 0\n0 1 1 1 20 30 0 0 2 0 0\n0 1 1 1 30 40 0 7 2 10 0\n",
		"line 4: c_period was 0 in the line above, which only the last may have");
	ROW("0 1 1 1 1 2 0 10 2 10 0\n", "line 2: slack is not below c_period");
	ROW("0 1 1 1 3 2 0 7 2 10 0\n", "line 2: it ends before it starts");
	ROW("0 1 1 1 90 100 0 7 2 10 0\n0 1 1 1 90 99 0 7 2 10 0\n",
		"line 3: it is released before the job above it");
	ROW("0 1 1 1 1 2 0 7 2 10 0", "line 2: the line does not end, or is too long");
#undef ROW
}

TEST(an_empty_file_is_no_log)
{
	cleanup_file FILE *f = fopen("/dev/null", "re");
	struct report_log log = REPORT_LOG_NULL;
	struct err err = ERR_NULL;

	CHECK_EQ(report_log_parse(f, &log, &err), -EBADMSG);
	CHECK_TEXT(err.text, "line 0: the log ends without a job");
}

TEST(a_nul_or_an_endless_line_is_refused)
{
	static const char nul[] = HEADER "0 1 1 1 1 2 0 7\0 2 10 0\n";
	char endless[4096];
	struct report_log log = REPORT_LOG_NULL;
	struct err err = ERR_NULL;

	CHECK_EQ(parse(nul, sizeof(nul) - 1, &log, &err), -EBADMSG);
	CHECK_TEXT(err.text, "line 3: the line does not end, or is too long");
	memset(endless, '#', sizeof(endless));
	CHECK_EQ(parse(endless, sizeof(endless), &log, &err), -EBADMSG);
	CHECK_TEXT(err.text, "line 1: the line does not end, or is too long");
}

/* An rt-app that never stops. */
static ssize_t read_endless(void *cookie, char *buf, size_t size)
{
	static const char row[] = "0 1 1 1 9 9 9 7 2 10 0\n";
	bool *begun = cookie;
	const char *text = *begun ? row : HEADER;
	size_t len = strlen(text), n = 0;

	*begun = true;
	while (n + len <= size) {
		memcpy(buf + n, text, len);
		n += len;
		text = row;
		len = strlen(row);
	}
	return n;
}

TEST(a_million_jobs_are_enough)
{
	bool begun = false;
	cleanup_file FILE *f =
		fopencookie(&begun, "r", (cookie_io_functions_t){ .read = read_endless });
	struct report_log log = REPORT_LOG_NULL;
	struct err err = ERR_NULL;

	CHECK_EQ(report_log_parse(f, &log, &err), -E2BIG);
	CHECK_TEXT(err.text, "line 1000003: more than 1000000 jobs");
}

TEST(a_log_that_is_not_there_is_named)
{
	struct report_log log = REPORT_LOG_NULL;
	struct err err = ERR_NULL;

	CHECK_EQ(report_log_read("/nowhere/a.log", &log, &err), -ENOENT);
	CHECK(strstr(err.text, "/nowhere/a.log"));
}
