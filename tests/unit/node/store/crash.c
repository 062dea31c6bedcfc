// SPDX-License-Identifier: Apache-2.0
/*
 * Kills a child at every fault point that it passes, at every pass, and looks at what is left:
 * every acknowledged step is there, at most one more is, and none is there by half.
 */
#include "test.h"
#include "fixture.h"

#include <signal.h>
#include <sys/wait.h>

#define POINTS_MAX 64

/* The content after each step, in fixture_content()'s words. */
static const char *const after[] = {
	"",
	"a ",
	"a b ",
	"a b a@c1!12 ",
	"a b a@c1!12 b:7/70 ",
	"a b a@c1!12 b:7/70 ",
	"a b a@c1!12 ",
	"a b ",
	"a ",
	"a ",
};
#define STEPS ((int)(sizeof(after) / sizeof(after[0])) - 1)

static int step(struct store *s, int n)
{
	struct store_binding binding = { "c1", "/c1", 12, 99 };
	struct change change = fixture_change("a", "trouble");

	switch (n) {
	case 1:
		return fixture_reserve(s, "a", NULL);
	case 2:
		return fixture_reserve(s, "b", NULL);
	case 3:
		change.what = "bound";
		return store_bind(s, "a", &binding, &change, NULL);
	case 4:
		return store_attach(s, "b", 7, 70, NULL, NULL);
	case 5:
		return store_change(s, &change, NULL);
	case 6:
		return store_detach(s, "b", 7, NULL, NULL);
	case 7:
		change.what = "unbound";
		return store_unbind(s, "a", 12, 99, &change, NULL);
	case 8:
		return store_release(s, "b", false, NULL, NULL);
	case 9:
		return store_probe_put(s, "k", "v", NULL);
	default:
		return -EINVAL;
	}
}

/* In the child: opens, takes every step, and acknowledges each by a byte. */
static void life(int ack)
{
	struct store_opened report;
	struct store *s = NULL;

	if (store_open(fixture_dir, "boot-1", &s, &report, NULL) < 0)
		_exit(1);
	for (int n = 1; n <= STEPS; n++)
		if (step(s, n) < 0 || write(ack, "", 1) != 1)
			_exit(1);
	store_close(s);
	_exit(0);
}

/* Returns how many steps were acknowledged; *ret_status as of waitpid(2). */
static int run_life(const char *fault, const char *list, int *ret_status)
{
	char acks[STEPS + 1];
	int pipes[2], n;
	pid_t child;

	CHECK(pipe(pipes) == 0);
	child = fork();
	if (child == 0) {
		close(pipes[0]);
		if (fault)
			setenv("TAKT_FAULT", fault, 1);
		if (list)
			setenv("TAKT_FAULT_LIST", list, 1);
		life(pipes[1]);
	}
	close(pipes[1]);
	CHECK(waitpid(child, ret_status, 0) == child);
	n = (int)read(pipes[0], acks, sizeof(acks));
	close(pipes[0]);
	return n > 0 ? n : 0;
}

static int list_points(char points[POINTS_MAX][64])
{
	char list[300];
	int n = 0, status;
	FILE *file;

	fixture_new();
	snprintf(list, sizeof(list), "%s.points", fixture_dir);
	CHECK_EQ(run_life(NULL, list, &status), STEPS);
	CHECK_EQ(status, 0);
	file = fopen(list, "re");
	CHECK(file);
	while (n < POINTS_MAX && fscanf(file, "%63s", points[n]) == 1)
		n++;
	fclose(file);
	return n;
}

static int passes_before(char points[POINTS_MAX][64], int at)
{
	int n = 0;

	for (int i = 0; i <= at; i++)
		n += strcmp(points[i], points[at]) == 0;
	return n;
}

static bool history_is_whole(struct store *s, const char *content)
{
	const char *history = fixture_history(s, "a");

	if (content[0] == '\0')
		return history[0] == '\0';
	if (strstr(content, "a@c1!"))
		return strncmp(history, "reserved bound ", 15) == 0;
	return strncmp(history, "reserved ", 9) == 0;
}

