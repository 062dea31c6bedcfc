/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts this very program at a path of the host and takes it away again: a container runtime starts
 * it there, wherever taktd itself runs. For takt-hook.
 */
#pragma once

#include "base/err.h"

/* Whoever starts the program at `path` meanwhile gets the old one or the new one, whole. */
int place_install(const char *path, struct err *err);

enum place_kept {
	PLACE_GONE,
	PLACE_NAMED, /* by a file in `cdi_dir` */
	PLACE_WAITED_FOR, /* a taktd stands by to have the store in `state_dir` (NULL: none does) */
};

/* Removes it, and its folder if that is then empty, unless it is kept. What is not there is no error. */
int place_remove(const char *path, const char *cdi_dir, const char *state_dir,
	enum place_kept *ret_kept, struct err *err);
