// SPDX-License-Identifier: Apache-2.0
#include "cluster/wire/nri/plugin.h"

#include <errno.h>

#include "session.h"

TEST(a_name_or_index_that_runtimes_refuse_is_refused_here)
{
	static const struct nri_handlers none = { 0 };
	struct nri_identity good = { "takt", "10" };
	struct nri_plugin *p = NULL;

	CHECK_EQ(nri_plugin_create(&(struct nri_identity){ "", "10" }, &handlers, NULL, &p, NULL),
		-EINVAL);
	CHECK_EQ(
		nri_plugin_create(&(struct nri_identity){ "a b", "10" }, &handlers, NULL, &p, NULL),
		-EINVAL);
	CHECK_EQ(nri_plugin_create(&(struct nri_identity){ "a", "1" }, &handlers, NULL, &p, NULL),
		-EINVAL);
	CHECK_EQ(nri_plugin_create(&(struct nri_identity){ "a", "1x" }, &handlers, NULL, &p, NULL),
		-EINVAL);
	CHECK_EQ(nri_plugin_create(&good, &none, NULL, &p, NULL), -EINVAL);
	CHECK(p == NULL);
	nri_plugin_destroy(NULL);
}

TEST(a_connection_begins_with_the_registration)
{
	cleanup_session struct session s = SESSION_NULL;

	session_begin(&s);
	{
		cleanup_sent struct sent m = take(s.plugin);
		struct bytes request = text_bytes(&m.payload), payload = get_bytes(request, 3);

		CHECK(m.connection == RUNTIME && m.stream == 1 && m.type == REQUEST);
		CHECK(is(get_bytes(request, 1), "nri.pkg.api.v1alpha1.Runtime"));
		CHECK(is(get_bytes(request, 2), "RegisterPlugin"));
		CHECK(is(get_bytes(payload, 1), "takt"));
		CHECK(is(get_bytes(payload, 2), "10"));
		CHECK(get_bytes(payload, 3).len > 0);
	}
	CHECK_EQ(nri_plugin_output(s.plugin).len, 0);
	CHECK_EQ(nri_plugin_state(s.plugin), NRI_REGISTERING);
}

static uint64_t events_for(const char *nri_version)
{
	cleanup_session struct session s = SESSION_NULL;
	cleanup_sent struct sent m = { 0 };
	struct bytes reply;

	session_registered(&s);
	put_call(&s.in, 1, "Configure", configure(nri_version));
	CHECK_EQ(session_feed(&s), 0);
	m = take(s.plugin);
	CHECK_EQ(status_of(&m), 0);
	reply = get_bytes(text_bytes(&m.payload), 2);
	CHECK_EQ(get_number(get_bytes(reply, 3), 1), 1);
	CHECK_EQ(get_number(get_bytes(reply, 3), 2), 0);
	return get_number(reply, 2);
}

TEST(a_runtime_is_asked_for_the_events_that_it_knows)
{
	CHECK_EQ(events_for("v0.12.5"), 0xfff);
	CHECK_EQ(events_for(""), 0x7ff);
}

TEST(only_what_has_a_handler_is_asked_for)
{
	static const struct nri_handlers few = {
		.create_container = on_create,
		.pod_removed = on_pod_removed,
	};
	cleanup_session struct session s = SESSION_NULL;
	cleanup_sent struct sent m = { 0 };

	session_begin_with(&s, &few);
	session_forget_output(&s);
	put_call(&s.in, 1, "Configure", configure("v0.12.5"));
	CHECK_EQ(session_feed(&s), 0);
	m = take(s.plugin);
	CHECK_EQ(get_number(get_bytes(text_bytes(&m.payload), 2), 2), 1 << 2 | 1 << 3);
	session_ready_from(&s, 3);
	put_call(&s.in, 7, "StopContainer", pod_and_container("c0"));
	CHECK_EQ(session_feed(&s), 0);
	CHECK_EQ(session_status(&s, 7), 0);
}

