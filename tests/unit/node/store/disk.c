// SPDX-License-Identifier: Apache-2.0
/* Real small disks: a tmpfs in a mount namespace of this program, gone with it. */
#include "test.h"
#include "fixture.h"

#include <sched.h>
#include <sys/mount.h>

static char disk[64];

/* Why there is no disk; NULL: there is one of `size` at `disk`. */
static const char *disk_new(const char *size)
{
	char options[64];

	if (!disk[0]) {
		if (unshare(CLONE_NEWNS) < 0 ||
			mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
			return "no mount namespace: needs root";
		strcpy(disk, "/tmp/takt-disk-XXXXXX");
		if (!mkdtemp(disk))
			return "no folder in /tmp";
	} else {
		umount2(disk, MNT_DETACH);
	}
	snprintf(options, sizeof(options), "size=%s,mode=0700", size);
	if (mount("takt", disk, "tmpfs", 0, options) < 0)
		return "no tmpfs: needs root";
	snprintf(fixture_dir, sizeof(fixture_dir), "%s/state", disk);
	return NULL;
}

__attribute__((destructor)) static void disk_remove(void)
{
	if (!disk[0])
		return;
	umount2(disk, MNT_DETACH);
	rmdir(disk);
}

static void disk_fill(void)
{
	char path[128], block[512] = { 1 };
	int fd;

	snprintf(path, sizeof(path), "%s/filler", disk);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	while (write(fd, block, sizeof(block)) > 0)
		;
	CHECK_EQ(errno, ENOSPC);
	close(fd);
}

static void disk_free(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/filler", disk);
	CHECK(unlink(path) == 0);
}

/* Reserves p0, p1, ... until it fails; returns how many were promised. */
static int reserve_until_full(struct store *s, struct err *err)
{
	char name[16];
	int n = 0;

	do
		snprintf(name, sizeof(name), "p%d", n++);
	while (fixture_reserve(s, name, err) == 0 && n < 10000);
	return n - 1;
}

static int count_resv(void *ctx, const struct store_resv *r)
{
	char name[16];

	snprintf(name, sizeof(name), "p%d", (*(int *)ctx)++);
	CHECK_TEXT(r->name, name);
	return 0;
}

static int promises(struct store *s)
{
	const struct store_reader reader = { count_resv, fixture_each_binding,
		fixture_each_thread };
	int n = 0;

	CHECK_EQ(store_load(s, &reader, &n, NULL), 0);
	return n;
}

TEST(on_a_full_disk_nothing_changes_and_it_goes_on_when_there_is_room)
{
	const char *why = disk_new("4m");
	struct err err = ERR_NULL;
	struct store *s;
	char next[16];
	int n;

	if (why)
		SKIP(why);
	s = fixture_open(NULL);
	disk_fill();
	n = reserve_until_full(s, &err);
	CHECK_EQ(err.code, -ENOSPC);
	CHECK(strstr(err.text, "no room is left on the disk of "));
	CHECK(strstr(err.text, disk));
	CHECK_EQ(promises(s), n);
	err = ERR_NULL;
	CHECK_EQ(fixture_reserve(s, "late", &err), -ENOSPC);
	CHECK_TEXT(fixture_history(s, "late"), "");
	disk_free();
	snprintf(next, sizeof(next), "p%d", n);
	CHECK_EQ(fixture_reserve(s, next, NULL), 0);
	CHECK_EQ(promises(s), n + 1);
	store_close(s);
	s = fixture_open(NULL);
	CHECK_EQ(promises(s), n + 1);
	store_close(s);
}

TEST(every_promise_before_the_disk_was_full_is_there_after_a_restart)
{
	const char *why = disk_new("512k");
	struct store_opened report;
	struct err err = ERR_NULL;
	struct store *s;
	int n;

	if (why)
		SKIP(why);
	s = fixture_open(NULL);
	n = reserve_until_full(s, &err);
	CHECK_EQ(err.code, -ENOSPC);
	CHECK(n > 10);
	store_close(s);
	disk_fill();
	s = fixture_open(&report);
	CHECK(!report.set_aside[0] && !report.created);
	CHECK_EQ(promises(s), n);
	store_close(s);
}

TEST(a_full_disk_at_the_first_start_is_said_and_mended)
{
	const char *why = disk_new("64k");
	struct store_opened report;
	struct err err = ERR_NULL;
	struct store *s = NULL;

	if (why)
		SKIP(why);
	disk_fill();
	CHECK_EQ(store_open(fixture_dir, "boot-1", &s, &report, &err), -ENOSPC);
	CHECK(err.text[0] && !s);
	CHECK(!disk_new("1m"));
	s = fixture_open(&report);
	CHECK(report.created && !report.set_aside[0]);
	store_close(s);
}

TEST(a_read_only_disk_is_said_and_the_promises_stay)
{
	const char *why = disk_new("4m");
	struct store_opened report;
	struct err err = ERR_NULL;
	struct store *s;

	if (why)
		SKIP(why);
	s = fixture_open(NULL);
	CHECK_EQ(fixture_reserve(s, "p0", NULL), 0);
	store_close(s);
	CHECK(mount(NULL, disk, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
	s = NULL;
	CHECK_EQ(store_open(fixture_dir, "boot-1", &s, &report, &err), -EROFS);
	CHECK(strstr(err.text, "its disk is read-only"));
	CHECK(!s);
	CHECK(mount(NULL, disk, NULL, MS_REMOUNT, NULL) == 0);
	s = fixture_open(&report);
	CHECK(!report.created);
	CHECK_EQ(promises(s), 1);
	store_close(s);
}
