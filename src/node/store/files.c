// SPDX-License-Identifier: Apache-2.0
/* The state folder and the files in it, without SQLite. */
#include "node/store/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/fault.h"

#define DATABASE_MIN 512 /* one page of the smallest size; SQLite takes 1 byte for empty */

/*
 * A database and what SQLite keeps beside it (sqlite.org/tempfiles.html), in the order in which
 * they may be renamed one by one: a log without its database is noticed, the reverse is not.
 */
enum { PART_JOURNAL, PART_DATABASE, PART_LOG, PART_INDEX, _PART_MAX };
static const char *const suffixes[_PART_MAX] = { "-journal", "", "-wal", "-shm" };

int folder_open(struct store *s, struct err *err)
{
	struct stat st;

	if (mkdir(s->dir, 0700) < 0 && errno != EEXIST)
		return err_set_errno(err, -errno, "cannot make the state folder %s", s->dir);
	s->dirfd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dirfd < 0 || fstat(s->dirfd, &st) < 0)
		return err_set_errno(err, -errno, "cannot open the state folder %s", s->dir);
	if (st.st_uid != geteuid())
		return err_set(err, -EPERM,
			"the state folder %s belongs to user %u, who may change it: chown it, or name "
			"another one",
			s->dir, (unsigned)st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return err_set(err, -EPERM,
			"others may write to the state folder %s: chmod 0700 it, or name another "
			"one",
			s->dir);
	return 0;
}

static int lock_open(struct store *s, struct err *err)
{
	s->lockfd =
		openat(s->dirfd, STORE_LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (s->lockfd < 0 && errno == EROFS)
		return store_error(s, SQLITE_READONLY, err);
	if (s->lockfd < 0 && (errno == ENOSPC || errno == EDQUOT))
		return store_error(s, SQLITE_FULL, err);
	if (s->lockfd < 0)
		return err_set_errno(err, -errno, "cannot open %s/" STORE_LOCK_FILE, s->dir);
	return 0;
}

/* fcntl(2) tells who holds the lock, and children do not inherit it. */
int folder_lock(struct store *s, struct err *err)
{
	struct flock lock = STORE_LOCK(F_WRLCK, STORE_LOCK_USE);
	char who[32] = "another agent";
	int r = lock_open(s, err);

	if (r < 0)
		return r;
	if (fcntl(s->lockfd, F_SETLK, &lock) == 0)
		return 0;
	if (errno != EAGAIN && errno != EACCES)
		return err_set_errno(err, -errno, "cannot lock %s/" STORE_LOCK_FILE, s->dir);
	if (fcntl(s->lockfd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK && lock.l_pid > 0)
		snprintf(who, sizeof(who), "process %d", (int)lock.l_pid);
	return err_set(err, -EAGAIN, "%s uses the state folder %s: end it, or name another folder",
		who, s->dir);
}

int folder_stand_by(struct store *s, struct err *err)
{
	struct flock lock = STORE_LOCK(F_RDLCK, STORE_LOCK_STAND_BY);
	int r = lock_open(s, err);

	if (r == 0 && fcntl(s->lockfd, F_SETLK, &lock) < 0)
		return err_set_errno(err, -errno, "cannot lock %s/" STORE_LOCK_FILE, s->dir);
	return r;
}

int store_wait(int fd)
{
	struct flock lock = STORE_LOCK(F_WRLCK, STORE_LOCK_USE);
	struct flock stand_by = STORE_LOCK(F_UNLCK, STORE_LOCK_STAND_BY);

	return fcntl(fd, F_SETLKW, &lock) < 0 || fcntl(fd, F_SETLK, &stand_by) < 0 ? -errno : 0;
}

const char *files_fault(const struct store *s)
{
	off_t sizes[_PART_MAX] = { 0 };

	for (size_t i = 0; i < _PART_MAX; i++) {
		char name[64];
		struct stat st;

		snprintf(name, sizeof(name), STORE_FILE "%s", suffixes[i]);
		if (fstatat(s->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (!S_ISREG(st.st_mode))
			return "not a regular file";
		sizes[i] = st.st_size;
	}
	if (sizes[PART_DATABASE] > 0 && sizes[PART_DATABASE] < DATABASE_MIN)
		return "too short for a database";
	return sizes[PART_DATABASE] == 0 && sizes[PART_LOG] > 0 ? "empty, while its log is not"
								: NULL;
}

int database_make(struct store *s, bool *ret_created, struct err *err)
{
	cleanup_fd int fd =
		openat(s->dirfd, STORE_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0 && (errno == ENOSPC || errno == EDQUOT))
		return store_error(s, SQLITE_FULL, err);
	if (fd < 0 || fstat(fd, &st) < 0 || fchmod(fd, 0600) < 0)
		return err_set_errno(err, -errno, "cannot open %s/" STORE_FILE, s->dir);
	*ret_created = st.st_size == 0;
	return 0;
}

static bool name_is_free(const struct store *s, const char *base)
{
	for (size_t i = 0; i < _PART_MAX; i++) {
		char name[NAME_MAX + 1];
		struct stat st;

		snprintf(name, sizeof(name), "%.200s%s", base, suffixes[i]);
		if (fstatat(s->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			return false;
	}
	return true;
}

/* The database keeps its log under the name that SQLite expects, so that it can still be read. */
int files_set_aside(struct store *s, struct store_opened *report, struct err *err)
{
	char stamp[32], *to = report->set_aside;
	time_t now = time(NULL);
	struct tm tm;

	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	snprintf(to, sizeof(report->set_aside), STORE_FILE ".damaged-%s", stamp);
	for (unsigned n = 2; !name_is_free(s, to); n++)
		snprintf(to, sizeof(report->set_aside), STORE_FILE ".damaged-%s.%u", stamp, n);
	for (size_t i = 0; i < _PART_MAX; i++) {
		char old[64], new[NAME_MAX + 1];

		snprintf(old, sizeof(old), STORE_FILE "%s", suffixes[i]);
		snprintf(new, sizeof(new), "%.200s%s", to, suffixes[i]);
		fault_point("store.aside%s", suffixes[i]);
		if (renameat(s->dirfd, old, s->dirfd, new) < 0 && errno != ENOENT)
			return err_set_errno(err, -errno,
				"cannot set aside %s/%s, which is damaged", s->dir, old);
	}
	report->created = true;
	return 0;
}