TEST(configure_may_come_before_the_answer_to_the_registration)
{
	cleanup_session struct session s = SESSION_NULL;

	session_begin(&s);
	session_forget_output(&s);
	put_call(&s.in, 1, "Configure", configure("v0.12.5"));
	put_call(&s.in, 3, "Synchronize", synchronize("pod0", "c0", false));
	put_answer(&s.in, 1, (struct text){ 0 });
	CHECK_EQ(session_feed(&s), 0);
	CHECK_EQ(nri_plugin_state(s.plugin), NRI_READY);
	CHECK_TEXT(s.heard, "configured containerd v2.3.7 v0.12.5 some: config 2000\n"
			    "pod pod0 web-0 uid-0 default /kubepods/pod0\n"
			    "container c0\n"
			    "synchronized\n");
}

TEST(a_refused_registration_ends_the_connection_with_its_sentence)
{
	cleanup_session struct session s = SESSION_NULL;

	session_begin(&s);
	put_error(&s.in, 1, 2, "invalid plugin name");
	CHECK_EQ(session_feed(&s), -EREMOTEIO);
	CHECK_TEXT(s.err.text, "register the NRI plugin 10-takt: the runtime says UNKNOWN: "
			       "\"invalid plugin name\"");
	put_call(&s.in, 1, "Configure", configure("v0.12.5"));
	CHECK_EQ(session_feed(&s), -EREMOTEIO);
	CHECK_TEXT(s.heard, "");
}

TEST(what_is_there_comes_in_pieces_and_then_it_is_said_to_be_all)
{
	cleanup_session struct session s = SESSION_NULL;

	session_configured(&s);
	put_call(&s.in, 3, "Synchronize", synchronize("pod0", NULL, true));
	CHECK_EQ(session_feed(&s), 0);
	CHECK_EQ(nri_plugin_state(s.plugin), NRI_SYNCHRONIZING);
	{
		cleanup_sent struct sent m = take(s.plugin);

		CHECK_EQ(get_number(get_bytes(text_bytes(&m.payload), 2), 2), 1);
	}
	put_call(&s.in, 5, "Synchronize", synchronize(NULL, "c0", true));
	put_call(&s.in, 7, "Synchronize", synchronize(NULL, "c1", false));
	CHECK_EQ(session_feed(&s), 0);
	CHECK_TEXT(s.heard, "pod pod0 web-0 uid-0 default /kubepods/pod0\n"
			    "container c0\n"
			    "container c1\n"
			    "synchronized\n");
	CHECK_EQ(session_status(&s, 5), 0);
	{
		cleanup_sent struct sent m = take(s.plugin);

		CHECK(m.stream == 7 && status_of(&m) == 0);
		CHECK_EQ(get_number(get_bytes(text_bytes(&m.payload), 2), 2), 0);
	}
}

TEST(what_comes_out_of_order_is_refused)
{
	cleanup_session struct session s = SESSION_NULL;

	session_registered(&s);
	put_call(&s.in, 1, "Synchronize", synchronize("pod0", "c0", false));
	put_call(&s.in, 3, "CreateContainer", pod_and_container("c0"));
	put_call(&s.in, 5, "Configure", configure("v0.12.5"));
	put_call(&s.in, 7, "CreateContainer", pod_and_container("c0"));
	CHECK_EQ(session_feed(&s), 0);
	CHECK_EQ(session_status(&s, 1), 9);
	CHECK_EQ(session_status(&s, 3), 9);
	CHECK_EQ(session_status(&s, 5), 0);
	CHECK_EQ(session_status(&s, 7), 9);
	CHECK_TEXT(s.heard, "configured containerd v2.3.7 v0.12.5 some: config 2000\n");
}

static void check_container(const struct nri_container *c)
{
	CHECK_TEXT(c->pod_id, "pod0");
	CHECK_TEXT(c->name, "app");
	CHECK_EQ(c->state, NRI_CONTAINER_RUNNING);
	CHECK_EQ(c->n_env, 2);
	CHECK_TEXT(c->env[1], "B=2");
	CHECK_EQ(c->n_cdi_devices, 1);
	CHECK_TEXT(c->cdi_devices[0], "rt.takt.dev/reservation=x");
	CHECK_TEXT(c->cgroups_path, "/kubepods/pod0/c0");
	CHECK_TEXT(c->cpus, "0-1");
	CHECK_EQ(c->pid, 42);
	CHECK_EQ(c->scheduler.policy, NRI_SCHED_DEADLINE);
	CHECK(c->scheduler.reset_on_fork);
	CHECK_EQ(c->scheduler.runtime_ns, 2000000);
	CHECK_EQ(c->scheduler.deadline_ns, 9000000);
	CHECK_EQ(c->scheduler.period_ns, 10000000);
}

