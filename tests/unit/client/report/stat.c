// SPDX-License-Identifier: Apache-2.0
#include "client/cli/report_stat.h"

#include "base/cleanup.h"
#include "test.h"

/* A run of these responses, 10 ms apart; freed by report_run_fini(). */
static struct report_run make_run(const nsec_t *responses, size_t n, nsec_t deadline_ns)
{
	struct report_run run = { .label = "run", .deadline_ns = deadline_ns };
	struct err err = ERR_NULL;

	run.log.jobs = calloc(n, sizeof(*run.log.jobs));
	CHECK(run.log.jobs != NULL);
	run.log.n = n;
	for (size_t i = 0; i < n; i++)
		run.log.jobs[i] = (struct report_job){ i * 10 * NSEC_PER_MSEC, responses[i] };
	CHECK_EQ(report_run_measure(&run, &err), 0);
	return run;
}

TEST(a_percentile_is_the_nearest_rank)
{
	/* Worked out by hand: ranks ceil(p * n / 100) of 1..n. */
	static const nsec_t five[] = { 15, 20, 35, 40, 50 };
	static const nsec_t one[] = { 7 };
	nsec_t hundred[100];

	CHECK_EQ(report_percentile(five, 5, 5), 15);
	CHECK_EQ(report_percentile(five, 5, 30), 20);
	CHECK_EQ(report_percentile(five, 5, 40), 20);
	CHECK_EQ(report_percentile(five, 5, 50), 35);
	CHECK_EQ(report_percentile(five, 5, 100), 50);
	CHECK_EQ(report_percentile(one, 1, 50), 7);
	CHECK_EQ(report_percentile(one, 1, 0), 7);
	for (size_t i = 0; i < 100; i++)
		hundred[i] = i + 1;
	CHECK_EQ(report_percentile(hundred, 100, 50), 50);
	CHECK_EQ(report_percentile(hundred, 100, 99), 99);
}

TEST(statistics_of_a_real_run_are_those_worked_out_by_hand)
{
	/* Microseconds, from a log of rt-app; sorted: 1422 1515 2190 2275 2350 4159 5097 8139 18488 22319. */
	static const nsec_t responses[] = { 2275, 8139, 18488, 22319, 2190, 5097, 2350, 4159, 1515,
		1422 };
	__attribute__((cleanup(report_run_fini))) struct report_run run =
		make_run(responses, ARRAY_SIZE(responses), 10000);

	CHECK_EQ(run.stat.jobs, 10);
	CHECK_EQ(run.stat.p50_ns, 2350);
	CHECK_EQ(run.stat.p99_ns, 22319);
	CHECK_EQ(run.stat.worst_ns, 22319);
	CHECK_EQ(run.stat.misses, 2);
}

TEST(a_job_that_ends_at_its_deadline_met_it)
{
	static const nsec_t responses[] = { 10, 9, 11, 10 };
	__attribute__((cleanup(report_run_fini))) struct report_run run =
		make_run(responses, ARRAY_SIZE(responses), 10);

	CHECK_EQ(run.stat.misses, 1);
	CHECK_EQ(report_count_above(run.sorted, 4, 8), 4);
	CHECK_EQ(report_count_above(run.sorted, 4, 9), 3);
	CHECK_EQ(report_count_above(run.sorted, 4, 11), 0);
}

TEST(few_jobs_are_all_drawn)
{
	static const nsec_t responses[] = { 3, 1, 2 };
	__attribute__((cleanup(report_run_fini))) struct report_run run =
		make_run(responses, ARRAY_SIZE(responses), 10);
	size_t picked[REPORT_POINTS_MAX];

	CHECK_EQ(report_pick(&run.log, picked), 3);
	for (size_t i = 0; i < 3; i++)
		CHECK_EQ(picked[i], i);
}

/* A fixed sequence without a pattern (Knuth's MMIX generator). */
static nsec_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 40;
}

TEST(of_many_jobs_the_worst_and_the_best_of_every_slice_are_drawn)
{
	static nsec_t responses[123456];
	size_t picked[REPORT_POINTS_MAX], n;
	uint64_t state = 1;

	for (size_t i = 0; i < ARRAY_SIZE(responses); i++)
		responses[i] = 1000 + next_random(&state) % 1000;
	responses[77777] = 50000;
	responses[ARRAY_SIZE(responses) - 1] = 1;
	__attribute__((cleanup(report_run_fini))) struct report_run run =
		make_run(responses, ARRAY_SIZE(responses), 10000);
	bool worst = false, best = false;

	n = report_pick(&run.log, picked);
	CHECK(n <= REPORT_POINTS_MAX && n > REPORT_POINTS_MAX / 2);
	for (size_t i = 0; i < n; i++) {
		CHECK(i == 0 || picked[i] > picked[i - 1]);
		worst |= picked[i] == 77777;
		best |= picked[i] == ARRAY_SIZE(responses) - 1;
	}
	CHECK(worst && best);
}
