/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the small files that hold credentials. Used by config.c and auth.c; other than
 * base/file.h it follows symbolic links, which is how Kubernetes projects tokens.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"

/*
 * A regular file of at most max bytes; *ret has a NUL behind it; free() it. -ENOENT, -EACCES and
 * so on as open(2); -EFBIG: longer; -EINVAL: no regular file. The sentence names the file.
 */
int kube_file_read(const char *path, size_t max, char **ret, size_t *ret_len, struct err *err);
