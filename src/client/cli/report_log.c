// SPDX-License-Identifier: Apache-2.0
/*
 * How a response time is told from a row of rt-app 1.0 (facts: doc/tutorial.txt, "Log files", and
 * src/rt-app.c, rtapp_timer): at the end of its work a job adds c_period to the release it had,
 * which gives the next release t, and writes slack = t - now; all in microseconds. So
 *
 *	response = now - release = now - (t - c_period) = c_period - slack
 *
 * `run` is not it (it begins when the thread got a CPU, not at its release), and `period` is not
 * (it ends after the next wake-up). If slack is above 0 the job sleeps until t and writes end =
 * the moment it woke, wu_lat = end - t. Otherwise it goes on at once, and end is just after now.
 * Either way t is known, and with it the release of each job.
 *
 * After an overrun a timer in mode "relative", which is the default, starts again from now: the
 * releases in between never happen. They are not jobs, so they are no misses either; `lost` counts
 * them. In mode "absolute" the timer keeps its grid and the formula counts from there.
 *
 * When its duration is over, rt-app stops before the timer of the job at work. That last row has
 * c_period 0; which release it belongs to depends on the mode, so it is left out.
 *
 * Checked against strace(1) of the same run: the argument of clock_nanosleep(2) equals end -
 * wu_lat within 3 us, and the time of that call less the release equals c_period - slack within
 * what strace itself costs (28 us at the median). It holds for one timer a phase, without
 * cumulative_slack.
 */
#include "client/cli/report_log.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"

enum column {
	COL_IDX,
	COL_PERF,
	COL_RUN,
	COL_PERIOD,
	COL_START,
	COL_END,
	COL_REL_ST,
	COL_SLACK,
	COL_C_DURATION,
	COL_C_PERIOD,
	COL_WU_LAT,
	_COL_MAX,
};

static const char *const column_names[_COL_MAX] = {
	[COL_IDX] = "#idx",
	[COL_PERF] = "perf",
	[COL_RUN] = "run",
	[COL_PERIOD] = "period",
	[COL_START] = "start",
	[COL_END] = "end",
	[COL_REL_ST] = "rel_st",
	[COL_SLACK] = "slack",
	[COL_C_DURATION] = "c_duration",
	[COL_C_PERIOD] = "c_period",
	[COL_WU_LAT] = "wu_lat",
};

/* Beyond 31 years of microseconds no column can be right, and no sum here overflows. */
#define COLUMN_MAX 1000000000000000ll

struct parser {
	FILE *file;
	struct report_log log;
	size_t room;
	unsigned line;
	bool header;
	bool cut; /* the row above is the one that the end of rt-app cut short */
	int64_t first_us; /* release of the first job */
	int64_t last_us; /* of the last one */
};

void report_log_fini(struct report_log *log)
{
	if (!log)
		return;
	free(log->jobs);
	*log = REPORT_LOG_NULL;
}

static int bad(const struct parser *p, struct err *err, const char *what)
{
	return err_set(err, -EBADMSG, "line %u: %s", p->line, what);
}

/* The next word of *text, which moves past it; its length, 0 at the end. */
static size_t next_word(const char **text, const char **ret_word)
{
	const char *at = *text + strspn(*text, " ");
	size_t len = strcspn(at, " ");

	*ret_word = at;
	*text = at + len;
	return len;
}

static int parse_number(const char *word, size_t len, int64_t *ret)
{
	bool minus = *word == '-';
	int64_t value = 0;

	if (len == (size_t)minus)
		return -EBADMSG;
	for (size_t i = minus; i < len; i++) {
		if (!isdigit((unsigned char)word[i]))
			return -EBADMSG;
		value = value * 10 + (word[i] - '0');
		if (value > COLUMN_MAX)
			return -EBADMSG;
	}
	*ret = minus ? -value : value;
	return 0;
}

static int parse_header(struct parser *p, const char *text, struct err *err)
{
	const char *word;

	for (int i = 0; i < _COL_MAX; i++) {
		size_t len = next_word(&text, &word);

		if (len != strlen(column_names[i]) || memcmp(word, column_names[i], len))
			return bad(p, err, "not the columns that rt-app 1.0 writes");
	}
	if (next_word(&text, &word))
		return bad(p, err, "more columns than rt-app 1.0 writes");
	p->header = true;
	return 0;
}

static int parse_row(struct parser *p, const char *text, int64_t row[_COL_MAX], struct err *err)
{
	const char *word;

	for (int i = 0; i < _COL_MAX; i++) {
		size_t len = next_word(&text, &word);

		if (!len)
			return err_set(err, -EBADMSG, "line %u: %d numbers where %d belong",
				p->line, i, _COL_MAX);
		if (parse_number(word, len, &row[i]) < 0)
			return err_set(err, -EBADMSG, "line %u: %s is not a number: %.*s", p->line,
				column_names[i], (int)len, word);
		if (row[i] < 0 && i != COL_SLACK)
			return err_set(
				err, -EBADMSG, "line %u: %s is below 0", p->line, column_names[i]);
	}
	if (next_word(&text, &word))
		return bad(p, err, "more numbers than columns");
	return 0;
}