TEST(a_container_is_told_whole_and_fields_of_tomorrow_are_passed_over)
{
	cleanup_session struct session s = SESSION_NULL;

	session_ready(&s);
	s.look = check_container;
	put_call(&s.in, 5, "CreateContainer", pod_and_container("c0"));
	CHECK_EQ(session_feed(&s), 0);
	CHECK_TEXT(s.heard, "create c0 in pod0\n");
}

static void check_empty(const struct nri_container *c)
{
	CHECK_TEXT(c->id, "");
	CHECK_TEXT(c->cgroups_path, "");
	CHECK_TEXT(c->cpus, "");
	CHECK_TEXT(c->new_cpus, "");
	CHECK(c->n_env == 0 && c->n_cdi_devices == 0 && c->pid == 0);
	CHECK_EQ(c->scheduler.policy, NRI_SCHED_NONE);
}

TEST(a_container_of_which_nothing_is_said_has_empty_texts)
{
	cleanup_session struct session s = SESSION_NULL;
	struct text event = { 0 };

	session_ready(&s);
	s.look = check_empty;
	put_message(&event, 1, (struct text){ 0 });
	put_message(&event, 2, (struct text){ 0 });
	put_call(&s.in, 5, "StartContainer", event);
	CHECK_EQ(session_feed(&s), 0);
	CHECK_TEXT(s.heard, "starting \n");
}

static const char *const container_calls[][2] = {
	{ "PostCreateContainer", "created c0\n" },
	{ "StartContainer", "starting c0\n" },
	{ "PostStartContainer", "started c0\n" },
	{ "UpdateContainer", "updating c0\n" },
	{ "PostUpdateContainer", "updated c0\n" },
	{ "StopContainer", "stopped c0\n" },
	{ "RemoveContainer", "removed c0\n" },
};

TEST(each_event_of_a_container_reaches_its_handler_and_is_answered)
{
	for (size_t i = 0; i < ARRAY_SIZE(container_calls); i++) {
		cleanup_session struct session s = SESSION_NULL;

		session_ready(&s);
		put_call(&s.in, 5, container_calls[i][0], pod_and_container("c0"));
		CHECK_EQ(session_feed(&s), 0);
		CHECK_TEXT(s.heard, container_calls[i][1]);
		CHECK_EQ(session_status(&s, 5), 0);
	}
}

static const char *const pod_calls[][2] = {
	{ "RunPodSandbox", "pod started pod0\n" },
	{ "UpdatePodSandbox", "pod updating pod0\n" },
	{ "StopPodSandbox", "pod stopped pod0\n" },
	{ "RemovePodSandbox", "pod removed pod0\n" },
};

TEST(each_event_of_a_pod_reaches_its_handler_and_is_answered)
{
	for (size_t i = 0; i < ARRAY_SIZE(pod_calls); i++) {
		cleanup_session struct session s = SESSION_NULL;
		struct text event = { 0 };

		session_ready(&s);
		put_message(&event, 1, pod("pod0"));
		put_message(&event, 2, cpus("3"));
		put_call(&s.in, 5, pod_calls[i][0], event);
		CHECK_EQ(session_feed(&s), 0);
		CHECK_TEXT(s.heard, pod_calls[i][1]);
		CHECK_EQ(session_status(&s, 5), 0);
	}
}

TEST(older_runtimes_tell_the_same_events_as_state_changes)
{
	static const char *const heard[] = { "", "pod started pod0\n", "pod stopped pod0\n",
		"pod removed pod0\n", "", "created c0\n", "starting c0\n", "started c0\n", NULL,
		"updated c0\n", "stopped c0\n", "removed c0\n", "pod updating pod0\n", "", "" };

	for (size_t event = 0; event < ARRAY_SIZE(heard); event++) {
		cleanup_session struct session s = SESSION_NULL;
		struct text change = { 0 };

		if (!heard[event])
			continue;
		session_ready(&s);
		put_number(&change, 1, event);
		put_message(&change, 2, pod("pod0"));
		put_message(&change, 3, container("c0"));
		put_call(&s.in, 5, "StateChange", change);
		CHECK_EQ(session_feed(&s), 0);
		CHECK_TEXT(s.heard, heard[event]);
		CHECK_EQ(session_status(&s, 5), 0);
	}
}

