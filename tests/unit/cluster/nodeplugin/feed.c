// SPDX-License-Identifier: Apache-2.0
/* The connection that watches taktd, against a listener that says what the test wants. */
#include "cluster/nodeplugin/feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "test.h"

#define BEGAN "{\"parameters\":{},\"continues\":true}"
#define CHANGE(what) \
	"{\"parameters\":{\"change\":{\"name\":\"a\",\"what\":\"" what "\"}},\"continues\":true}"

static struct {
	uv_loop_t loop;
	uv_pipe_t listener;
	uv_pipe_t *peer;
	const char *say; /* to whoever has asked */
	size_t say_len;
	char path[128], asked[256];
	unsigned connections, began, changed, lost;
	char last[64];
	struct feed *feed;
	unsigned until; /* enough of began + changed + lost */
} t;

static void check_enough(void)
{
	if (t.began + t.changed + t.lost >= t.until)
		uv_stop(&t.loop);
}

static void on_began(void *data)
{
	t.began++;
	check_enough();
}

static void on_changed(void *data, const char *what)
{
	t.changed++;
	snprintf(t.last, sizeof(t.last), "%s", what);
	check_enough();
}

static void on_lost(void *data, const char *why)
{
	t.lost++;
	CHECK(why[0]);
	check_enough();
}

static const struct feed_handler handler = { on_began, on_changed, on_lost };

static void on_free(uv_handle_t *handle)
{
	free(handle);
}

static void hang_up(void)
{
	if (t.peer)
		uv_close((uv_handle_t *)TAKE(t.peer), on_free);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	*ret = uv_buf_init(t.asked, sizeof(t.asked));
}

static void on_asked(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	uv_buf_t out = uv_buf_init((char *)t.say, t.say_len);

	if (n <= 0) {
		hang_up();
		return;
	}
	CHECK(n < (ssize_t)sizeof(t.asked) && t.asked[n - 1] == '\0');
	CHECK_EQ(uv_try_write(stream, &out, 1), t.say_len);
}

static void on_connection(uv_stream_t *server, int status)
{
	t.connections++;
	hang_up();
	t.peer = malloc(sizeof(*t.peer));
	CHECK(t.peer);
	uv_pipe_init(&t.loop, t.peer, 0);
	CHECK_EQ(uv_accept(server, (uv_stream_t *)t.peer), 0);
	CHECK_EQ(uv_read_start((uv_stream_t *)t.peer, on_alloc, on_asked), 0);
}

static void listen_there(void)
{
	uv_pipe_init(&t.loop, &t.listener, 0);
	CHECK_EQ(uv_pipe_bind(&t.listener, t.path), 0);
	CHECK_EQ(uv_listen((uv_stream_t *)&t.listener, 8, on_connection), 0);
}

static void begin(const char *say, size_t len)
{
	memset(&t, 0, sizeof(t));
	snprintf(t.path, sizeof(t.path), "/tmp/takt-feed-%d.sock", getpid());
	unlink(t.path);
	t.say = say;
	t.say_len = len;
	uv_loop_init(&t.loop);
}

static void run_until(unsigned events)
{
	t.until = events;
	uv_run(&t.loop, UV_RUN_DEFAULT);
}

static void end(void)
{
	feed_stop(t.feed);
	if (t.connections)
		uv_close((uv_handle_t *)&t.listener, NULL);
	hang_up();
	uv_run(&t.loop, UV_RUN_DEFAULT);
	CHECK_EQ(uv_loop_close(&t.loop), 0);
	unlink(t.path);
}

TEST(it_asks_to_watch_and_tells_every_change)
{
	static const char say[] = BEGAN "\0" CHANGE("reserved") "\0" CHANGE("released");

	begin(say, sizeof(say));
	listen_there();
	CHECK_EQ(feed_start(&t.feed, &t.loop, t.path, &handler, NULL, NULL), 0);
	run_until(3);
	CHECK(strstr(t.asked, "rt.takt.Watch") && strstr(t.asked, "\"more\":true"));
	CHECK_EQ(t.began, 1);
	CHECK_EQ(t.changed, 2);
	CHECK_TEXT(t.last, "released");
	end();
}

TEST(it_comes_back_when_the_connection_breaks)
{
	static const char say[] = BEGAN;

	begin(say, sizeof(say));
	listen_there();
	CHECK_EQ(feed_start(&t.feed, &t.loop, t.path, &handler, NULL, NULL), 0);
	run_until(1);
	hang_up();
	run_until(3);
	CHECK_EQ(t.began, 2);
	CHECK_EQ(t.lost, 1);
	CHECK_EQ(t.connections, 2);
	end();
}

TEST(a_socket_that_is_not_there_yet_is_waited_for)
{
	static const char say[] = BEGAN;

	begin(say, sizeof(say));
	CHECK_EQ(feed_start(&t.feed, &t.loop, t.path, &handler, NULL, NULL), 0);
	run_until(1);
	CHECK_EQ(t.lost, 1);
	listen_there();
	run_until(2);
	CHECK_EQ(t.began, 1);
	end();
}

TEST(an_error_and_what_is_no_message_break_the_connection)
{
	static const char refused[] = "{\"error\":\"rt.takt.NotPermitted\",\"parameters\":{}}";
	static const char nonsense[] = "hello";
	static char endless[FEED_MESSAGE_MAX];
	const struct bytes_of {
		const char *at;
		size_t len;
	} all[] = { { refused, sizeof(refused) }, { nonsense, sizeof(nonsense) },
		{ endless, sizeof(endless) } };

	memset(endless, 'x', sizeof(endless));
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		begin(all[i].at, all[i].len);
		listen_there();
		CHECK_EQ(feed_start(&t.feed, &t.loop, t.path, &handler, NULL, NULL), 0);
		run_until(1);
		CHECK_EQ(t.lost, 1);
		CHECK_EQ(t.began + t.changed, 0);
		end();
	}
}
