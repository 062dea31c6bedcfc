// SPDX-License-Identifier: Apache-2.0
/* Calls of taktd, against a listener in the same loop that answers as the test wants. */
#include "cluster/nodeplugin/door.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "test.h"

#define CALLS_MAX 64
#define YES "{\"parameters\":{\"n\":1}}"

struct peer {
	uv_pipe_t pipe;
	uv_write_t write;
	char asked[4096];
};

static struct {
	uv_loop_t loop;
	uv_pipe_t listener;
	struct peer *peers[CALLS_MAX];
	unsigned connections, asked;
	const char *say; /* with its NUL; NULL: nothing */
	size_t say_len;
	unsigned drop; /* so many questions are answered by hanging up */
	char path[128];
	struct door *door;
	unsigned done, wanted;
	int code;
	char error[ERR_TEXT_MAX];
	size_t text_len; /* of the reply's "text" */
} t;

static void on_free(uv_handle_t *handle)
{
	free(handle->data);
}

static void hang_up(struct peer *p)
{
	for (unsigned i = 0; i < t.connections; i++)
		if (t.peers[i] == p)
			t.peers[i] = NULL;
	uv_close((uv_handle_t *)&p->pipe, on_free);
}

static void hang_up_all(void)
{
	for (unsigned i = 0; i < t.connections; i++)
		if (t.peers[i])
			hang_up(t.peers[i]);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	struct peer *p = handle->data;

	*ret = uv_buf_init(p->asked, sizeof(p->asked));
}

static void on_asked(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct peer *p = stream->data;
	uv_buf_t out = uv_buf_init((char *)t.say, t.say_len);

	if (n <= 0) {
		hang_up(p);
		return;
	}
	CHECK_EQ(p->asked[n - 1], '\0');
	t.asked++;
	if (t.drop > 0) {
		t.drop--;
		hang_up(p);
	} else if (t.say) {
		CHECK_EQ(uv_write(&p->write, stream, &out, 1, NULL), 0);
	} else if (t.asked == t.wanted) {
		uv_stop(&t.loop);
	}
}

static void on_connection(uv_stream_t *server, int status)
{
	struct peer *p = calloc(1, sizeof(*p));

	CHECK(p && t.connections < CALLS_MAX);
	t.peers[t.connections++] = p;
	p->pipe.data = p;
	uv_pipe_init(&t.loop, &p->pipe, 0);
	CHECK_EQ(uv_accept(server, (uv_stream_t *)&p->pipe), 0);
	CHECK_EQ(uv_read_start((uv_stream_t *)&p->pipe, on_alloc, on_asked), 0);
}

static void say(const char *text)
{
	t.say = text;
	t.say_len = text ? strlen(text) + 1 : 0;
}

static void begin(bool listening)
{
	signal(SIGPIPE, SIG_IGN);
	memset(&t, 0, sizeof(t));
	snprintf(t.path, sizeof(t.path), "/tmp/takt-door-%d.sock", getpid());
	unlink(t.path);
	uv_loop_init(&t.loop);
	uv_pipe_init(&t.loop, &t.listener, 0);
	if (listening) {
		CHECK_EQ(uv_pipe_bind(&t.listener, t.path), 0);
		CHECK_EQ(uv_listen((uv_stream_t *)&t.listener, 8, on_connection), 0);
	}
	say(YES);
	CHECK_EQ(door_create(&t.door, &t.loop, t.path, NULL), 0);
}

static void end(void)
{
	door_destroy(t.door);
	hang_up_all();
	uv_close((uv_handle_t *)&t.listener, NULL);
	uv_run(&t.loop, UV_RUN_DEFAULT);
	CHECK_EQ(uv_loop_close(&t.loop), 0);
	unlink(t.path);
}

static void on_done(void *data, int code, const json_t *reply, const char *error)
{
	const char *text = json_string_value(json_object_get(reply, "text"));

	t.code = code;
	t.text_len = text ? strlen(text) : 0;
	snprintf(t.error, sizeof(t.error), "%s", error);
	if (++t.done == t.wanted)
		uv_stop(&t.loop);
}

/* Asks n times at once and waits for all. */
static void ask(unsigned n)
{
	t.done = 0;
	t.wanted = n;
	for (unsigned i = 0; i < n; i++)
		CHECK_EQ(door_call(t.door, "rt.takt.List", json_object(), on_done, NULL), 0);
	CHECK_EQ(t.done, 0);
	uv_run(&t.loop, UV_RUN_DEFAULT);
	CHECK_EQ(t.done, n);
}

