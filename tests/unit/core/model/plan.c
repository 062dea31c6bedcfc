// SPDX-License-Identifier: Apache-2.0
#include "core/model/plan.h"

#include "base/cleanup.h"
#include "test.h"

#define MANY 10

static struct resv_request request(enum thread_rule rule, unsigned cores)
{
	return (struct resv_request){ .threads = rule, .cores = cores };
}

static struct resv_request matching(const char *first, const char *second)
{
	struct resv_request r = request(THREADS_MATCH, 1);

	strcpy(r.patterns[0], first);
	strcpy(r.patterns[1], second);
	r.n_patterns = 2;
	return r;
}

static bool wants(struct resv_request r, struct plan_thread t)
{
	return plan_wants(&r, &t);
}

/* The steps as text: "-1 +0" takes it from thread 1 and gives it to thread 0. */
static const char *plan(struct resv_request r, const struct plan_thread *threads, size_t n)
{
	static char text[8 * MANY];
	struct plan_step steps[MANY];
	size_t n_steps = plan_threads(&r, threads, n, steps), used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < n_steps; i++)
		used += snprintf(text + used, sizeof(text) - used, "%s%c%zu", i ? " " : "",
			steps[i].kind == PLAN_THREAD_ON ? '+' : '-', steps[i].thread);
	return text;
}

#define PLAN(rule, cores, ...)                                              \
	plan(request(rule, cores), (const struct plan_thread[])__VA_ARGS__, \
		ARRAY_SIZE(((const struct plan_thread[])__VA_ARGS__)))

TEST(the_rule_main_is_for_the_leader_of_the_first_process_alone)
{
	CHECK(wants(request(THREADS_MAIN, 1), (struct plan_thread){ .main = true }));
	CHECK(!wants(request(THREADS_MAIN, 1), (struct plan_thread){ .name = "main" }));
}

TEST(the_rule_all_is_for_every_thread)
{
	CHECK(wants(request(THREADS_ALL, 1), (struct plan_thread){ 0 }));
}

TEST(the_rules_attach_and_none_are_for_no_thread)
{
	CHECK(!wants(request(THREADS_ATTACH, 1), (struct plan_thread){ .main = true }));
	CHECK(!wants(request(THREADS_NONE, 1), (struct plan_thread){ .main = true }));
}

TEST(the_rule_match_is_for_names_that_one_of_the_patterns_matches_whole)
{
	struct resv_request r = matching("rt-*", "audio[12]");

	CHECK(wants(r, (struct plan_thread){ .name = "rt-" }));
	CHECK(wants(r, (struct plan_thread){ .name = "rt-0/1.2" }));
	CHECK(wants(r, (struct plan_thread){ .name = "audio2" }));
	CHECK(!wants(r, (struct plan_thread){ .name = "audio3" }));
	CHECK(!wants(r, (struct plan_thread){ .name = "audio12" }));
	CHECK(!wants(r, (struct plan_thread){ .name = "xrt-1" }));
	CHECK(!wants(r, (struct plan_thread){ .name = "RT-1" }));
	CHECK(!wants(r, (struct plan_thread){ .name = "", .main = true }));
}

TEST(only_patterns_that_count_are_looked_at)
{
	struct resv_request r = matching("a", "*");

	r.n_patterns = 1;
	CHECK(!wants(r, (struct plan_thread){ .name = "b" }));
	r.n_patterns = 0;
	CHECK(!wants(r, (struct plan_thread){ .name = "a" }));
}

TEST(by_hand_overrules_the_rule_and_the_wait)
{
	for (enum thread_rule rule = THREADS_NONE; rule < _THREADS_MAX; rule++)
		CHECK(wants(
			request(rule, 1), (struct plan_thread){ .by_hand = true, .waits = true }));
}

TEST(a_thread_that_waits_for_its_program_wants_nothing)
{
	CHECK(!wants(
		request(THREADS_MAIN, 1), (struct plan_thread){ .main = true, .waits = true }));
	CHECK(!wants(request(THREADS_ALL, 1), (struct plan_thread){ .waits = true }));
	CHECK(!wants(matching("*", "*"), (struct plan_thread){ .name = "a", .waits = true }));
}

TEST(without_threads_there_is_nothing_to_do)
{
	CHECK_TEXT(plan(request(THREADS_ALL, 1), NULL, 0), "");
}