TEST(an_event_without_its_pod_or_container_is_refused)
{
	cleanup_session struct session s = SESSION_NULL;
	struct text only_pod = { 0 };

	session_ready(&s);
	put_message(&only_pod, 1, pod("pod0"));
	put_call(&s.in, 5, "CreateContainer", only_pod);
	put_call(&s.in, 7, "RunPodSandbox", (struct text){ 0 });
	put_call(&s.in, 9, "StateChange", (struct text){ 0 });
	put_call(&s.in, 11, "ValidateContainerAdjustment", (struct text){ 0 });
	CHECK_EQ(session_feed(&s), 0);
	CHECK_EQ(session_status(&s, 5), 3);
	CHECK_EQ(session_status(&s, 7), 3);
	CHECK_EQ(session_status(&s, 9), 0);
	CHECK_EQ(session_status(&s, 11), 12);
	CHECK_TEXT(s.heard, "");
}

TEST(a_message_that_cannot_be_read_is_refused_and_the_connection_goes_on)
{
	static const char *const calls[] = { "Configure", "Synchronize", "CreateContainer",
		"RunPodSandbox", "StateChange" };
	cleanup_session struct session s = SESSION_NULL;
	uint32_t stream = 5;

	session_ready(&s);
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++, stream += 2) {
		struct text broken = { 0 };

		put(&broken, "\n\177x", 3);
		put_call(&s.in, stream, calls[i], broken);
		CHECK_EQ(session_feed(&s), 0);
		CHECK_EQ(session_status(&s, stream), 3);
	}
	put_call(&s.in, stream, "Shutdown", (struct text){ 0 });
	CHECK_EQ(session_feed(&s), 0);
	CHECK_EQ(session_status(&s, stream), 0);
	CHECK_TEXT(s.heard, "shutdown\n");
}

TEST(an_update_tells_the_cpus_that_are_asked_for)
{
	cleanup_session struct session s = SESSION_NULL;
	struct text event;

	session_ready(&s);
	event = pod_and_container("c0");
	put_message(&event, 3, cpus("7"));
	put_call(&s.in, 5, "UpdateContainer", event);
	CHECK_EQ(session_feed(&s), 0);
	CHECK_TEXT(s.new_cpus, "7");
}

TEST(an_adjustment_reaches_the_runtime_field_by_field)
{
	cleanup_session struct session s = SESSION_NULL;
	cleanup_sent struct sent m = { 0 };
	struct bytes adjust, hook, on_linux, scheduler;

	session_ready(&s);
	put_call(&s.in, 5, "CreateContainer", pod_and_container("c0"));
	CHECK_EQ(session_feed(&s), 0);
	CHECK_EQ(nri_plugin_adjust(s.plugin, s.call, &full_adjustment, &s.err), 0);
	m = take(s.plugin);
	CHECK(m.stream == 5 && status_of(&m) == 0);
	adjust = get_bytes(get_bytes(text_bytes(&m.payload), 2), 1);
	CHECK(is(get_bytes(get_bytes(adjust, 2), 1), "rt.takt.dev/scheduler"));
	CHECK(is(get_bytes(get_bytes(adjust, 2), 2), "runtime"));
	CHECK(is(get_bytes(get_bytes(adjust, 4), 1), "KEY"));
	CHECK(is(get_bytes(get_bytes(adjust, 4), 2), "value"));
	hook = get_bytes(get_bytes(adjust, 5), 2);
	CHECK(is(get_bytes(hook, 1), "/bin/hook"));
	CHECK(is(get_bytes(hook, 2), "hook"));
	CHECK(is(get_bytes(hook, 3), "PATH=/"));
	CHECK_EQ(get_number(get_bytes(hook, 4), 1), 5);
	on_linux = get_bytes(adjust, 6);
	CHECK(is(get_bytes(get_bytes(get_bytes(on_linux, 2), 2), 6), "2-3"));
	scheduler = get_bytes(on_linux, 10);
	CHECK_EQ(get_number(scheduler, 1), 7);
	CHECK(get(scheduler, 4, 0, NULL, NULL));
	CHECK_EQ(get_number(scheduler, 5), 2000000);
	CHECK_EQ(get_number(scheduler, 6), 10000000);
	CHECK_EQ(get_number(scheduler, 7), 20000000);
	CHECK(is(get_bytes(get_bytes(adjust, 8), 1), "rt.takt.dev/reservation=x"));
}

