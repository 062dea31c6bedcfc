// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fault.h"

#define TEMP_SUFFIX ".tmp"

static int temp_name(char buf[static NAME_MAX + 1], const char *name, struct err *err)
{
	int n = snprintf(buf, NAME_MAX + 1, ".%s" TEMP_SUFFIX, name);

	if (n > NAME_MAX)
		return err_set(err, -ENAMETOOLONG, "the name %s is too long for a file", name);
	return 0;
}

static bool same_file(int dirfd, const char *name, int fd)
{
	struct stat by_name, by_fd;

	return fstatat(dirfd, name, &by_name, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &by_fd) == 0 &&
	       by_name.st_ino == by_fd.st_ino && by_name.st_dev == by_fd.st_dev;
}

/*
 * Between open and flock another writer may have renamed the file to its real name, or a sweep
 * removed it: then the lock is on something that is no longer the temporary file.
 */
static int temp_open(int dirfd, const char *temp, int *ret_fd, struct err *err)
{
	for (;;) {
		cleanup_fd int fd = openat(dirfd, temp,
			O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);

		if (fd < 0)
			return err_set_errno(err, -errno, "cannot make %s", temp);
		if (flock(fd, LOCK_EX | LOCK_NB) < 0)
			return errno == EWOULDBLOCK
				       ? err_set(err, -EBUSY, "another process is writing %s", temp)
				       : err_set_errno(err, -errno, "cannot lock %s", temp);
		if (!same_file(dirfd, temp, fd))
			continue;
		*ret_fd = TAKE_FD(fd);
		return 0;
	}
}

static int write_all(int fd, struct bytes data)
{
	while (data.len > 0) {
		ssize_t n = write(fd, data.at, data.len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			data = bytes_skip(data, (size_t)n);
	}
	return 0;
}

static int temp_fill(int fd, struct bytes data, mode_t mode)
{
	int r;

	if (ftruncate(fd, 0) < 0)
		return -errno;
	r = write_all(fd, data);
	if (r < 0)
		return r;
	return fchmod(fd, mode) < 0 ? -errno : 0;
}

int file_replace(int dirfd, const char *name, struct bytes data, mode_t mode, struct err *err)
{
	char temp[NAME_MAX + 1];
	cleanup_fd int fd = -1;
	int r = temp_name(temp, name, err);

	if (r < 0)
		return r;
	r = temp_open(dirfd, temp, &fd, err);
	if (r < 0)
		return r;
	fault_point("file.replace.temporary");
	r = temp_fill(fd, data, mode);
	fault_point("file.replace.written");
	if (r == 0 && renameat(dirfd, temp, dirfd, name) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(dirfd, temp, 0);
		return err_set_errno(err, r, "cannot write %s", name);
	}
	fault_point("file.replace.renamed");
	return 0;
}

static int read_all(int fd, char *buf, size_t max, size_t *ret_len)
{
	size_t len = 0;

	while (len < max) {
		ssize_t n = read(fd, buf + len, max - len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			break;
		if (n > 0)
			len += (size_t)n;
	}
	*ret_len = len;
	return 0;
}

/* fd is -1 with errno where it could not be opened. */
static int read_whole(
	int fd, const char *name, size_t max, char **ret, size_t *ret_len, struct err *err)
{
	cleanup_free char *buf = NULL;
	struct stat st;
	size_t size, len = 0;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set_errno(err, -errno, "cannot read %s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "%s is not a regular file", name);
	size = st.st_size;
	if (size > max)
		return err_set(err, -EFBIG, "%s is longer than %zu bytes", name, max);
	buf = malloc(size + 2);
	if (!buf)
		return err_set_errno(err, -ENOMEM, "cannot read %s", name);
	/* One more than its size: it may just have grown. */
	r = read_all(fd, buf, size + 1, &len);
	if (r < 0)
		return err_set_errno(err, r, "cannot read %s", name);
	if (len > size)
		return err_set(err, -EAGAIN, "%s changed while it was read", name);
	buf[len] = '\0';
	*ret = TAKE(buf);
	*ret_len = len;
	return 0;
}

#define READ_FLAGS (O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

int file_read(int dirfd, const char *name, size_t max, char **ret, size_t *ret_len, struct err *err)
{
	cleanup_fd int fd = openat(dirfd, name, READ_FLAGS | O_NOFOLLOW);

	return read_whole(fd, name, max, ret, ret_len, err);
}

int file_read_linked(const char *path, size_t max, char **ret, size_t *ret_len, struct err *err)
{
	cleanup_fd int fd = open(path, READ_FLAGS);

	return read_whole(fd, path, max, ret, ret_len, err);
}

static bool is_temporary(const char *file, const char *prefix)
{
	size_t len = strlen(file), prefix_len = strlen(prefix), suffix_len = strlen(TEMP_SUFFIX);

	return len >= 1 + prefix_len + suffix_len && file[0] == '.' &&
	       strncmp(file + 1, prefix, prefix_len) == 0 &&
	       strcmp(file + len - suffix_len, TEMP_SUFFIX) == 0;
}

/* Its writer holds the lock as long as it lives. */
static bool temp_remove(int dirfd, const char *temp)
{
	cleanup_fd int fd =
		openat(dirfd, temp, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       flock(fd, LOCK_EX | LOCK_NB) == 0 && same_file(dirfd, temp, fd) &&
	       unlinkat(dirfd, temp, 0) == 0;
}

int file_sweep_temporary(int dirfd, const char *prefix, struct err *err)
{
	cleanup_fd int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_dir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	int removed = 0;

	if (!dir)
		return err_set_errno(err, -errno, "cannot list the folder of %s", prefix);
	fd = -1;
	while ((entry = readdir(dir)))
		if (is_temporary(entry->d_name, prefix) && temp_remove(dirfd, entry->d_name))
			removed++;
	return removed;
}
