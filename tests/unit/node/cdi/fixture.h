/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CDI folder of its own, and the spec of a reservation. For the tests of this folder.
 */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/model/resv.h"
#include "node/cdi/cdi.h"

#define OUR_SOCKET "/run/takt/takt.sock"

static char fixture_top[64], fixture_dir[80];

static inline int fixture_unlink(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

__attribute__((destructor)) static inline void fixture_remove(void)
{
	if (fixture_top[0])
		nftw(fixture_top, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
	fixture_top[0] = '\0';
}

/* A path for a CDI folder that is not there yet; what was there is removed. */
static inline void fixture_new(void)
{
	fixture_remove();
	strcpy(fixture_top, "/tmp/takt-cdi-XXXXXX");
	if (!mkdtemp(fixture_top))
		abort();
	snprintf(fixture_dir, sizeof(fixture_dir), "%s/cdi", fixture_top);
}

static inline const char *fixture_path(const char *file)
{
	static char path[400];

	snprintf(path, sizeof(path), "%s/%s", fixture_dir, file);
	return path;
}

static inline int fixture_write(const char *name, const char *socket, struct err *err)
{
	struct cdi_spec spec = {
		.name = name,
		.socket = socket,
		.resv_socket_dir = "/run/takt/resv/x",
		.hook_path = "/usr/libexec/takt/takt-hook",
	};

	return cdi_spec_write(fixture_dir, &spec, err);
}

static inline void fixture_put(const char *file, const char *text)
{
	FILE *f = fopen(fixture_path(file), "we");

	if (!f || fputs(text, f) < 0 || fclose(f) != 0)
		abort();
}

static inline bool fixture_has(const char *file)
{
	return access(fixture_path(file), F_OK) == 0;
}

static inline int fixture_files(void)
{
	DIR *dir = opendir(fixture_dir);
	int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n - 2;
}