static int add_job(struct parser *p, struct report_job job, struct err *err)
{
	struct report_log *log = &p->log;

	if (log->n == REPORT_JOBS_MAX)
		return err_set(err, -E2BIG, "line %u: more than %d jobs", p->line, REPORT_JOBS_MAX);
	if (log->n == p->room) {
		size_t room = p->room ? p->room * 2 : 1024;
		struct report_job *jobs = realloc(log->jobs, room * sizeof(*jobs));

		if (!jobs)
			return err_set(err, -ENOMEM, "out of memory");
		log->jobs = jobs;
		p->room = room;
	}
	log->jobs[log->n++] = job;
	return 0;
}

static int take_cut(struct parser *p, const int64_t row[_COL_MAX], struct err *err)
{
	if (!p->log.n || row[COL_SLACK] || row[COL_WU_LAT])
		return bad(p, err,
			"c_period is 0: the thread has no timer, so its jobs have no release");
	p->cut = true;
	return 0;
}

static int take_row(struct parser *p, const int64_t row[_COL_MAX], struct err *err)
{
	int64_t slack = row[COL_SLACK], period = row[COL_C_PERIOD];
	bool slept = slack > 0 || row[COL_WU_LAT] > 0;
	int64_t next = slept ? row[COL_END] - row[COL_WU_LAT] : row[COL_END] + slack;
	int64_t release = next - period;

	if (p->cut)
		return bad(
			p, err, "c_period was 0 in the line above, which only the last may have");
	if (period == 0)
		return take_cut(p, row, err);
	if (slack >= period)
		return bad(p, err, "slack is not below c_period");
	if (row[COL_END] < row[COL_START])
		return bad(p, err, "it ends before it starts");
	if (!p->log.n) {
		p->first_us = release;
		p->log.period_ns = period * NSEC_PER_USEC;
	} else if (release < p->last_us) {
		return bad(p, err, "it is released before the job above it");
	}
	if (p->log.period_ns != period * NSEC_PER_USEC)
		p->log.period_ns = 0;
	p->last_us = release;
	return add_job(p,
		(struct report_job){
			.at_ns = (release - p->first_us) * NSEC_PER_USEC,
			.response_ns = (period - slack) * NSEC_PER_USEC,
		},
		err);
}

static int parse_line(struct parser *p, char *text, size_t len, struct err *err)
{
	int64_t row[_COL_MAX];
	int r;

	if (memchr(text, '\0', len) || !len || text[len - 1] != '\n')
		return bad(p, err, "the line does not end, or is too long");
	text[len - 1] = '\0';
	if (!strncmp(text, "# ", 2))
		return 0;
	if (text[0] == '#')
		return parse_header(p, text, err);
	if (!p->header)
		return bad(p, err, "no line of column names above it: not a log of rt-app");
	r = parse_row(p, text, row, err);
	return r < 0 ? r : take_row(p, row, err);
}

/* Releases that the grid of the period has between the first and the last job, less the jobs. */
static size_t count_lost(const struct parser *p)
{
	uint64_t period_us = p->log.period_ns / NSEC_PER_USEC, due;

	if (!period_us)
		return 0;
	due = (p->last_us - p->first_us + period_us / 2) / period_us + 1;
	return due > p->log.n ? due - p->log.n : 0;
}

static int parse_lines(struct parser *p, struct err *err)
{
	char text[REPORT_LINE_MAX];
	int r;

	while (memset(text, 1, sizeof(text)), fgets(text, sizeof(text), p->file)) {
		/* A line may hold a NUL; the last one in `text` is that of fgets(3). */
		char *end = memrchr(text, '\0', sizeof(text));

		p->line++;
		r = parse_line(p, text, end - text, err);
		if (r < 0)
			return r;
	}
	if (ferror(p->file))
		return err_set_errno(err, -EIO, "read after line %u", p->line);
	if (!p->log.n)
		return err_set(err, -EBADMSG, "line %u: the log ends without a job", p->line);
	return 0;
}

int report_log_parse(FILE *f, struct report_log *ret, struct err *err)
{
	struct parser p = { .file = f };
	int r = parse_lines(&p, err);

	if (r < 0) {
		report_log_fini(&p.log);
		return r;
	}
	p.log.lost = count_lost(&p);
	*ret = p.log;
	return 0;
}

int report_log_read(const char *path, struct report_log *ret, struct err *err)
{
	cleanup_file FILE *f = fopen(path, "re");
	int r;

	if (!f)
		return err_set_errno(err, -errno, "open %s", path);
	r = report_log_parse(f, ret, err);
	return r < 0 ? err_wrap(err, r, "%s", path) : 0;
}
