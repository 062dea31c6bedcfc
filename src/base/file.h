/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small files that are read whole and replaced whole: a reader sees the old content or the new,
 * never a part. Used for what others read while we write, and what we can write again: nothing
 * is synced, so a machine that loses power may lose it.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/err.h"

/*
 * Replaces NAME in the folder by `data`: a temporary file beside it (".NAME.tmp", locked by
 * flock(2) while it is written), then rename. dirfd is open for reading, `mode` is set whatever
 * the umask. -EBUSY: another process is writing the same file.
 */
int file_replace(int dirfd, const char *name, struct bytes data, mode_t mode, struct err *err);

/*
 * Reads a regular file of at most max bytes; *ret is the caller's, has a NUL behind it, and
 * changes on success only. -ENOENT: not there. -EFBIG: longer. -EINVAL: not a regular file.
 * -ELOOP: a symbolic link. -EAGAIN: it grew meanwhile.
 */
int file_read(
	int dirfd, const char *name, size_t max, char **ret, size_t *ret_len, struct err *err);

/* The same by a path whose links are followed: Kubernetes projects tokens through them. */
int file_read_linked(const char *path, size_t max, char **ret, size_t *ret_len, struct err *err);

/* Removes what writers of PREFIX* left behind when they were killed; returns how many. */
int file_sweep_temporary(int dirfd, const char *prefix, struct err *err);
