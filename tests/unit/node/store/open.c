// SPDX-License-Identifier: Apache-2.0
#include "test.h"
#include "fixture.h"

#include <sqlite3.h>
#include <sys/wait.h>

static void write_file(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(fd >= 0);
	CHECK_EQ(write(fd, data, len), len);
	close(fd);
}

static char *read_file(const char *path, size_t *ret_len)
{
	FILE *file = fopen(path, "re");
	char *data = malloc(1 << 20);

	CHECK(file && data);
	*ret_len = fread(data, 1, 1 << 20, file);
	fclose(file);
	return data;
}

static void store_with_promises(int n)
{
	struct store *s;

	fixture_new();
	s = fixture_open(NULL);
	for (int i = 0; i < n; i++) {
		char name[16];

		snprintf(name, sizeof(name), "r%d", i);
		CHECK_EQ(fixture_reserve(s, name, NULL), 0);
	}
	store_close(s);
}

static void sql(const char *text)
{
	sqlite3 *db = NULL;

	CHECK_EQ(sqlite3_open(fixture_path(STORE_FILE), &db), SQLITE_OK);
	CHECK_EQ(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* The file under its new name holds every byte that was there; the store works again. */
static void check_set_aside(const char *data, size_t len)
{
	struct store_opened report;
	struct store *s = fixture_open(&report);
	size_t kept_len;
	char *kept;

	CHECK(report.created && report.why[0]);
	CHECK(strncmp(report.set_aside, STORE_FILE ".damaged-", 16) == 0);
	kept = read_file(fixture_path(report.set_aside), &kept_len);
	CHECK_EQ(kept_len, len);
	CHECK(memcmp(kept, data, len) == 0);
	free(kept);
	CHECK_TEXT(fixture_content(s), "");
	CHECK_EQ(fixture_reserve(s, "new", NULL), 0);
	store_close(s);
	s = fixture_open(&report);
	CHECK(!report.created && !report.set_aside[0]);
	CHECK_TEXT(fixture_content(s), "new ");
	store_close(s);
}

TEST(the_folder_and_the_files_are_for_us_alone)
{
	struct dirent *entry;
	struct store_opened report;
	struct store *s;
	struct stat st;
	DIR *dir;

	fixture_new();
	s = fixture_open(&report);
	CHECK(report.created && !report.set_aside[0] && !report.rebooted);
	CHECK_EQ(fixture_reserve(s, "a", NULL), 0);
	CHECK(stat(fixture_dir, &st) == 0 && (st.st_mode & 0777) == 0700);
	dir = opendir(fixture_dir);
	CHECK(dir);
	while ((entry = readdir(dir))) {
		CHECK(stat(fixture_path(entry->d_name), &st) == 0);
		if (S_ISREG(st.st_mode))
			CHECK_EQ(st.st_mode & 0777, 0600);
	}
	closedir(dir);
	store_close(s);
}

TEST(a_database_that_others_could_read_is_closed_to_them)
{
	struct stat st;

	store_with_promises(1);
	CHECK(chmod(fixture_path(STORE_FILE), 0644) == 0);
	store_close(fixture_open(NULL));
	CHECK(stat(fixture_path(STORE_FILE), &st) == 0 && (st.st_mode & 0777) == 0600);
}

TEST(a_folder_that_others_may_write_to_is_refused_and_left_as_it_is)
{
	struct store_opened report;
	struct err err = ERR_NULL;
	struct store *s = NULL;
	struct stat st;

	fixture_new();
	CHECK(mkdir(fixture_dir, 0700) == 0 && chmod(fixture_dir, 01777) == 0);
	CHECK_EQ(store_open(fixture_dir, "b", &s, &report, &err), -EPERM);
	CHECK(strstr(err.text, "others may write to the state folder"));
	CHECK(stat(fixture_dir, &st) == 0 && (st.st_mode & 07777) == 01777);
	CHECK(access(fixture_path(STORE_FILE), F_OK) < 0);
}

TEST(a_folder_whose_parent_is_missing_is_named)
{
	struct store_opened report;
	struct err err = ERR_NULL;
	struct store *s = NULL;

	CHECK_EQ(store_open("/tmp/takt-no-such/state", "b", &s, &report, &err), -ENOENT);
	CHECK(strstr(err.text, "/tmp/takt-no-such/state"));
	CHECK(!s);
}

TEST(a_file_that_is_no_database_is_set_aside)
{
	static const char text[] = "this is somebody's shopping list, and rather a long one, too, "
				   "so that it could pass for a database header by its length: "
				   "milk, bread, salt";

	fixture_new();
	CHECK(mkdir(fixture_dir, 0700) == 0);
	write_file(fixture_path(STORE_FILE), text, sizeof(text));
	check_set_aside(text, sizeof(text));
}

TEST(a_short_file_is_set_aside)
{
	fixture_new();
	CHECK(mkdir(fixture_dir, 0700) == 0);
	write_file(fixture_path(STORE_FILE), "x", 1);
	check_set_aside("x", 1);
}

TEST(another_programs_database_is_set_aside)
{
	size_t len;
	char *data;

	fixture_new();
	CHECK(mkdir(fixture_dir, 0700) == 0);
	sql("CREATE TABLE songs (title TEXT); INSERT INTO songs VALUES ('Takt')");
	data = read_file(fixture_path(STORE_FILE), &len);
	check_set_aside(data, len);
	free(data);
}

TEST(a_database_with_another_application_id_is_set_aside)
{
	size_t len;
	char *data;

	store_with_promises(1);
	sql("PRAGMA application_id = 1");
	data = read_file(fixture_path(STORE_FILE), &len);
	check_set_aside(data, len);
	free(data);
}

TEST(a_truncated_database_is_set_aside)
{
	size_t len, cuts[] = { 50, 512, 4096, 6000, 8192 };
	char *data;

	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		store_with_promises(200);
		data = read_file(fixture_path(STORE_FILE), &len);
		CHECK(len > cuts[i]);
		CHECK(truncate(fixture_path(STORE_FILE), (off_t)cuts[i]) == 0);
		check_set_aside(data, cuts[i]);
		free(data);
	}
}

/* A flip inside a row's text cannot be seen; inside the structure it must be, or do no harm. */
TEST(a_database_with_a_page_of_rubbish_is_set_aside)
{
	size_t len;
	char *data;

	store_with_promises(200);
	data = read_file(fixture_path(STORE_FILE), &len);
	for (size_t page = 1; page * 4096 < len && page < 5; page++) {
		char *broken = malloc(len);

		CHECK(broken);
		memcpy(broken, data, len);
		for (size_t i = 0; i < 64; i++)
			broken[page * 4096 + i] ^= 0x5a;
		fixture_new();
		CHECK(mkdir(fixture_dir, 0700) == 0);
		write_file(fixture_path(STORE_FILE), broken, len);
		check_set_aside(broken, len);
		free(broken);
	}
	free(data);
}

/* Whatever single byte is flipped: no crash, and either the store opens or the file is kept. */
TEST(any_flipped_byte_is_survived)
{
	struct store_opened report;
	size_t len;
	char *data;

	store_with_promises(20);
	data = read_file(fixture_path(STORE_FILE), &len);
	for (size_t at = 0; at < len; at += at < 200 ? 1 : 97) {
		struct err err = ERR_NULL;
		struct store *s = NULL;
		int r;

		fixture_new();
		CHECK(mkdir(fixture_dir, 0700) == 0);
		data[at] ^= 0xff;
		write_file(fixture_path(STORE_FILE), data, len);
		data[at] ^= 0xff;
		r = store_open(fixture_dir, "boot-1", &s, &report, &err);
		if (r < 0 && r != -EPROTONOSUPPORT)
			fail_msg("byte %zu: %s", at, err.text);
		if (r == 0 && report.set_aside[0])
			CHECK(access(fixture_path(report.set_aside), F_OK) == 0);
		if (r == 0 && fixture_reserve(s, "new", &err) < 0)
			fail_msg("byte %zu: %s", at, err.text);
		store_close(s);
	}
	free(data);
}

TEST(a_log_without_its_database_is_set_aside_with_it)
{
	struct store_opened report;
	struct store *s;
	char aside[600];

	fixture_new();
	CHECK(mkdir(fixture_dir, 0700) == 0);
	write_file(fixture_path(STORE_FILE "-wal"), "something", 9);
	s = fixture_open(&report);
	snprintf(aside, sizeof(aside), "%s-wal", report.set_aside);
	CHECK(report.created);
	CHECK(access(fixture_path(aside), F_OK) == 0);
	store_close(s);
}

TEST(a_folder_in_the_place_of_the_database_is_set_aside)
{
	struct store_opened report;
	struct store *s;

	fixture_new();
	CHECK(mkdir(fixture_dir, 0700) == 0 && mkdir(fixture_path(STORE_FILE), 0700) == 0);
	write_file(fixture_path(STORE_FILE "/letter"), "dear", 4);
	s = fixture_open(&report);
	CHECK_TEXT(report.why, "not a regular file");
	CHECK(access(fixture_path(report.set_aside), F_OK) == 0);
	store_close(s);
}

TEST(two_damaged_files_in_one_second_get_two_names)
{
	struct store_opened report;
	char first[256];

	fixture_new();
	CHECK(mkdir(fixture_dir, 0700) == 0);
	for (int i = 0; i < 3; i++) {
		write_file(fixture_path(STORE_FILE), &"abc"[i], 1);
		store_close(fixture_open(&report));
		CHECK(i == 0 || strcmp(first, report.set_aside) != 0);
		snprintf(first, sizeof(first), "%s", report.set_aside);
	}
}

TEST(foreign_files_in_the_folder_are_left_alone)
{
	size_t len;
	char *data;

	fixture_new();
	CHECK(mkdir(fixture_dir, 0700) == 0);
	write_file(fixture_path("notes.txt"), "mine", 4);
	write_file(fixture_path("takt.db.bak"), "old", 3);
	store_close(fixture_open(NULL));
	data = read_file(fixture_path("notes.txt"), &len);
	CHECK(len == 4 && memcmp(data, "mine", 4) == 0);
	free(data);
	data = read_file(fixture_path("takt.db.bak"), &len);
	CHECK(len == 3 && memcmp(data, "old", 3) == 0);
	free(data);
}

/* As the first version of the tables had it. */
TEST(what_an_older_version_bound_is_bound)
{
	struct store *s;

	fixture_new();
	store_close(fixture_open(NULL));
	sql("DROP TABLE binding; ALTER TABLE reservation DROP COLUMN shareable;"
	    "ALTER TABLE reservation DROP COLUMN cpus;"
	    "ALTER TABLE reservation ADD COLUMN container TEXT;"
	    "ALTER TABLE reservation ADD COLUMN cgroup TEXT;"
	    "ALTER TABLE reservation ADD COLUMN pid INTEGER NOT NULL DEFAULT 0;"
	    "ALTER TABLE reservation ADD COLUMN pid_start INTEGER NOT NULL DEFAULT 0;"
	    "ALTER TABLE reservation ADD COLUMN program INTEGER NOT NULL DEFAULT 0;"
	    "ALTER TABLE reservation ADD COLUMN by_attach INTEGER NOT NULL DEFAULT 0;"
	    "INSERT INTO reservation (name, document, container, pid, placement, transient,"
	    " created_ms) VALUES ('camera', '{}', 'c1', 12, 'shared', 0, 0),"
	    " ('arm', '{}', NULL, 0, 'shared', 1, 0); PRAGMA user_version = 1");
	s = fixture_open(NULL);
	CHECK_TEXT(fixture_content(s), "camera arm~ camera@c1!12 ");
	store_close(s);
}

TEST(a_newer_schema_is_refused_and_left_untouched)
{
	struct store_opened report;
	struct err err = ERR_NULL;
	struct store *s = NULL;
	size_t len, after_len;
	char *data, *after;

	store_with_promises(3);
	sql("PRAGMA user_version = 99");
	data = read_file(fixture_path(STORE_FILE), &len);
	CHECK_EQ(store_open(fixture_dir, "boot-2", &s, &report, &err), -EPROTONOSUPPORT);
	CHECK(strstr(err.text, "newer Takt"));
	CHECK(strstr(err.text, "99"));
	after = read_file(fixture_path(STORE_FILE), &after_len);
	CHECK(len == after_len && memcmp(data, after, len) == 0);
	free(data);
	free(after);
}

TEST(a_newer_schema_that_is_still_in_the_log_is_left_untouched)
{
	struct store_opened report;
	struct err err = ERR_NULL;
	struct store *s = NULL;
	size_t db_len, log_len, len;
	char *db, *log, *after;
	pid_t child;

	store_with_promises(3);
	child = fork();
	if (child == 0) {
		sqlite3 *other = NULL;

		sqlite3_open(fixture_path(STORE_FILE), &other);
		sqlite3_exec(other,
			"PRAGMA locking_mode = EXCLUSIVE; PRAGMA user_version = 99;"
			"CREATE TABLE future (x)",
			NULL, NULL, NULL);
		_exit(0);
	}
	CHECK(waitpid(child, NULL, 0) == child);
	db = read_file(fixture_path(STORE_FILE), &db_len);
	log = read_file(fixture_path(STORE_FILE "-wal"), &log_len);
	CHECK(log_len > 0);
	CHECK_EQ(store_open(fixture_dir, "boot-2", &s, &report, &err), -EPROTONOSUPPORT);
	after = read_file(fixture_path(STORE_FILE), &len);
	CHECK(len == db_len && memcmp(db, after, len) == 0);
	free(after);
	after = read_file(fixture_path(STORE_FILE "-wal"), &len);
	CHECK(len == log_len && memcmp(log, after, len) == 0);
	free(after);
	free(db);
	free(log);
}

/* What a crash before the first migration leaves. */
TEST(an_empty_database_of_ours_gets_its_tables)
{
	struct store_opened report;
	struct store *s;

	fixture_new();
	CHECK(mkdir(fixture_dir, 0700) == 0);
	write_file(fixture_path(STORE_FILE), "", 0);
	s = fixture_open(&report);
	CHECK(report.created && !report.set_aside[0]);
	CHECK_EQ(fixture_reserve(s, "a", NULL), 0);
	store_close(s);

	fixture_new();
	CHECK(mkdir(fixture_dir, 0700) == 0);
	sql("PRAGMA journal_mode = WAL");
	s = fixture_open(&report);
	CHECK(!report.set_aside[0]);
	CHECK_EQ(fixture_reserve(s, "a", NULL), 0);
	store_close(s);
}

/* A child that has the store, with the promise `theirs`, until the pipe is closed. */
static pid_t child_with_store(int *ret_pipe)
{
	int ready[2], done[2];
	struct store_opened report;
	struct store *s = NULL;
	char c = 0;
	pid_t child;

	CHECK(pipe(ready) == 0 && pipe(done) == 0);
	child = fork();
	if (child == 0) {
		close(done[1]);
		if (store_open(fixture_dir, "boot-1", &s, &report, NULL) < 0 ||
			fixture_reserve(s, "theirs", NULL) < 0 || write(ready[1], "r", 1) != 1)
			_exit(1);
		_exit(read(done[0], &c, 1) == 0 ? 0 : 1);
	}
	close(ready[1]);
	close(done[0]);
	CHECK_EQ(read(ready[0], &c, 1), 1);
	close(ready[0]);
	*ret_pipe = done[1];
	return child;
}

TEST(two_agents_cannot_use_one_folder)
{
	struct store_opened report;
	struct err err = ERR_NULL;
	struct store *s = NULL;
	char expect[64];
	int done, status;
	pid_t child;

	fixture_new();
	child = child_with_store(&done);
	CHECK_EQ(store_open(fixture_dir, "boot-1", &s, &report, &err), -EAGAIN);
	snprintf(expect, sizeof(expect), "process %d uses the state folder", (int)child);
	CHECK(strstr(err.text, expect));
	close(done);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	s = fixture_open(NULL);
	CHECK_TEXT(fixture_content(s), "theirs ");
	store_close(s);
}

/* Asked by another process: one's own locks are in nobody's way, and closing the file ends them. */
static bool is_stood_by(void)
{
	pid_t asker = fork();
	int status = 0;

	if (asker == 0) {
		struct flock lock = { .l_type = F_WRLCK, .l_start = 1, .l_len = 1 };
		char path[300];

		snprintf(path, sizeof(path), "%s/takt.lock", fixture_dir);
		_exit(fcntl(open(path, O_RDONLY | O_CLOEXEC), F_GETLK, &lock) == 0 &&
			lock.l_type != F_UNLCK);
	}
	CHECK(waitpid(asker, &status, 0) == asker);
	return WEXITSTATUS(status) == 1;
}

TEST(an_agent_that_stands_by_is_seen_and_has_the_store_when_the_other_one_ends)
{
	struct err err = ERR_NULL;
	int fd = -1, done, status;
	pid_t child;

	fixture_new();
	child = child_with_store(&done);
	CHECK(!is_stood_by());
	CHECK_EQ(store_stand_by(fixture_dir, &fd, &err), 0);
	CHECK(is_stood_by());
	close(done);
	CHECK_EQ(store_wait(fd), 0);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(!is_stood_by());
	store_close(fixture_open(NULL));
	close(fd);
}
