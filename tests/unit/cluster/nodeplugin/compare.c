// SPDX-License-Identifier: Apache-2.0
/* When taktd is told of containers: the test is taktd, the runtime and the clock. */
#include "cluster/nodeplugin/runtime_private.h"

#include "test.h"

#include <errno.h>

#include "base/cleanup.h"
#include "cluster/nodeplugin/door.h"

#define NAME "arm.u1"

static struct plugin plugin;
static struct runtime runtime;
static uint64_t now_ms;

/* The clock is libuv's only timer here. */
static uv_timer_cb timer_cb;
static uint64_t timer_ms;

int uv_timer_start(uv_timer_t *timer, uv_timer_cb cb, uint64_t ms, uint64_t repeat)
{
	timer_cb = cb;
	timer_ms = now_ms + ms;
	return 0;
}

int uv_is_active(const uv_handle_t *handle)
{
	return timer_cb != NULL;
}

uint64_t uv_timer_get_due_in(const uv_timer_t *timer)
{
	return timer_ms - now_ms;
}

uint64_t uv_now(const uv_loop_t *loop)
{
	return now_ms;
}

/* The calls of taktd. */
static struct {
	unsigned lists, binds;
	json_t *bind; /* the last one's parameters */
	door_done *done; /* of the one that is under way */
	void *data;
} calls;

int door_call(struct door *d, const char *method, json_t *parameters, door_done *done, void *data)
{
	CHECK(!calls.done);
	calls.done = done;
	calls.data = data;
	if (strcmp(method, "rt.takt.List") == 0) {
		calls.lists++;
		json_decref(parameters);
	} else {
		CHECK_TEXT(method, "rt.takt.Bind");
		calls.binds++;
		json_decref(calls.bind);
		calls.bind = parameters;
	}
	return 0;
}

struct seen **containers_find(struct runtime *r, const char *id)
{
	return &r->seen;
}

void runtime_again(struct runtime *r)
{
}

void plugin_log(const char *format, ...)
{
}

static void answer(int code, const json_t *reply)
{
	door_done *done = TAKE(calls.done);

	CHECK(done);
	done(calls.data, code, reply, code < 0 ? "no" : NULL);
}

/* One reservation, that nobody holds. */
static void answer_list(void)
{
	cleanup_json json_t *reply = json_pack("{s:[{s:s, s:s, s:[]}]}", "reservations", "name",
		NAME, "state", "held", "containers");

	answer(0, reply);
}

/* The clock goes on until the timer. */
static void next(void)
{
	uv_timer_cb cb = TAKE(timer_cb);

	CHECK(cb);
	now_ms = timer_ms;
	cb(&runtime.compare);
}

static struct seen_name name = { .name = NAME };
static struct seen container = {
	.title = "robots/arm/main", .pid = 42, .running = true, .names = &name, .n_names = 1
};

static void begin(void)
{
	runtime = (struct runtime){ .plugin = &plugin };
	name = (struct seen_name){ .name = NAME };
	now_ms = 1000;
	timer_cb = NULL;
	calls.lists = calls.binds = 0;
}

static void end(void)
{
	json_decref(TAKE(calls.bind));
}

TEST(the_later_comparison_comes_although_a_container_starts_before_it)
{
	begin();
	compare_later(&runtime);
	compare_in(&runtime, 0);
	next();
	answer_list();
	CHECK_EQ(timer_ms, 4000);
	compare_in(&runtime, COMPARE_SOON_MS);
	next();
	CHECK_EQ(now_ms, 1020);
	answer_list();
	next();
	CHECK_EQ(now_ms, 4000);
	answer_list();
	CHECK(!timer_cb);
	CHECK_EQ(calls.lists, 3);
	end();
}

TEST(without_taktds_list_another_comparison_comes_later)
{
	begin();
	compare_in(&runtime, 0);
	for (uint64_t at_ms = 1000; at_ms < 20000; at_ms += 3000) {
		next();
		CHECK_EQ(now_ms, at_ms);
		answer(-ECONNREFUSED, NULL);
	}
	end();
}

TEST(what_is_asked_for_during_a_comparison_comes_soon_after_it)
{
	begin();
	compare_in(&runtime, 0);
	next();
	compare_in(&runtime, 0);
	CHECK(!timer_cb);
	answer_list();
	next();
	CHECK_EQ(now_ms, 1000 + COMPARE_SOON_MS);
	answer_list();
	CHECK(!timer_cb);
	end();
}

TEST(a_container_that_taktd_does_not_know_is_told_once)
{
	begin();
	runtime.seen = &container;
	compare_in(&runtime, 0);
	next();
	answer_list();
	CHECK_EQ(calls.binds, 1);
	CHECK_EQ(json_integer_value(json_object_get(calls.bind, "pid")), 42);
	CHECK_TEXT(json_string_value(json_object_get(calls.bind, "name")), NAME);
	answer(0, NULL);
	compare_in(&runtime, 0);
	next();
	answer_list();
	CHECK_EQ(calls.binds, 1);
	CHECK(!timer_cb);
	end();
}

static void fail_bind(int code)
{
	next();
	answer_list();
	answer(code, NULL);
}

TEST(a_bind_that_got_lost_is_made_again_and_not_in_a_hurry)
{
	begin();
	runtime.seen = &container;
	compare_in(&runtime, 0);
	fail_bind(-ECONNRESET);
	CHECK_EQ(calls.binds, 1);
	/* Another container starts: that comparison leaves this one alone. */
	compare_in(&runtime, COMPARE_SOON_MS);
	next();
	answer_list();
	CHECK_EQ(calls.binds, 1);
	CHECK(!calls.done);
	next();
	CHECK_EQ(now_ms, 4000);
	answer_list();
	CHECK_EQ(calls.binds, 2);
	answer(0, NULL);
	CHECK(!timer_cb);
	end();
}

TEST(a_bind_that_is_refused_for_good_is_made_once)
{
	begin();
	runtime.seen = &container;
	compare_in(&runtime, 0);
	fail_bind(-EOPNOTSUPP);
	CHECK(!timer_cb);
	end();
}

TEST(a_bind_that_always_fails_is_given_up)
{
	begin();
	runtime.seen = &container;
	compare_in(&runtime, 0);
	for (unsigned i = 0; i < 10; i++)
		fail_bind(-EBUSY);
	CHECK_EQ(calls.binds, 10);
	CHECK(!timer_cb);
	end();
}

TEST(a_container_that_has_ended_meanwhile_is_not_told_again)
{
	begin();
	runtime.seen = &container;
	compare_in(&runtime, 0);
	next();
	answer_list();
	runtime.seen = NULL;
	answer(-ECONNRESET, NULL);
	CHECK(!timer_cb);
	end();
}
