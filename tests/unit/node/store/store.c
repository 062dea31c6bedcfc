// SPDX-License-Identifier: Apache-2.0
#include "test.h"
#include "fixture.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/store/store_private.h"

static int each_full(void *ctx, const struct store_resv *r)
{
	CHECK_TEXT(r->name, "camera");
	CHECK_TEXT(r->document, "{\"kind\":\"Reservation\"}");
	CHECK_TEXT(r->test, "gfb");
	CHECK_TEXT(r->reason, "it fits");
	CHECK_TEXT(r->cpus, "0-1,7");
	*(struct store_resv *)ctx = *r;
	return 0;
}

static int each_full_binding(void *ctx, const char *name, const struct store_binding *b)
{
	CHECK_TEXT(name, "camera");
	CHECK_TEXT(b->container, "c1");
	CHECK_TEXT(b->cgroup, "/machine/c1");
	CHECK_EQ(b->pid, 4711);
	CHECK(b->pid_start == UINT64_MAX - 1);
	CHECK(b->program == UINT64_MAX);
	CHECK(b->by_attach);
	CHECK_EQ(b->via, VIA_NRI);
	return 0;
}

TEST(a_promise_is_read_back_as_it_was_given)
{
	static const struct store_reader reader = { each_full, each_full_binding,
		fixture_each_thread };
	const struct store_binding binding = {
		.container = "c1",
		.cgroup = "/machine/c1",
		.pid = 4711,
		.pid_start = UINT64_MAX - 1,
		.program = UINT64_MAX,
		.by_attach = true,
		.via = VIA_NRI,
	};
	struct store_resv resv = fixture_resv("camera"), copy = { 0 };
	struct err err = ERR_NULL;
	struct store *s;

	resv.transient = true;
	resv.cpus = "0-1,7";
	fixture_new();
	s = fixture_open(NULL);
	CHECK_EQ(store_reserve(s, &resv, NULL, &err), 0);
	CHECK_EQ(store_bind(s, "camera", &binding, NULL, &err), 0);
	CHECK_EQ(store_load(s, &reader, &copy, &err), 0);
	CHECK_EQ(copy.placement, PLACEMENT_SHARED);
	CHECK(copy.has_bound && copy.transient && !copy.shareable);
	CHECK_EQ(copy.bound_ns, 20000000);
	CHECK_EQ(copy.created_ms, 1700000000123);
	store_close(s);
}

static int each_bare(void *ctx, const struct store_resv *r)
{
	++*(int *)ctx;
	CHECK(!r->test && !r->reason && !r->has_bound && !r->transient && !r->cpus);
	CHECK_EQ(r->placement, PLACEMENT_GROUP);
	return 0;
}

static int each_bare_binding(void *ctx, const char *name, const struct store_binding *b)
{
	++*(int *)ctx;
	CHECK(!b->container && !b->cgroup && !b->by_attach && b->via == VIA_NONE);
	return 0;
}

TEST(what_is_absent_stays_absent)
{
	static const struct store_reader reader = { each_bare, each_bare_binding,
		fixture_each_thread };
	const struct store_binding binding = { .pid = 12 };
	struct store_resv resv = { .name = "a", .document = "{}", .placement = PLACEMENT_GROUP };
	struct store *s;
	int seen = 0;

	fixture_new();
	s = fixture_open(NULL);
	CHECK_EQ(store_reserve(s, &resv, NULL, NULL), 0);
	CHECK_EQ(store_bind(s, "a", &binding, NULL, NULL), 0);
	CHECK_EQ(store_load(s, &reader, &seen, NULL), 0);
	CHECK_EQ(seen, 2);
	store_close(s);
}

static off_t size_of(const char *file)
{
	struct stat st = { 0 };

	CHECK_EQ(stat(fixture_path(file), &st), 0);
	return st.st_size;
}

static void reserve_some(struct store *s, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		char name[16];

		snprintf(name, sizeof(name), "p%u", i);
		CHECK_EQ(fixture_reserve(s, name, NULL), 0);
	}
}

