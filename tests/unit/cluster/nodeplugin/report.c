// SPDX-License-Identifier: Apache-2.0
/* What is told of claims, and when it is tried again: the test is the API server and taktd. */
#include "cluster/nodeplugin/report.h"

#include "test.h"

#include <errno.h>

#include "base/cleanup.h"
#include "cluster/nodeplugin/door.h"
#include "cluster/nodeplugin/nodeplugin.h"

#define CALLS_MAX 64

static struct plugin plugin;

/* Applies, in their order. */
static struct call {
	char claim[64];
	uint64_t at_ms;
	kube_done *done;
	void *data;
} calls[CALLS_MAX];
static size_t n_calls;

int kube_apply(struct kube_client *c, const struct kube_ref *ref, const json_t *object,
	const char *field_manager, bool force, kube_done *done, void *data, struct kube_call **ret,
	struct err *err)
{
	struct call *call = &calls[n_calls++];

	CHECK(n_calls < CALLS_MAX);
	*call = (struct call){ .at_ms = uv_now(&plugin.loop), .done = done, .data = data };
	snprintf(call->claim, sizeof(call->claim), "%s", ref->name);
	return 0;
}

int kube_get(struct kube_client *c, const struct kube_ref *ref, kube_done *done, void *data,
	struct kube_call **ret, struct err *err)
{
	return -ENOMEM;
}

int kube_create(struct kube_client *c, const struct kube_ref *ref, const json_t *object,
	kube_done *done, void *data, struct kube_call **ret, struct err *err)
{
	return 0;
}

int door_call(struct door *d, const char *method, json_t *parameters, door_done *done, void *data)
{
	json_decref(parameters);
	return -ENOMEM;
}

void plugin_log(const char *format, ...)
{
}

static void begin(void)
{
	plugin = (struct plugin){ .node = "node1" };
	n_calls = 0;
	uv_loop_init(&plugin.loop);
	uv_timer_init(&plugin.loop, &plugin.report_timer);
}

static void end(void)
{
	report_stop(&plugin);
	uv_close((uv_handle_t *)&plugin.report_timer, NULL);
	uv_run(&plugin.loop, UV_RUN_DEFAULT);
	CHECK_EQ(uv_loop_close(&plugin.loop), 0);
}

static void refuse(const char *name)
{
	cleanup_json json_t *claim =
		json_pack("{s:{s:s, s:s, s:s}, s:{s:{s:{s:[{s:s, s:s, s:s, s:s}]}}}}", "metadata",
			"namespace", "n", "name", name, "uid", name, "status", "allocation",
			"devices", "results", "driver", CLAIM_DRIVER, "request", "rt", "pool",
			"node1", "device", CLAIM_DEVICE_SHARED);

	report_refused(&plugin, claim, NULL, -ENOSPC, "there is no room");
}

/* Runs until that many calls were made. */
static void wait_for(size_t n)
{
	while (n_calls < n) {
		CHECK(uv_loop_alive(&plugin.loop));
		uv_run(&plugin.loop, UV_RUN_ONCE);
	}
	CHECK_EQ(n_calls, n);
}

static void answer(size_t at, int code, unsigned retry_after_s)
{
	struct kube_answer a = { .code = code, .status.retry_after_s = retry_after_s };

	calls[at].done(calls[at].data, &a);
}

TEST(what_fails_waits_its_time_whatever_else_is_told_meanwhile)
{
	begin();
	refuse("a");
	wait_for(1);
	answer(0, -EBUSY, 2);
	refuse("b");
	wait_for(2);
	CHECK_TEXT(calls[1].claim, "b");
	answer(1, 0, 0);
	refuse("c");
	wait_for(3);
	CHECK_TEXT(calls[2].claim, "c");
	answer(2, 0, 0);
	wait_for(4);
	CHECK_TEXT(calls[3].claim, "a");
	CHECK(calls[3].at_ms - calls[0].at_ms >= 2000);
	answer(3, 0, 0);
	CHECK_EQ(plugin.n_reports, 0);
	end();
}

TEST(without_a_word_of_the_server_the_wait_grows)
{
	begin();
	refuse("a");
	for (size_t i = 0; i < 3; i++) {
		wait_for(i + 1);
		answer(i, -EIO, 0);
	}
	wait_for(4);
	/* The half of 200, 400 and 800 ms is for certain. */
	for (size_t i = 1; i < 4; i++)
		CHECK(calls[i].at_ms - calls[i - 1].at_ms >= (100 << (i - 1)));
	end();
}

TEST(four_are_told_at_a_time_and_the_next_when_one_has_its_answer)
{
	static const char *const names[] = { "a", "b", "c", "d", "e", "f" };

	begin();
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		refuse(names[i]);
	wait_for(4);
	CHECK_EQ(plugin.n_reports_running, 4);
	CHECK(!uv_is_active((uv_handle_t *)&plugin.report_timer));
	/* A failure makes room as well. */
	answer(0, -EIO, 9);
	wait_for(5);
	CHECK_TEXT(calls[4].claim, "e");
	answer(1, 0, 0);
	wait_for(6);
	CHECK_TEXT(calls[5].claim, "f");
	end();
}

TEST(a_newer_word_waits_for_the_one_that_is_under_way_and_ends_it_if_that_fails)
{
	begin();
	refuse("a");
	wait_for(1);
	refuse("a");
	refuse("a");
	CHECK_EQ(plugin.n_reports, 2);
	CHECK(!uv_is_active((uv_handle_t *)&plugin.report_timer));
	answer(0, -EIO, 60);
	CHECK_EQ(plugin.n_reports, 1);
	wait_for(2);
	CHECK_TEXT(calls[1].claim, "a");
	end();
}

TEST(what_will_not_change_is_not_tried_again)
{
	begin();
	refuse("a");
	wait_for(1);
	answer(0, -EPERM, 0);
	CHECK_EQ(plugin.n_reports, 0);
	CHECK(!uv_is_active((uv_handle_t *)&plugin.report_timer));
	end();
}