TEST(no_adjustment_is_an_empty_one)
{
	static const struct nri_adjustment nothing = { 0 };
	cleanup_session struct session s = SESSION_NULL;
	cleanup_sent struct sent m = { 0 };
	struct bytes reply;

	session_ready(&s);
	put_call(&s.in, 5, "CreateContainer", pod_and_container("c0"));
	CHECK_EQ(session_feed(&s), 0);
	CHECK_EQ(nri_plugin_adjust(s.plugin, s.call, &nothing, NULL), 0);
	m = take(s.plugin);
	reply = get_bytes(text_bytes(&m.payload), 2);
	CHECK(get(reply, 1, 0, NULL, NULL));
	CHECK_EQ(get_bytes(reply, 1).len, 0);
}

TEST(a_call_is_answered_once)
{
	cleanup_session struct session s = SESSION_NULL;

	session_ready(&s);
	put_call(&s.in, 5, "CreateContainer", pod_and_container("c0"));
	CHECK_EQ(session_feed(&s), 0);
	CHECK_EQ(nri_plugin_refuse(s.plugin, s.call, "no room", NULL), 0);
	CHECK_EQ(nri_plugin_adjust(s.plugin, s.call, &full_adjustment, NULL), -ENOENT);
	CHECK_EQ(nri_plugin_refuse(s.plugin, s.call, "no room", NULL), -ENOENT);
	{
		cleanup_sent struct sent m = take(s.plugin);
		struct bytes status = get_bytes(text_bytes(&m.payload), 1);

		CHECK_EQ(status_of(&m), 2);
		CHECK(is(get_bytes(status, 2), "no room"));
	}
	CHECK_EQ(nri_plugin_output(s.plugin).len, 0);
}

TEST(an_answer_never_reaches_a_later_connection)
{
	cleanup_session struct session s = SESSION_NULL;
	uint64_t old;

	session_ready(&s);
	put_call(&s.in, 5, "CreateContainer", pod_and_container("c0"));
	CHECK_EQ(session_feed(&s), 0);
	old = s.call;
	nri_plugin_disconnected(s.plugin);
	CHECK_EQ(nri_plugin_adjust(s.plugin, old, &full_adjustment, NULL), -ENOENT);
	CHECK_EQ(nri_plugin_connected(s.plugin, NULL), 0);
	session_forget_output(&s);
	session_ready_from(&s, 1);
	put_call(&s.in, 5, "CreateContainer", pod_and_container("c0"));
	CHECK_EQ(session_feed(&s), 0);
	CHECK_EQ(nri_plugin_adjust(s.plugin, old, &full_adjustment, NULL), -ENOENT);
	CHECK_EQ(nri_plugin_adjust(s.plugin, s.call, &full_adjustment, NULL), 0);
	CHECK_EQ(session_status(&s, 5), 0);
}

