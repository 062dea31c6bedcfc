// SPDX-License-Identifier: Apache-2.0
#include "core/admit/admit.h"

#include "test.h"

#define MS NSEC_PER_MSEC

static const char *sentence(const struct admit_machine *m, const struct admit_task *held,
	const struct admit_task *asked)
{
	static char text[512];
	cleanup_admit_set struct admit_set *s = NULL;
	struct admit_verdict v;
	uint32_t id;

	CHECK(admit_set_create(&s, m, NULL) == 0);
	if (held)
		CHECK(admit_hold(s, held, &id, NULL) == 0);
	v = admit_evaluate(s, asked);
	admit_explain(&v, asked, m, text, sizeof(text));
	return text;
}

static struct admit_task task(nsec_t q, nsec_t d, nsec_t p, enum guarantee g)
{
	return (struct admit_task){ { q, d, p }, 1, g };
}

TEST(a_refusal_says_what_was_asked_what_is_free_and_what_would_fit)
{
	struct admit_machine m = { 2, bw_from_ppm(950000), 0 };
	struct admit_task held = task(10500000, 10500000, 10500000, GUARANTEE_SOFT);
	struct admit_task asked = task(9999 * MS / 1000, 10 * MS, 10 * MS, GUARANTEE_SOFT);

	CHECK_TEXT(sentence(&m, &held, &asked),
		"10 ms every 10 ms asked, 0.89 CPU of 1.89 free; 8.99 ms would fit");
}

TEST(a_yes_names_its_proof_and_bound)
{
	struct admit_machine m = { 2, { BW_ONE_CPU }, 0 };
	struct admit_task asked = task(4 * MS, 20 * MS, 20 * MS, GUARANTEE_HARD);

	CHECK_TEXT(sentence(&m, NULL, &asked),
		"proven by GFB (global EDF, density): a full budget is had by 20 ms");
	m.n_cpus = 1;
	CHECK_TEXT(sentence(&m, NULL, &asked),
		"proven by utilisation (EDF on one CPU, exact): a full budget is had by 20 ms");
}

TEST(a_deadline_no_test_proves_is_said)
{
	struct admit_machine m = { 1, { BW_ONE_CPU }, 0 };
	struct admit_task held = task(5 * MS, 8 * MS, 20 * MS, GUARANTEE_HARD);
	struct admit_task asked = task(5 * MS, 8 * MS, 20 * MS, GUARANTEE_HARD);

	CHECK_TEXT(sentence(&m, &held, &asked),
		"5 ms within 8 ms every 20 ms asked, 0.75 CPU of 1.00 free, but the demand of all "
		"(QPA) breaks its deadline; 3 ms would fit");
}

TEST(a_refusal_by_the_granularity_says_how_to_mend_it)
{
	struct admit_machine m = { 1, { BW_ONE_CPU }, 4 * MS };
	struct admit_task held = task(5 * MS, 10 * MS, 10 * MS, GUARANTEE_HARD);
	struct admit_task asked = task(3 * MS, 10 * MS, 10 * MS, GUARANTEE_HARD);

	CHECK_TEXT(sentence(&m, &held, &asked),
		"3 ms every 10 ms asked, 0.50 CPU of 1.00 free, but the demand of all (QPA) breaks "
		"its deadline; 1 ms would fit; it would fit with a throttle granularity of 0 "
		"(now 4 ms: enable HRTICK_DL)");
}

TEST(a_printed_bound_is_not_less_than_the_bound)
{
	struct admit_machine m = { 1, { BW_ONE_CPU }, 0 };
	struct admit_task asked = task(MS, 10000001, 10000001, GUARANTEE_HARD);

	CHECK(strstr(sentence(&m, NULL, &asked), "had by 10.1 ms"));
}

TEST(a_short_buffer_gets_a_short_sentence)
{
	struct admit_verdict v = { .why = ADMIT_REFUSAL_PARAMS };
	struct admit_task t = { 0 };
	struct admit_machine m = { 1, { BW_ONE_CPU }, 0 };
	char text[8] = "1234567";

	admit_explain(&v, &t, &m, text, 0);
	CHECK_TEXT(text, "1234567");
	admit_explain(&v, &t, &m, text, 5);
	CHECK_EQ(strlen(text), 4);
	CHECK_EQ(text[5], '6');
}

TEST(every_test_and_refusal_has_a_name)
{
	for (enum admit_test t = ADMIT_TEST_UTILISATION; t < _ADMIT_TEST_MAX; t++)
		CHECK(admit_test_name(t) && strcmp(admit_test_name(t), "none"));
	for (enum admit_refusal r = ADMIT_REFUSAL_PARAMS; r < _ADMIT_REFUSAL_MAX; r++)
		CHECK(admit_refusal_name(r) && strcmp(admit_refusal_name(r), "none"));
	CHECK_TEXT(admit_test_name(ADMIT_TEST_GFB), "gfb");
	CHECK_TEXT(admit_test_name(_ADMIT_TEST_MAX), "none");
	CHECK_TEXT(admit_refusal_name(_ADMIT_REFUSAL_MAX), "none");
}