static void check_left(const char *fault, int acknowledged)
{
	struct store_opened report;
	struct store *s = fixture_open(&report);
	const char *content = fixture_content(s);

	CHECK(!report.set_aside[0]);
	if (strcmp(content, after[acknowledged]) != 0 &&
		(acknowledged == STEPS || strcmp(content, after[acknowledged + 1]) != 0))
		fail_msg("%s: after %d steps: %s", fault, acknowledged, content);
	if (!history_is_whole(s, content))
		fail_msg("%s: %s: history of a: %s", fault, content, fixture_history(s, "a"));
	store_close(s);
}

TEST(a_kill_at_any_fault_point_loses_nothing_acknowledged_and_leaves_nothing_half)
{
	static char points[POINTS_MAX][64];
	int n = list_points(points);

	CHECK(n >= 2 * STEPS);
	for (int i = 0; i < n; i++) {
		char fault[96];
		int status, acknowledged;

		fixture_new();
		snprintf(fault, sizeof(fault), "%s:%d", points[i], passes_before(points, i));
		acknowledged = run_life(fault, NULL, &status);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		check_left(fault, acknowledged);
	}
}

TEST(a_point_after_the_commit_is_after_it)
{
	struct store *s;
	int status;

	fixture_new();
	CHECK_EQ(run_life("store.reserve.committed:2", NULL, &status), 1);
	s = fixture_open(NULL);
	CHECK_TEXT(fixture_content(s), "a b ");
	store_close(s);

	fixture_new();
	CHECK_EQ(run_life("store.reserve.commit:2", NULL, &status), 1);
	s = fixture_open(NULL);
	CHECK_TEXT(fixture_content(s), "a ");
	store_close(s);
}

/* Killed while it sets a damaged database aside: no later start may take a part for the whole. */
TEST(a_kill_while_setting_aside_keeps_every_byte)
{
	static const char *const faults[] = { "store.aside-journal", "store.aside",
		"store.aside-wal", "store.aside-shm" };

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct dirent *entry;
		int status, kept = 0;
		FILE *file;
		DIR *dir;

		fixture_new();
		CHECK(mkdir(fixture_dir, 0700) == 0);
		file = fopen(fixture_path(STORE_FILE), "we");
		CHECK(file && fputs("damaged", file) >= 0 && fclose(file) == 0);
		file = fopen(fixture_path(STORE_FILE "-wal"), "we");
		CHECK(file && fputs("its log", file) >= 0 && fclose(file) == 0);
		CHECK_EQ(run_life(faults[i], NULL, &status), 0);
		CHECK(WIFSIGNALED(status));
		store_close(fixture_open(NULL));
		dir = opendir(fixture_dir);
		while ((entry = readdir(dir))) {
			struct stat st;

			kept += strstr(entry->d_name, ".damaged-") &&
				stat(fixture_path(entry->d_name), &st) == 0 && st.st_size == 7;
		}
		closedir(dir);
		CHECK_EQ(kept, 2);
	}
}

/* At random moments as well, not only at the places that we thought of. */
TEST(a_kill_at_any_moment_loses_nothing_acknowledged)
{
	unsigned seed = 7;

	for (int round = 0; round < 60; round++) {
		struct store *s;
		int pipes[2], status, acknowledged = 0;
		char acks[256], name[16];
		pid_t child;

		fixture_new();
		CHECK(pipe(pipes) == 0);
		child = fork();
		if (child == 0) {
			struct store_opened report;

			close(pipes[0]);
			if (store_open(fixture_dir, "boot-1", &s, &report, NULL) < 0)
				_exit(1);
			for (int n = 0; n < 200; n++) {
				snprintf(name, sizeof(name), "r%d", n);
				if (fixture_reserve(s, name, NULL) < 0 ||
					write(pipes[1], "", 1) != 1)
					_exit(1);
			}
			pause();
		}
		close(pipes[1]);
		usleep(rand_r(&seed) % 20000);
		CHECK(kill(child, SIGKILL) == 0);
		CHECK(waitpid(child, &status, 0) == child);
		CHECK(WIFSIGNALED(status));
		acknowledged = (int)read(pipes[0], acks, sizeof(acks));
		close(pipes[0]);
		s = fixture_open(NULL);
		for (int n = 0; n < acknowledged; n++) {
			snprintf(name, sizeof(name), "r%d ", n);
			CHECK(strstr(fixture_content(s), name));
			name[strlen(name) - 1] = '\0';
			CHECK_TEXT(fixture_history(s, name), "reserved ");
		}
		store_close(s);
	}
}
