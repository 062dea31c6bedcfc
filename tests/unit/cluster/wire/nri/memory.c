// SPDX-License-Identifier: Apache-2.0
/*
 * A whole session again and again, each time with the next allocation failing: the library's own
 * and, through its allocator, those of protobuf-c. Nothing may crash, leak or be told wrongly.
 */
#include <errno.h>

#include "session.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static bool counting;
static unsigned counted, failing;

static bool fails(void)
{
	return counting && ++counted == failing;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return fails() ? NULL : __real_realloc(memory, size);
}

/* The test's own allocations do not fail. */
static int feed(struct session *s)
{
	struct bytes all = text_bytes(&s->in);
	int r;

	counting = true;
	r = nri_plugin_feed(s->plugin, all, &s->err);
	counting = false;
	CHECK(r == 0 || (r < 0 && s->err.text[0] != '\0'));
	text_fini(&s->in);
	return r;
}

static int begin(struct session *s)
{
	struct nri_identity id = { "takt", "10" };
	int r;

	*s = SESSION_NULL;
	counting = true;
	r = nri_plugin_create(&id, &handlers, s, &s->plugin, &s->err);
	if (r == 0)
		r = nri_plugin_connected(s->plugin, &s->err);
	counting = false;
	return r;
}

static int adjust(struct session *s)
{
	int r;

	counting = true;
	r = nri_plugin_adjust(s->plugin, s->call, &full_adjustment, &s->err);
	counting = false;
	return r;
}

static int update(struct session *s)
{
	static const struct nri_update one = { "c0", "2", true };
	int r;

	counting = true;
	r = nri_plugin_update(s->plugin, &one, 1, on_update_done, s, &s->err);
	counting = false;
	return r;
}

/* Whether the runtime was told of an error. */
static bool refused(const struct session *s)
{
	struct bytes out = nri_plugin_output(s->plugin);
	bool told = false;

	while (out.len > 0) {
		cleanup_sent struct sent m = { 0 };

		CHECK(sent_next(&out, &m));
		told |= m.type == RESPONSE && status_of(&m) != 0;
	}
	return told;
}

/* Until the first thing that cannot be done, as a program would go on; < 0: and who said so. */
static int go(struct session *s)
{
	int r = begin(s);

	if (r < 0)
		return r;
	put_answer(&s->in, 1, (struct text){ 0 });
	put_call(&s->in, 1, "Configure", configure("v0.12.5"));
	put_call(&s->in, 3, "Synchronize", synchronize("pod0", "c0", false));
	put_call(&s->in, 5, "CreateContainer", pod_and_container("c1"));
	r = feed(s);
	if (r == 0 && !s->call) {
		CHECK(refused(s));
		return s->err.code = -ENOMEM;
	}
	if (r == 0)
		r = adjust(s);
	if (r == 0)
		r = update(s);
	if (r < 0)
		return r;
	put_answer(&s->in, 3, (struct text){ 0 });
	put_call(&s->in, 7, "StopContainer", pod_and_container("c0"));
	return feed(s);
}

TEST(every_allocation_may_fail)
{
	unsigned n_failed = 0;

	for (failing = 1; failing < 10000; failing++) {
		cleanup_session struct session s = SESSION_NULL;

		counted = 0;
		if (go(&s) < 0) {
			n_failed++;
			CHECK(s.err.code < 0);
		}
		if (counted < failing)
			break;
	}
	CHECK(failing > 10 && failing < 10000);
	CHECK(n_failed > 5);
}

TEST(a_container_is_refused_when_there_is_no_memory_for_it)
{
	cleanup_session struct session s = SESSION_NULL;

	session_ready(&s);
	put_call(&s.in, 5, "CreateContainer", pod_and_container("c0"));
	counted = 0;
	failing = 2; /* the first is the buffer of the message */
	CHECK_EQ(feed(&s), 0);
	CHECK_EQ(session_status(&s, 5), 8);
	CHECK_TEXT(s.heard, "");
}