TEST(the_runtime_is_asked_for_updates_and_says_which_failed)
{
	static const struct nri_update updates[] = { { "c0", "2", true }, { "c1", "3", false } };
	cleanup_session struct session s = SESSION_NULL;
	struct text reply = { 0 }, failed = { 0 };

	session_ready(&s);
	CHECK_EQ(nri_plugin_update(s.plugin, updates, 2, on_update_done, &s, NULL), 0);
	{
		cleanup_sent struct sent m = take(s.plugin);
		struct bytes request = get_bytes(text_bytes(&m.payload), 3), second;

		CHECK(m.connection == RUNTIME && m.stream == 3);
		CHECK(is(get_bytes(text_bytes(&m.payload), 2), "UpdateContainers"));
		CHECK(is(get_bytes(get_bytes(request, 1), 1), "c0"));
		CHECK_EQ(get_number(get_bytes(request, 1), 3), 1);
		CHECK(get(request, 1, 1, &second, NULL));
		CHECK(is(get_bytes(get_bytes(get_bytes(get_bytes(second, 2), 1), 2), 6), "3"));
	}
	put_string(&failed, 1, "c1");
	put_message(&reply, 1, failed);
	put_answer(&s.in, 3, reply);
	CHECK_EQ(session_feed(&s), 0);
	CHECK_TEXT(s.heard, "updated, not c1\n");
}

TEST(an_update_ends_with_an_error_when_the_connection_does)
{
	static const struct nri_update update = { "c0", "2", true };
	cleanup_session struct session s = SESSION_NULL;

	session_ready(&s);
	CHECK_EQ(nri_plugin_update(s.plugin, &update, 1, on_update_done, &s, NULL), 0);
	nri_plugin_disconnected(s.plugin);
	CHECK_TEXT(s.heard, "update: the runtime went away before it answered\n");
	CHECK_EQ(nri_plugin_update(s.plugin, &update, 1, on_update_done, &s, &s.err), -ENOTCONN);
	CHECK_EQ(nri_plugin_feed(s.plugin, (struct bytes){ "x", 1 }, &s.err), -ENOTCONN);
}

TEST(a_runtime_that_breaks_the_protocol_loses_its_connection)
{
	cleanup_session struct session s = SESSION_NULL;

	session_ready(&s);
	put(&s.in, "\0\0\0\0\0\0\0\1x", 9);
	CHECK_EQ(session_feed(&s), -EPROTO);
	CHECK(s.err.text[0] != '\0');
}

TEST(a_runtime_that_does_not_read_loses_its_connection)
{
	cleanup_session struct session s = SESSION_NULL;
	uint32_t stream = 5;
	int r = 0;

	session_ready(&s);
	for (int i = 0; i < 1000000 && r == 0; i++, stream += 2) {
		put_call(&s.in, stream, "NoSuchMethod", (struct text){ 0 });
		r = session_feed(&s);
	}
	CHECK_EQ(r, -ENOBUFS);
	CHECK(nri_plugin_output(s.plugin).len < 9 * 1024 * 1024);
}

/* Three bytes of a peer would otherwise become some hundred of ours, a million times. */
TEST(a_message_that_would_grow_beyond_measure_is_refused)
{
	cleanup_session struct session s = SESSION_NULL;
	struct text flood = { 0 };
	size_t n = 4 * 1024 * 1024 - 200;

	session_configured(&s);
	flood.at = malloc(n);
	CHECK(flood.at != NULL);
	for (flood.len = 0; flood.len < n; flood.len += 2)
		memcpy(flood.at + flood.len, "\22\0", 2);
	put_call(&s.in, 3, "Synchronize", flood);
	CHECK_EQ(session_feed(&s), 0);
	CHECK_EQ(session_status(&s, 3), 8);
	CHECK_TEXT(s.heard, "");
}

TEST(a_session_goes_the_same_way_wherever_its_bytes_are_split)
{
	for (size_t step = 1; step < 1200; step++) {
		cleanup_session struct session s = SESSION_NULL;

		session_begin(&s);
		s.step = step;
		put_call(&s.in, 1, "Configure", configure("v0.12.5"));
		put_answer(&s.in, 1, (struct text){ 0 });
		put_call(&s.in, 3, "Synchronize", synchronize("pod0", "c0", false));
		put_call(&s.in, 5, "CreateContainer", pod_and_container("c1"));
		put_call(&s.in, 7, "StopContainer", pod_and_container("c0"));
		CHECK_EQ(session_feed(&s), 0);
		CHECK_TEXT(s.heard, "configured containerd v2.3.7 v0.12.5 some: config 2000\n"
				    "pod pod0 web-0 uid-0 default /kubepods/pod0\n"
				    "container c0\n"
				    "synchronized\n"
				    "create c1 in pod0\n"
				    "stopped c0\n");
	}
}
