// SPDX-License-Identifier: Apache-2.0
/* Promises whose claims are over: the test is taktd, the API server and the rest of takt-dra. */
#include "cluster/nodeplugin/reclaim.h"

#include "test.h"

#include <errno.h>

#include "base/cleanup.h"
#include "cluster/nodeplugin/door.h"
#include "cluster/nodeplugin/nodeplugin.h"

#define CALLS_MAX 16
#define A "5f0c8e8e-3a51-4d7e-9b57-0d6f9f3a7c11"
#define B "6f0c8e8e-3a51-4d7e-9b57-0d6f9f3a7c12"
#define FAR_MS 300000 /* until the next reconcile, where nothing asks for one */

static struct plugin plugin;
static struct reclaimed result;
static bool ended;
static char forgotten[256]; /* uids, each with a comma */

/* Questions that wait for their answers, in the order in which they were asked. */
static struct {
	kube_done *done;
	void *data;
} claims[CALLS_MAX];
static struct {
	char method[32], name[RESV_NAME_MAX + 1];
	door_done *done;
	void *data;
} calls[CALLS_MAX];
static size_t n_claims, n_calls;

int kube_get(struct kube_client *c, const struct kube_ref *ref, kube_done *done, void *data,
	struct kube_call **ret, struct err *err)
{
	CHECK(n_claims < CALLS_MAX);
	claims[n_claims].done = done;
	claims[n_claims++].data = data;
	return 0;
}

int door_call(struct door *d, const char *method, json_t *parameters, door_done *done, void *data)
{
	const char *name = json_string_value(json_object_get(parameters, "name"));

	CHECK(n_calls < CALLS_MAX);
	snprintf(calls[n_calls].method, sizeof(calls->method), "%s", method);
	snprintf(calls[n_calls].name, sizeof(calls->name), "%s", name ? name : "");
	calls[n_calls].done = done;
	calls[n_calls++].data = data;
	json_decref(parameters);
	return 0;
}

bool prepare_is_at(const struct plugin *p, const char *uid)
{
	return false;
}

bool unprepare_is_at(const struct plugin *p, const char *uid)
{
	return false;
}

void runtime_forget(struct plugin *p, const char *uid)
{
	size_t used = strlen(forgotten);

	snprintf(forgotten + used, sizeof(forgotten) - used, "%s,", uid);
}

void plugin_log(const char *format, ...)
{
}

static void on_done(void *data, const struct reclaimed *r)
{
	ended = true;
	result = *r;
}

static json_t *resv(const char *name, const char *state)
{
	return json_pack("{s:s, s:s, s:{s:s, s:s}}", "name", name, "state", state, "labels",
		"namespace", "robots", "claim", "arm");
}

static void on_far(uv_timer_t *timer)
{
}

/* taktd has these three, and their claims are gone. */
static void begin(const char *second_state)
{
	cleanup_json json_t *list = json_pack("{s:[o, o, o]}", "reservations",
		resv("arm." A, "held"), resv("arm." A ".1", second_state), resv("arm." B, "held"));
	struct kube_answer gone = { .code = -ENOENT };

	plugin = (struct plugin){ .node = "node1" };
	n_claims = n_calls = 0;
	forgotten[0] = '\0';
	ended = false;
	uv_loop_init(&plugin.loop);
	uv_timer_init(&plugin.loop, &plugin.reconcile_timer);
	uv_timer_start(&plugin.reconcile_timer, on_far, FAR_MS, 0);
	CHECK_EQ(reclaim_start(&plugin, 0, on_done, NULL), 0);
	CHECK_EQ(n_calls, 1);
	CHECK_TEXT(calls[0].method, "rt.takt.List");
	calls[0].done(calls[0].data, 0, list, NULL);
	CHECK_EQ(n_claims, 3);
	for (size_t i = 0; i < n_claims; i++)
		claims[i].done(claims[i].data, &gone);
}

static void end(void)
{
	CHECK(ended);
	/* What is dying is looked at again soon; else nothing changes. */
	CHECK_EQ(uv_timer_get_due_in(&plugin.reconcile_timer) < FAR_MS / 2, result.dying > 0);
	uv_close((uv_handle_t *)&plugin.reconcile_timer, NULL);
	uv_run(&plugin.loop, UV_RUN_DEFAULT);
	CHECK_EQ(uv_loop_close(&plugin.loop), 0);
}

static void answer_release(size_t at, const char *name, int code)
{
	CHECK(at < n_calls);
	CHECK_TEXT(calls[at].method, "rt.takt.Release");
	CHECK_TEXT(calls[at].name, name);
	calls[at].done(calls[at].data, code, NULL, "no");
}

TEST(a_claim_is_forgotten_when_the_last_of_its_promises_has_ended)
{
	begin("held");
	answer_release(1, "arm." A, 0);
	CHECK_TEXT(forgotten, "");
	answer_release(2, "arm." A ".1", -ESRCH);
	CHECK_TEXT(forgotten, A ",");
	answer_release(3, "arm." B, 0);
	CHECK_TEXT(forgotten, A "," B ",");
	CHECK_EQ(result.released, 3);
	end();
}

TEST(a_claim_of_which_a_container_holds_one_promise_is_not_forgotten)
{
	begin("active");
	answer_release(1, "arm." A, 0);
	answer_release(2, "arm." B, -EBUSY);
	CHECK_TEXT(forgotten, "");
	CHECK_EQ(result.released, 1);
	CHECK_EQ(result.dying, 2);
	end();
}

TEST(a_claim_that_is_prepared_meanwhile_is_not_forgotten)
{
	begin("held");
	reclaim_spare(&plugin, A);
	answer_release(1, "arm." A, 0);
	answer_release(2, "arm." A ".1", 0);
	answer_release(3, "arm." B, 0);
	CHECK_TEXT(forgotten, B ",");
	end();
}
