/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts this very program at a path of the host and takes it away again: a container runtime starts
 * it there, wherever taktd itself runs. For takt-hook.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

/* Whoever starts the program at `path` meanwhile gets the old one or the new one, whole. */
int place_install(const char *path, struct err *err);

/*
 * Removes it, and its folder if that is then empty, unless `cdi_dir` has a file that names a hook of
 * ours; *ret_kept says so. What is not there is no error.
 */
int place_remove(const char *path, const char *cdi_dir, bool *ret_kept, struct err *err);
