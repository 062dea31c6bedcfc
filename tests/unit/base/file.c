// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static char folder[64];
static int folder_fd = -1;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

__attribute__((destructor)) static void folder_remove(void)
{
	if (folder_fd < 0)
		return;
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	close(folder_fd);
	folder_fd = -1;
}

static void folder_new(void)
{
	folder_remove();
	strcpy(folder, "/tmp/takt-file-XXXXXX");
	CHECK(mkdtemp(folder));
	folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(folder_fd >= 0);
}

static int replace(const char *name, const char *text)
{
	return file_replace(folder_fd, name, (struct bytes){ text, strlen(text) }, 0644, NULL);
}

static void check_content(const char *name, const char *expect)
{
	char *text = NULL;
	size_t len = 0;

	CHECK_EQ(file_read(folder_fd, name, 1 << 20, &text, &len, NULL), 0);
	CHECK_EQ(len, strlen(expect));
	CHECK_TEXT(text, expect);
	free(text);
}

TEST(a_file_is_replaced_whole_and_nothing_is_left_beside_it)
{
	struct stat st;

	folder_new();
	umask(0077);
	CHECK_EQ(replace("a", "a long first content"), 0);
	check_content("a", "a long first content");
	CHECK_EQ(replace("a", "short"), 0);
	check_content("a", "short");
	CHECK_EQ(replace("a", ""), 0);
	check_content("a", "");
	CHECK(fstatat(folder_fd, "a", &st, 0) == 0 && (st.st_mode & 0777) == 0644);
	CHECK(faccessat(folder_fd, ".a.tmp", F_OK, 0) < 0);
}

TEST(an_open_reader_keeps_the_content_that_it_opened)
{
	char buf[16] = { 0 };
	int fd;

	folder_new();
	CHECK_EQ(replace("a", "old"), 0);
	fd = openat(folder_fd, "a", O_RDONLY | O_CLOEXEC);
	CHECK_EQ(replace("a", "new"), 0);
	CHECK_EQ(read(fd, buf, sizeof(buf)), 3);
	CHECK_TEXT(buf, "old");
	close(fd);
}

TEST(what_a_killed_writer_left_is_written_over)
{
	folder_new();
	CHECK_EQ(replace(".a.tmp", "half of something that was longer than what comes"), 0);
	CHECK_EQ(replace("a", "whole"), 0);
	check_content("a", "whole");
	CHECK(faccessat(folder_fd, ".a.tmp", F_OK, 0) < 0);
}

TEST(a_writer_does_not_disturb_another_one)
{
	struct err err = ERR_NULL;
	int fd;

	folder_new();
	fd = openat(folder_fd, ".a.tmp", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && flock(fd, LOCK_EX) == 0);
	CHECK_EQ(file_replace(folder_fd, "a", (struct bytes){ "x", 1 }, 0644, &err), -EBUSY);
	CHECK_TEXT(err.text, "another process is writing .a.tmp");
	CHECK_EQ(file_sweep_temporary(folder_fd, "a", NULL), 0);
	close(fd);
	CHECK_EQ(file_sweep_temporary(folder_fd, "a", NULL), 1);
}

TEST(a_sweep_takes_only_the_temporary_files_of_its_prefix)
{
	folder_new();
	CHECK_EQ(replace(".ours-1.tmp", ""), 0);
	CHECK_EQ(replace(".other-1.tmp", ""), 0);
	CHECK_EQ(replace("ours-1.tmp", ""), 0);
	CHECK_EQ(replace(".ours-1", ""), 0);
	CHECK_EQ(mkdirat(folder_fd, ".ours-2.tmp", 0700), 0);
	CHECK_EQ(file_sweep_temporary(folder_fd, "ours-", NULL), 1);
	CHECK(faccessat(folder_fd, ".ours-1.tmp", F_OK, 0) < 0);
	CHECK(faccessat(folder_fd, ".other-1.tmp", F_OK, 0) == 0);
	CHECK(faccessat(folder_fd, "ours-1.tmp", F_OK, 0) == 0);
	CHECK(faccessat(folder_fd, ".ours-1", F_OK, 0) == 0);
	CHECK(faccessat(folder_fd, ".ours-2.tmp", F_OK, 0) == 0);
}

static int read_linked(const char *name, size_t max, char **ret, size_t *ret_len)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", folder_fd, name);
	return file_read_linked(path, max, ret, ret_len, NULL);
}

TEST(only_a_regular_file_of_bounded_size_is_read)
{
	struct err err = ERR_NULL;
	char *text = NULL;
	size_t len = 0;

	folder_new();
	CHECK_EQ(replace("a", "12345"), 0);
	CHECK_EQ(file_read(folder_fd, "a", 5, &text, &len, NULL), 0);
	free(text);
	text = NULL;
	CHECK_EQ(file_read(folder_fd, "a", 4, &text, &len, &err), -EFBIG);
	CHECK_TEXT(err.text, "a is longer than 4 bytes");
	CHECK_EQ(file_read(folder_fd, "b", 4, &text, &len, NULL), -ENOENT);
	CHECK(symlinkat("a", folder_fd, "link") == 0);
	CHECK_EQ(file_read(folder_fd, "link", 9, &text, &len, NULL), -ELOOP);
	CHECK_EQ(read_linked("link", 9, &text, &len), 0);
	CHECK_TEXT(text, "12345");
	free(text);
	text = NULL;
	CHECK_EQ(read_linked("link", 4, &text, &len), -EFBIG);
	CHECK(mkfifoat(folder_fd, "fifo", 0600) == 0);
	CHECK_EQ(read_linked("fifo", 9, &text, &len), -EINVAL);
	CHECK_EQ(file_read(folder_fd, "fifo", 9, &text, &len, NULL), -EINVAL);
	CHECK_EQ(file_read(folder_fd, ".", 9, &text, &len, NULL), -EINVAL);
	CHECK(!text);
}

TEST(a_name_that_leaves_no_room_for_the_temporary_one_is_refused)
{
	char name[NAME_MAX + 1];

	memset(name, 'x', NAME_MAX);
	name[NAME_MAX] = '\0';
	folder_new();
	CHECK_EQ(replace(name, ""), -ENAMETOOLONG);
	name[NAME_MAX - 5] = '\0';
	CHECK_EQ(replace(name, ""), 0);
}

TEST(a_folder_in_the_place_of_the_file_is_an_error_and_leaves_nothing_behind)
{
	struct err err = ERR_NULL;

	folder_new();
	CHECK_EQ(mkdirat(folder_fd, "a", 0700), 0);
	CHECK_EQ(file_replace(folder_fd, "a", (struct bytes){ "x", 1 }, 0644, &err), -EISDIR);
	CHECK_TEXT(err.text, "cannot write a: Is a directory");
	CHECK(faccessat(folder_fd, ".a.tmp", F_OK, 0) < 0);
}
