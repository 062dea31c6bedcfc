// SPDX-License-Identifier: Apache-2.0
#include "client/hook/place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"

#define SELF "/proc/self/exe"
/* node/cdi/cdi.h and node/store/store_private.h, which clients do not include */
#define CDI_PREFIX "rt.takt.dev-reservation_"
#define LOCK_FILE "takt.lock"
#define LOCK_STAND_BY 1

struct place {
	char folder[PATH_MAX];
	const char *name; /* in the path that was given */
};

static int split(const char *path, struct place *ret, struct err *err)
{
	const char *slash = strrchr(path, '/');

	if (path[0] != '/' || !slash[1] || strlen(path) >= PATH_MAX)
		return err_set(err, -EINVAL, "%s is not the absolute path of a file", path);
	snprintf(ret->folder, sizeof(ret->folder), "%.*s", (int)(slash - path), path);
	if (slash == path)
		strcpy(ret->folder, "/");
	ret->name = slash + 1;
	return 0;
}

static int write_self(int folder, const char *name, struct err *err)
{
	cleanup_fd int self = open(SELF, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *at;
	int r;

	if (self < 0 || fstat(self, &st) < 0)
		return err_set_errno(err, errno, "read " SELF);
	at = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, self, 0);
	if (at == MAP_FAILED)
		return err_set_errno(err, errno, "read " SELF);
	r = file_replace(folder, name, (struct bytes){ at, st.st_size }, 0755, err);
	munmap(at, st.st_size);
	return r;
}

int place_install(const char *path, struct err *err)
{
	cleanup_fd int folder = -1;
	struct place p;
	int r = split(path, &p, err);

	if (r < 0)
		return r;
	if (mkdir(p.folder, 0755) < 0 && errno != EEXIST)
		return err_set_errno(err, errno, "make %s", p.folder);
	folder = open(p.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return err_set_errno(err, errno, "open %s", p.folder);
	r = write_self(folder, p.name, err);
	return r < 0 ? err_wrap(err, r, "install %s", path) : 0;
}

static int is_named(const char *cdi_dir, bool *ret, struct err *err)
{
	cleanup_dir DIR *dir = opendir(cdi_dir);
	const struct dirent *entry;

	*ret = false;
	if (!dir)
		return errno == ENOENT ? 0 : err_set_errno(err, errno, "read %s", cdi_dir);
	while (!*ret && (entry = readdir(dir)))
		*ret = strncmp(entry->d_name, CDI_PREFIX, strlen(CDI_PREFIX)) == 0;
	return 0;
}

static int is_waited_for(const char *state_dir, bool *ret, struct err *err)
{
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = LOCK_STAND_BY, .l_len = 1
	};
	cleanup_fd int folder = open(state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int fd = openat(folder, LOCK_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	*ret = false;
	if (folder < 0 || fd < 0)
		return errno == ENOENT ? 0 : err_set_errno(err, errno, "look at %s", state_dir);
	if (fcntl(fd, F_GETLK, &lock) < 0)
		return err_set_errno(err, errno, "look at %s/" LOCK_FILE, state_dir);
	*ret = lock.l_type != F_UNLCK;
	return 0;
}

int place_remove(const char *path, const char *cdi_dir, const char *state_dir,
	enum place_kept *ret_kept, struct err *err)
{
	bool named = false, waited_for = false;
	struct place p;
	int r = split(path, &p, err);

	if (r == 0)
		r = is_named(cdi_dir, &named, err);
	if (r == 0 && state_dir)
		r = is_waited_for(state_dir, &waited_for, err);
	if (r < 0)
		return r;
	*ret_kept = named ? PLACE_NAMED : waited_for ? PLACE_WAITED_FOR : PLACE_GONE;
	if (*ret_kept)
		return 0;
	if (unlink(path) < 0 && errno != ENOENT)
		return err_set_errno(err, errno, "remove %s", path);
	/* Also used by others, or mounted: then it stays. */
	rmdir(p.folder);
	return 0;
}