TEST(the_log_has_its_length_before_the_first_promise)
{
	struct store *s;
	off_t log;

	fixture_new();
	s = fixture_open(NULL);
	log = size_of(STORE_FILE "-wal");
	CHECK(log >= 1 << 20);
	reserve_some(s, 0, 60);
	CHECK_EQ(size_of(STORE_FILE "-wal"), log);
	store_close(s);
}

static void open_and_die(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		fixture_open(NULL);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

TEST(agents_that_die_before_they_write_do_not_lengthen_the_log)
{
	struct store *s;
	off_t log;

	fixture_new();
	open_and_die(); /* the first one makes the tables */
	open_and_die();
	log = size_of(STORE_FILE "-wal");
	open_and_die();
	open_and_die();
	CHECK_EQ(size_of(STORE_FILE "-wal"), log);
	s = fixture_open(NULL);
	reserve_some(s, 0, 60);
	CHECK_EQ(size_of(STORE_FILE "-wal"), log);
	store_close(s);
}

TEST(the_log_is_copied_when_it_is_tidied_and_else_when_it_is_full)
{
	struct store *s;
	off_t log;
	int most = 0;

	fixture_new();
	s = fixture_open(NULL);
	log = size_of(STORE_FILE "-wal");
	reserve_some(s, 0, 20);
	store_tidy(s);
	CHECK(s->n_frames > 20); /* too little for two fsync */
	reserve_some(s, 20, 50);
	CHECK(s->n_frames > 50);
	store_tidy(s);
	reserve_some(s, 50, 51);
	CHECK(s->n_frames < 20); /* begun anew, as SQLite tells it */
	for (unsigned i = 51; i < 250; i++) {
		reserve_some(s, i, i + 1);
		most = s->n_frames > most ? s->n_frames : most;
	}
	CHECK(most > 250 && most < 280);
	CHECK_EQ(size_of(STORE_FILE "-wal"), log);
	store_close(s);
}

TEST(a_name_is_promised_once)
{
	struct err err = ERR_NULL;
	struct store *s;

	fixture_new();
	s = fixture_open(NULL);
	CHECK_EQ(fixture_reserve(s, "camera", NULL), 0);
	CHECK_EQ(fixture_reserve(s, "camera", &err), -EEXIST);
	CHECK_TEXT(fixture_content(s), "camera ");
	CHECK_TEXT(fixture_history(s, "camera"), "reserved ");
	store_close(s);
}

TEST(a_process_that_is_bound_again_keeps_its_place_and_has_the_new_name)
{
	struct store_binding first = { "c1", "/c1", 12, 99 }, second = { "c2", "/c2", 13, 99 };
	struct store *s;

	fixture_new();
	s = fixture_open(NULL);
	CHECK_EQ(fixture_reserve(s, "camera", NULL), 0);
	CHECK_EQ(store_bind(s, "camera", &first, NULL, NULL), 0);
	CHECK_EQ(store_bind(s, "camera", &second, NULL, NULL), 0);
	first.container = "default/arm/main";
	CHECK_EQ(store_bind(s, "camera", &first, NULL, NULL), 0);
	CHECK_TEXT(fixture_content(s), "camera camera@default/arm/main!12 camera@c2!13 ");
	store_close(s);
}

TEST(every_step_of_a_life_survives_a_restart)
{
	struct store_binding b = { "c1", "/c1", 12, 99 };
	struct change change = fixture_change("camera", "bound");
	struct store *s;

	fixture_new();
	s = fixture_open(NULL);
	CHECK_EQ(fixture_reserve(s, "camera", NULL), 0);
	CHECK_EQ(fixture_reserve(s, "arm", NULL), 0);
	CHECK_EQ(store_bind(s, "camera", &b, &change, NULL), 0);
	CHECK_EQ(store_attach(s, "camera", 13, 100, NULL, NULL), 0);
	CHECK_EQ(store_attach(s, "arm", 14, 101, NULL, NULL), 0);
	store_close(s);

	s = fixture_open(NULL);
	CHECK_TEXT(fixture_content(s), "camera arm camera@c1!12 camera:13/100 arm:14/101 ");
	CHECK_TEXT(fixture_history(s, "camera"), "reserved bound ");
	change.what = "unbound";
	CHECK_EQ(store_unbind(s, "camera", 12, 99, &change, NULL), 0);
	CHECK_EQ(store_detach(s, "camera", 13, NULL, NULL), 0);
	store_close(s);

	s = fixture_open(NULL);
	CHECK_TEXT(fixture_content(s), "camera arm arm:14/101 ");
	CHECK_EQ(store_release(s, "arm", true, NULL, NULL), 0);
	store_close(s);

	s = fixture_open(NULL);
	CHECK_TEXT(fixture_content(s), "camera ");
	CHECK_TEXT(fixture_history(s, "camera"), "reserved bound unbound ");
	CHECK_TEXT(fixture_history(s, "arm"), "reserved ");
	store_close(s);
}

/* 2: each commit is synced; 1: it is not (sqlite.org/pragma.html, "synchronous"). */
static int sync_level(struct store *s)
{
	sqlite3_stmt *row = NULL;
	int level;

	CHECK_EQ(sqlite3_prepare_v2(s->db, "PRAGMA synchronous", -1, &row, NULL), SQLITE_OK);
	CHECK_EQ(sqlite3_step(row), SQLITE_ROW);
	level = sqlite3_column_int(row, 0);
	sqlite3_finalize(row);
	return level;
}

TEST(a_promise_is_synced_to_disk_whatever_came_before)
{
	struct store_binding b = { .container = "c1", .pid = 12 };
	struct store *s;

	fixture_new();
	s = fixture_open(NULL);
	CHECK_EQ(fixture_reserve(s, "a", NULL), 0);
	for (int i = 0; i < 3; i++) {
		char name[] = { 'n', '0' + i, 0 };

		CHECK_EQ(store_bind(s, "a", &b, NULL, NULL), 0);
		CHECK_EQ(sync_level(s), 1);
		CHECK_EQ(store_unbind(s, "a", 12, 0, NULL, NULL), 0);
		CHECK_EQ(fixture_reserve(s, name, NULL), 0);
		CHECK_EQ(sync_level(s), 2);
		CHECK_EQ(store_release(s, name, false, NULL, NULL), 0);
		CHECK_EQ(sync_level(s), 2);
		store_close(s);
		s = fixture_open(NULL);
	}
	store_close(s);
}

TEST(what_is_not_there_cannot_be_changed)
{
	struct store_binding b = { "c1", "/c1", 12, 99 };
	struct change change = fixture_change("ghost", "bound");
	struct err err = ERR_NULL;
	struct store *s;

	fixture_new();
	s = fixture_open(NULL);
	CHECK_EQ(store_bind(s, "ghost", &b, &change, &err), -ENOENT);
	CHECK_TEXT(err.text, "no reservation ghost is stored");
	CHECK_EQ(store_unbind(s, "ghost", 12, 99, &change, NULL), -ENOENT);
	CHECK_EQ(store_release(s, "ghost", false, &change, NULL), -ENOENT);
	CHECK_EQ(store_attach(s, "ghost", 1, 1, &change, NULL), -ENOENT);
	CHECK_TEXT(fixture_history(s, "ghost"), "");
	CHECK_EQ(store_detach(s, "ghost", 1, NULL, NULL), 0);
	store_close(s);
}

TEST(a_thread_is_in_the_last_reservation_it_was_put_in)
{
	struct store *s;

	fixture_new();
	s = fixture_open(NULL);
	CHECK_EQ(fixture_reserve(s, "a", NULL), 0);
	CHECK_EQ(fixture_reserve(s, "b", NULL), 0);
	CHECK_EQ(store_attach(s, "a", 7, 1, NULL, NULL), 0);
	CHECK_EQ(store_attach(s, "b", 7, 2, NULL, NULL), 0);
	CHECK_TEXT(fixture_content(s), "a b b:7/2 ");
	CHECK_EQ(store_detach(s, "a", 7, NULL, NULL), 0);
	CHECK_TEXT(fixture_content(s), "a b b:7/2 ");
	store_close(s);
}

TEST(an_unbound_reservation_keeps_nothing_of_its_binding)
{
	struct store_binding b = { "c1", "/c1", 12, 99, 6, true };
	struct store_opened report;
	struct store *s;

	fixture_new();
	s = fixture_open(NULL);
	CHECK_EQ(fixture_reserve(s, "camera", NULL), 0);
	CHECK_EQ(store_bind(s, "camera", &b, NULL, NULL), 0);
	CHECK_EQ(store_unbind(s, "camera", 12, 99, NULL, NULL), 0);
	CHECK_TEXT(fixture_content(s), "camera ");
	CHECK_EQ(store_bind(s, "camera", &b, NULL, NULL), 0);
	store_close(s);
	CHECK_EQ(store_open(fixture_dir, "boot-2", &s, &report, NULL), 0);
	CHECK_TEXT(fixture_content(s), "camera ");
	store_close(s);
}

TEST(several_hold_a_reservation_and_its_threads_go_with_the_last)
{
	struct store_binding one = { "c1", "/c1", 12, 99 }, two = { "c2", "/c2", 13, 99 };
	struct store_resv resv = fixture_resv("camera");
	struct store *s;

	resv.shareable = true;
	fixture_new();
	s = fixture_open(NULL);
	CHECK_EQ(store_reserve(s, &resv, NULL, NULL), 0);
	CHECK_EQ(store_bind(s, "camera", &one, NULL, NULL), 0);
	CHECK_EQ(store_bind(s, "camera", &two, NULL, NULL), 0);
	CHECK_EQ(store_attach(s, "camera", 14, 100, NULL, NULL), 0);
	CHECK_TEXT(fixture_content(s), "camera+ camera@c1!12 camera@c2!13 camera:14/100 ");
	CHECK_EQ(store_unbind(s, "camera", 12, 98, NULL, NULL), -ENOENT);
	CHECK_EQ(store_unbind(s, "camera", 12, 99, NULL, NULL), 0);
	CHECK_TEXT(fixture_content(s), "camera+ camera@c2!13 camera:14/100 ");
	CHECK_EQ(store_unbind(s, "camera", 13, 99, NULL, NULL), 0);
	CHECK_TEXT(fixture_content(s), "camera+ ");
	store_close(s);
}

static int each_until_two(void *ctx, const struct store_resv *r)
{
	return ++*(int *)ctx == 2 ? 42 : 0;
}

TEST(a_walk_ends_where_the_callback_says)
{
	static const struct store_reader reader = { each_until_two, fixture_each_binding,
		fixture_each_thread };
	struct store *s;
	int seen = 0;

	fixture_new();
	s = fixture_open(NULL);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(fixture_reserve(s, (char[]){ 'a' + i, 0 }, NULL), 0);
	CHECK_EQ(store_load(s, &reader, &seen, NULL), 42);
	CHECK_EQ(seen, 2);
	CHECK_TEXT(fixture_content(s), "a b c ");
	store_close(s);
}

static int count_change(void *ctx, const struct change *change)
{
	++*(int *)ctx;
	return 0;
}

static int history_length(struct store *s, const char *name)
{
	int n = 0;

	CHECK_EQ(store_history(s, name, count_change, &n, NULL), 0);
	return n;
}

static int first_time(void *ctx, const struct change *change)
{
	*(int64_t *)ctx = change->at_ms;
	return 1;
}

TEST(the_history_of_one_reservation_keeps_its_newest_thousand)
{
	struct change change = fixture_change("noisy", "thread-on");
	int64_t first = 0;
	struct store *s;

	fixture_new();
	s = fixture_open(NULL);
	CHECK_EQ(fixture_reserve(s, "quiet", NULL), 0);
	for (int i = 1; i <= STORE_HISTORY_NAME_MAX + 5; i++) {
		change.at_ms = i;
		CHECK_EQ(store_change(s, &change, NULL), 0);
	}
	CHECK_EQ(history_length(s, "noisy"), STORE_HISTORY_NAME_MAX);
	CHECK_EQ(history_length(s, "quiet"), 1);
	CHECK_EQ(store_history(s, "noisy", first_time, &first, NULL), 1);
	CHECK_EQ(first, 6);
	store_close(s);
}

TEST(the_whole_history_keeps_its_newest_ten_thousand)
{
	enum { NAMES = 25, EACH = 401 };
	struct store *s;
	int total = 0;

	fixture_new();
	s = fixture_open(NULL);
	for (int i = 0; i < NAMES * EACH; i++) {
		char name[16];
		struct change change = fixture_change(name, "refused");

		if (i == STORE_HISTORY_MAX / 2) {
			store_close(s);
			s = fixture_open(NULL);
		}
		snprintf(name, sizeof(name), "n%d", i / EACH);
		CHECK_EQ(store_change(s, &change, NULL), 0);
	}
	for (int i = 0; i < NAMES; i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%d", i);
		total += history_length(s, name);
	}
	CHECK_EQ(total, STORE_HISTORY_MAX);
	CHECK_EQ(history_length(s, "n0"), EACH - (NAMES * EACH - STORE_HISTORY_MAX));
	CHECK_EQ(history_length(s, "n24"), EACH);
	store_close(s);
}

static int reason_length(void *ctx, const struct change *change)
{
	*(size_t *)ctx = strlen(change->why);
	return 0;
}

TEST(a_long_reason_is_cut_and_a_huge_document_refused)
{
	struct change change = fixture_change("a", "trouble");
	struct store_resv resv = fixture_resv("a");
	char *huge = malloc((2 << 20) + 1);
	size_t len = 0;
	struct store *s;

	CHECK(huge);
	memset(huge, 'x', 2 << 20);
	huge[2 << 20] = '\0';
	resv.document = huge;
	fixture_new();
	s = fixture_open(NULL);
	CHECK_EQ(store_reserve(s, &resv, NULL, NULL), -EMSGSIZE);
	huge[5000] = '\0';
	change.why = huge;
	CHECK_EQ(store_change(s, &change, NULL), 0);
	CHECK_EQ(store_history(s, "a", reason_length, &len, NULL), 0);
	CHECK_EQ(len, 1000);
	store_close(s);
	free(huge);
}

TEST(what_was_probed_is_kept_for_this_boot)
{
	struct store_opened report;
	char *value = (char *)"untouched";
	struct store *s;

	fixture_new();
	s = fixture_open(NULL);
	CHECK_EQ(store_probe_get(s, "ceiling", &value, NULL), 0);
	CHECK(!value);
	CHECK_EQ(store_probe_put(s, "ceiling", "949999", NULL), 0);
	CHECK_EQ(store_probe_put(s, "ceiling", "950000", NULL), 0);
	store_close(s);

	s = fixture_open(NULL);
	CHECK_EQ(store_probe_get(s, "ceiling", &value, NULL), 0);
	CHECK_TEXT(value, "950000");
	free(value);
	store_close(s);

	CHECK_EQ(store_open(fixture_dir, "boot-2", &s, &report, NULL), 0);
	CHECK(report.rebooted);
	CHECK_EQ(store_probe_get(s, "ceiling", &value, NULL), 0);
	CHECK(!value);
	store_close(s);
}

TEST(a_reboot_frees_what_the_kernel_freed_and_keeps_the_promises)
{
	struct store_binding b = { "c1", "/c1", 12, 99 };
	struct store_opened report;
	struct store *s;

	fixture_new();
	s = fixture_open(&report);
	CHECK(report.created && !report.rebooted);
	CHECK_EQ(fixture_reserve(s, "camera", NULL), 0);
	CHECK_EQ(fixture_reserve(s, "arm", NULL), 0);
	CHECK_EQ(store_bind(s, "camera", &b, NULL, NULL), 0);
	CHECK_EQ(store_attach(s, "arm", 13, 100, NULL, NULL), 0);
	store_close(s);

	s = fixture_open(&report);
	CHECK(!report.created && !report.rebooted);
	store_close(s);

	CHECK_EQ(store_open(fixture_dir, "boot-2", &s, &report, NULL), 0);
	CHECK(report.rebooted && !report.created);
	CHECK_TEXT(fixture_content(s), "camera arm ");
	store_close(s);
}