TEST(the_first_ones_get_the_servers_there_are)
{
	CHECK_TEXT(PLAN(THREADS_ALL, 2, { { 0 }, { 0 }, { 0 } }), "+0 +1");
	CHECK_TEXT(PLAN(THREADS_ALL, 4, { { 0 }, { 0 }, { 0 } }), "+0 +1 +2");
}

TEST(who_has_one_keeps_it_before_those_that_come_first)
{
	CHECK_TEXT(PLAN(THREADS_ALL, 1, { { 0 }, { .on = true } }), "");
	CHECK_TEXT(PLAN(THREADS_ALL, 2, { { 0 }, { 0 }, { .on = true } }), "+0");
}

TEST(by_hand_takes_it_from_who_has_it_by_the_rule)
{
	CHECK_TEXT(PLAN(THREADS_ALL, 1, { { .on = true }, { .by_hand = true } }), "-0 +1");
	CHECK_TEXT(PLAN(THREADS_ALL, 2, { { .on = true }, { .on = true }, { .by_hand = true } }),
		"-1 +2");
}

TEST(who_wants_it_no_more_gives_it_back_before_another_takes_it)
{
	CHECK_TEXT(PLAN(THREADS_MAIN, 1, { { .main = true }, { .on = true } }), "-1 +0");
	CHECK_TEXT(PLAN(THREADS_ATTACH, 1, { { .main = true, .on = true } }), "-0");
	CHECK_TEXT(PLAN(THREADS_ALL, 1, { { .on = true, .waits = true }, { 0 } }), "-0 +1");
}

TEST(fewer_servers_than_before_leave_the_first_of_those_that_have_one)
{
	CHECK_TEXT(PLAN(THREADS_ALL, 1, { { 0 }, { .on = true }, { .on = true } }), "-2");
	CHECK_TEXT(
		PLAN(THREADS_ALL, 0, { { .on = true }, { .by_hand = true, .on = true } }), "-0 -1");
}

static uint64_t random_next(uint64_t *state)
{
	/* Knuth's MMIX generator; its low bits are weak. */
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 33;
}

static struct plan_thread random_thread(uint64_t *state)
{
	uint64_t bits = random_next(state);

	return (struct plan_thread){
		.name = { 'a' + (bits >> 6) % 3 },
		.main = bits % 64 / 16 == 0,
		.by_hand = bits % 16 / 4 == 0,
		.on = bits & 1,
		.waits = (bits & 6) == 0,
	};
}

/* The rule as it is promised: does i want one, and do too few come before it to take them all? */
static bool should_hold(
	const struct resv_request *r, const struct plan_thread *threads, size_t n, size_t i)
{
	const struct plan_thread *t = &threads[i];
	unsigned before = 0;

	for (size_t k = 0; k < n; k++) {
		const struct plan_thread *o = &threads[k];

		if (!plan_wants(r, o))
			continue;
		if (o->by_hand != t->by_hand)
			before += o->by_hand;
		else if (!t->by_hand && o->on != t->on)
			before += o->on;
		else
			before += k < i;
	}
	return plan_wants(r, t) && before < r->cores;
}

static void check_steps(const struct resv_request *r, struct plan_thread *threads, size_t n)
{
	struct plan_step steps[MANY];
	size_t n_steps = plan_threads(r, threads, n, steps);
	bool wish[MANY], taking = false;

	for (size_t i = 0; i < n; i++)
		wish[i] = should_hold(r, threads, n, i);
	for (size_t i = 0; i < n_steps; i++) {
		bool on = steps[i].kind == PLAN_THREAD_ON;

		CHECK(steps[i].thread < n && (on || steps[i].kind == PLAN_THREAD_OFF));
		CHECK(threads[steps[i].thread].on != on);
		CHECK(on || !taking);
		taking = on;
		threads[steps[i].thread].on = on;
	}
	for (size_t i = 0; i < n; i++)
		CHECK_EQ(threads[i].on, wish[i]);
	CHECK_EQ(plan_threads(r, threads, n, steps), 0);
}

TEST(any_threads_end_as_the_rule_says_and_stay_so)
{
	uint64_t state = 11;

	for (unsigned round = 0; round < 100000; round++) {
		struct resv_request r = matching("a", "[b]");
		struct plan_thread threads[MANY];
		size_t n = random_next(&state) % (MANY + 1);

		r.threads = random_next(&state) % _THREADS_MAX;
		r.cores = random_next(&state) % 6;
		for (size_t i = 0; i < n; i++)
			threads[i] = random_thread(&state);
		check_steps(&r, threads, n);
	}
}