TEST(calls_after_each_other_go_over_one_connection)
{
	begin(true);
	for (int i = 0; i < 5; i++) {
		ask(1);
		CHECK_EQ(t.code, 0);
	}
	CHECK_EQ(t.connections, 1);
	CHECK_EQ(t.asked, 5);
	end();
}

TEST(calls_at_the_same_time_share_a_few_connections)
{
	begin(true);
	ask(40);
	CHECK_EQ(t.code, 0);
	CHECK_EQ(t.asked, 40);
	CHECK(t.connections > 1 && t.connections <= DOOR_CONNECTIONS);
	end();
}

TEST(a_connection_that_ended_while_nobody_used_it_is_opened_again)
{
	begin(true);
	ask(1);
	hang_up_all();
	ask(1);
	CHECK_EQ(t.code, 0);
	CHECK_EQ(t.connections, 2);
	end();
}

TEST(a_call_that_is_lost_on_an_old_connection_is_asked_once_more)
{
	begin(true);
	ask(1);
	t.drop = 1;
	ask(1);
	CHECK_EQ(t.code, 0);
	CHECK_EQ(t.asked, 3);
	end();
}

TEST(a_call_that_is_lost_again_and_again_fails)
{
	begin(true);
	ask(1);
	t.drop = 10;
	ask(1);
	CHECK_EQ(t.code, -ECONNRESET);
	CHECK_EQ(t.asked, 3);
	CHECK(strstr(t.error, "went away") != NULL);
	end();
}

TEST(where_nobody_listens_all_that_waits_is_told_so)
{
	begin(false);
	ask(9);
	CHECK_EQ(t.code, -ENOENT);
	CHECK(strstr(t.error, "does not answer at") != NULL);
	end();
}

TEST(a_refusal_is_an_errno_and_the_agents_sentence)
{
	begin(true);
	say("{\"error\":\"rt.takt.DoesNotFit\",\"parameters\":{\"reason\":\"0.2 CPU asked\"}}");
	ask(1);
	CHECK_EQ(t.code, -ENOSPC);
	CHECK_TEXT(t.error, "0.2 CPU asked");
	say(YES);
	ask(1);
	CHECK_EQ(t.code, 0);
	CHECK_EQ(t.connections, 1);
	end();
}

TEST(an_answer_that_is_no_varlink_ends_the_connection)
{
	begin(true);
	say("pong");
	ask(1);
	CHECK_EQ(t.code, -EPROTO);
	say(YES);
	ask(1);
	CHECK_EQ(t.code, 0);
	CHECK_EQ(t.connections, 2);
	end();
}

TEST(a_long_answer_comes_whole_and_the_next_one_as_well)
{
	size_t len = 1 << 20;
	cleanup_free char *text = malloc(len + 64);
	int n = snprintf(text, 64, "{\"parameters\":{\"text\":\"");

	memset(text + n, 'x', len);
	snprintf(text + n + len, 16, "\"}}");
	begin(true);
	say(text);
	for (int i = 0; i < 3; i++) {
		ask(1);
		CHECK_EQ(t.text_len, len);
	}
	CHECK_EQ(t.connections, 1);
	end();
}

TEST(what_is_under_way_when_the_door_goes_ends_without_a_word)
{
	begin(true);
	say(NULL);
	t.wanted = DOOR_CONNECTIONS;
	for (unsigned i = 0; i < 10; i++)
		CHECK_EQ(door_call(t.door, "rt.takt.List", json_object(), on_done, NULL), 0);
	uv_run(&t.loop, UV_RUN_DEFAULT);
	CHECK_EQ(t.asked, DOOR_CONNECTIONS);
	end();
	CHECK_EQ(t.done, 0);
}

TEST(more_calls_than_may_wait_are_refused)
{
	begin(true);
	say(NULL);
	for (unsigned i = 0; i < DOOR_WAITING_MAX; i++)
		CHECK_EQ(door_call(t.door, "rt.takt.List", json_object(), on_done, NULL), 0);
	CHECK_EQ(door_call(t.door, "rt.takt.List", json_object(), on_done, NULL), -ENOBUFS);
	CHECK_EQ(door_call(t.door, "rt.takt.List", NULL, on_done, NULL), -ENOBUFS);
	end();
}
