// SPDX-License-Identifier: Apache-2.0
/*
 * How long an admission takes among many held reservations, for every test that can decide it.
 * To beat: 100 us among 1,000 and 1 ms among 10,000, whatever the answer.
 */
#include "core/admit/admit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 101
#define MS NSEC_PER_MSEC

struct scene {
	const char *name;
	unsigned n_cpus;
	nsec_t granularity_ns;
	unsigned percent_used; /* of all CPUs, by what is held */
	unsigned percent_soft; /* of what is held */
	unsigned percent_deadline; /* D of what is held, of P */
	struct admit_task asked;
};

static const struct scene scenes[] = {
	{ "hard, light load", 128, 0, 20, 0, 100, { { MS, 10 * MS, 10 * MS }, 1, GUARANTEE_HARD } },
	{ "hard, heavy ask", 128, 0, 20, 0, 100,
		{ { 8 * MS, 10 * MS, 10 * MS }, 1, GUARANTEE_HARD } },
	{ "hard, tight ask", 128, 0, 60, 0, 80,
		{ { 30 * MS, 31 * MS, 90 * MS }, 1, GUARANTEE_HARD } },
	{ "hard, g 4 ms", 128, 4 * MS, 60, 0, 90,
		{ { 8 * MS, 10 * MS, 10 * MS }, 1, GUARANTEE_HARD } },
	{ "hard beside soft", 16, 0, 50, 50, 90,
		{ { 9 * MS, 10 * MS, 10 * MS }, 1, GUARANTEE_HARD } },
	{ "soft beside hard", 16, 0, 40, 50, 100, { { MS, 10 * MS, 10 * MS }, 1, GUARANTEE_SOFT } },
	{ "soft only", 128, 4 * MS, 80, 100, 100, { { MS, 10 * MS, 10 * MS }, 1, GUARANTEE_SOFT } },
	{ "soft, no room", 2, 0, 94, 100, 100,
		{ { 9 * MS, 10 * MS, 10 * MS }, 2, GUARANTEE_SOFT } },
	{ "one CPU, D = P", 1, 0, 60, 0, 100, { { MS, 10 * MS, 10 * MS }, 1, GUARANTEE_HARD } },
	{ "one CPU, D < P", 1, 0, 60, 0, 40, { { MS, 10 * MS, 10 * MS }, 1, GUARANTEE_HARD } },
	{ "one CPU, tight", 1, 0, 80, 0, 40, { { MS, 2 * MS, 10 * MS }, 1, GUARANTEE_HARD } },
	{ "one CPU, g 1 us", 1, 1000, 80, 0, 60, { { MS, 10 * MS, 10 * MS }, 1, GUARANTEE_HARD } },
};

static nsec_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (nsec_t)t.tv_sec * NSEC_PER_SEC + (nsec_t)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	nsec_t x = *(const nsec_t *)a, y = *(const nsec_t *)b;

	return x < y ? -1 : x > y;
}

/* Periods from 50 ms to 1 s; every reservation the same share. */
static int fill(struct admit_set *s, const struct scene *scene, unsigned n)
{
	uint64_t random = 1;

	for (unsigned i = 0; i < n; i++) {
		struct admit_task t = { .cores = 1, .guarantee = GUARANTEE_HARD };
		uint32_t id;

		random = random * 6364136223846793005 + 1442695040888963407;
		t.dl.period_ns = (50 + (random >> 33) % 950) * MS + (random >> 20) % 1000;
		t.dl.runtime_ns = t.dl.period_ns * scene->n_cpus * scene->percent_used / 100 / n;
		if (t.dl.runtime_ns > t.dl.period_ns / 3)
			t.dl.runtime_ns = t.dl.period_ns / 3;
		t.dl.deadline_ns = t.dl.period_ns * scene->percent_deadline / 100;
		if ((random >> 40) % 100 < scene->percent_soft)
			t.guarantee = GUARANTEE_SOFT;
		if (admit_hold(s, &t, &id, NULL) < 0)
			return -1;
	}
	return 0;
}

static int measure(const struct scene *scene, unsigned n)
{
	cleanup_admit_set struct admit_set *s = NULL;
	struct admit_machine m = { scene->n_cpus, bw_from_ppm(950000), scene->granularity_ns };
	nsec_t took[ROUNDS];
	struct admit_verdict v = { 0 };

	if (admit_set_create(&s, &m, NULL) < 0 || fill(s, scene, n) < 0)
		return -1;
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct admit_task t = scene->asked;
		nsec_t start;

		t.dl.runtime_ns += i;
		start = now();
		v = admit_evaluate(s, &t);
		took[i] = now() - start;
	}
	qsort(took, ROUNDS, sizeof(*took), compare);
	printf("%-18s %5u %7u  %-3s %-12s %-10s %9.1f %9.1f\n", scene->name, scene->n_cpus, n,
		v.yes ? "yes" : "no", admit_test_name(v.test),
		v.yes ? "" : admit_refusal_name(v.why), (double)took[ROUNDS / 2] / 1000,
		(double)took[ROUNDS - 1] / 1000);
	return 0;
}

int main(void)
{
	static const unsigned held[] = { 100, 1000, 10000 };

	printf("%-18s %5s %7s  %-3s %-12s %-10s %9s %9s\n", "admission", "CPUs", "held", "", "test",
		"why not", "median us", "worst us");
	for (size_t i = 0; i < ARRAY_SIZE(scenes); i++)
		for (size_t k = 0; k < ARRAY_SIZE(held); k++)
			if (measure(&scenes[i], held[k]) < 0)
				return EXIT_FAILURE;
	return EXIT_SUCCESS;
}
