/* SPDX-License-Identifier: Apache-2.0 */
/* A folder that stands for one of the kernel's: new for each test, and gone with the program. */
#pragma once

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char root[32];

static int unlink_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

__attribute__((destructor)) static void remove_root(void)
{
	if (root[0])
		nftw(root, unlink_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void new_root(void)
{
	remove_root();
	strcpy(root, "/tmp/takt-kernel-XXXXXX");
	if (!mkdtemp(root))
		abort();
}
