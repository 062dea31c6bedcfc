// SPDX-License-Identifier: Apache-2.0
/*
 * A file is ours if its name has our prefix, its kind is ours, the device in it has the name that
 * the file is called by, and its hook talks to our socket. Anything else is somebody's.
 */
#include "node/cdi/cdi.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "base/file.h"
#include "core/model/resv.h"

#define SPEC_MAX (64 << 10)
#define FILE_SUFFIX ".json"
/* What podman 4.3 (Debian 12) reads; 0.5.0 is the first with names that start with a digit. */
#define CDI_VERSION "0.5.0"

enum owner {
	OWNER_NONE, /* no such file, or an empty one, as a power cut may leave */
	OWNER_US,
	OWNER_OTHER,
};

static void file_name(char buf[static NAME_MAX + 1], const char *name)
{
	snprintf(buf, NAME_MAX + 1, CDI_FILE_PREFIX "%.*s" FILE_SUFFIX, RESV_NAME_MAX, name);
}

/* False for a file that cannot be one of ours. */
static bool name_of_file(char name[static RESV_NAME_MAX + 1], const char *file)
{
	size_t prefix = strlen(CDI_FILE_PREFIX), suffix = strlen(FILE_SUFFIX), len = strlen(file);

	if (len <= prefix + suffix || len - prefix - suffix > RESV_NAME_MAX ||
		strncmp(file, CDI_FILE_PREFIX, prefix) != 0 ||
		strcmp(file + len - suffix, FILE_SUFFIX) != 0)
		return false;
	len -= prefix + suffix;
	memcpy(name, file + prefix, len);
	name[len] = '\0';
	return resv_name_valid(name);
}

static int folder_open(const char *dir, int *ret_fd, struct err *err)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_set_errno(err, -errno, "cannot open the CDI folder %s", dir);
	*ret_fd = fd;
	return 0;
}

/*
 * The folder of the socket is mounted, not the socket: so a restarted agent's new socket is seen
 * in containers that are running already. connect(2) needs no writable mount, unix(7).
 */
static json_t *spec_json(const struct cdi_spec *spec)
{
	return json_pack("{s:s, s:s, s:[{s:s, s:{s:[o, s], s:[{s:s, s:s, s:s, s:[s, s, s, s]}],"
			 " s:[{s:s, s:s, s:[s, s, s, s, s, s]}]}}]}",
		"cdiVersion", CDI_VERSION, "kind", CDI_KIND, "devices", "name", spec->name,
		"containerEdits", "env", json_sprintf("TAKT_RESERVATION=%s", spec->name),
		"TAKT_SOCKET=" CDI_SOCKET_FOLDER "/takt.sock", "mounts", "hostPath",
		spec->resv_socket_dir, "containerPath", CDI_SOCKET_FOLDER, "type", "bind",
		"options", "bind", "ro", "nosuid", "nodev", "hooks", "hookName", "createRuntime",
		"path", spec->hook_path, "args", "takt-hook", "bind", "--socket", spec->socket,
		"--reservation", spec->name);
}

static int spec_text(const struct cdi_spec *spec, char **ret, struct err *err)
{
	cleanup_json json_t *json = spec_json(spec);
	char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;

	if (!text)
		return err_set(err, -ENOMEM,
			"cannot write the CDI spec: out of memory, or a path "
			"that is not UTF-8");
	*ret = text;
	return 0;
}

/* The socket that the file's hook talks to; NULL: not a spec of this reservation. */
static const char *spec_socket(json_t *json, const char *name)
{
	const char *kind = NULL, *device = NULL, *flag = NULL, *socket = NULL;

	if (json_unpack(json, "{s:s, s:[{s:s, s:{s:[{s:[s, s, s, s]}]}}]}", "kind", &kind,
		    "devices", "name", &device, "containerEdits", "hooks", "args", &(char *){ 0 },
		    &(char *){ 0 }, &flag, &socket) < 0)
		return NULL;
	if (strcmp(kind, CDI_KIND) != 0 || strcmp(device, name) != 0 ||
		strcmp(flag, "--socket") != 0)
		return NULL;
	return socket;
}

/* *ret_text: its content, where it is a file that can be read; the caller frees it. */
static int spec_owner(int dirfd, const char *file, const char *name, const char *socket,
	enum owner *ret, char **ret_text, struct err *err)
{
	cleanup_json json_t *json = NULL;
	cleanup_free char *text = NULL;
	const char *its_socket;
	size_t len = 0;
	int r = file_read(dirfd, file, SPEC_MAX, &text, &len, NULL);

	/* -EAGAIN: somebody writes to it; ours are replaced. */
	if (r < 0 && r != -ENOENT && r != -ELOOP && r != -EINVAL && r != -EFBIG && r != -ENXIO &&
		r != -EAGAIN)
		return err_set_errno(err, r, "cannot read %s", file);
	*ret = r == -ENOENT || (r == 0 && len == 0) ? OWNER_NONE : OWNER_OTHER;
	if (r < 0)
		return 0;
	json = json_loadb(text, len, 0, NULL);
	its_socket = json ? spec_socket(json, name) : NULL;
	if (its_socket && strcmp(its_socket, socket) == 0)
		*ret = OWNER_US;
	*ret_text = TAKE(text);
	return 0;
}

int cdi_spec_write(const char *dir, const struct cdi_spec *spec, struct err *err)
{
	cleanup_free char *text = NULL, *old = NULL;
	char file[NAME_MAX + 1];
	enum owner owner;
	cleanup_fd int dirfd = -1;
	int r;

	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return err_set_errno(err, -errno, "cannot make the CDI folder %s", dir);
	r = folder_open(dir, &dirfd, err);
	if (r < 0)
		return r;
	file_name(file, spec->name);
	r = spec_text(spec, &text, err);
	if (r == 0)
		r = spec_owner(dirfd, file, spec->name, spec->socket, &owner, &old, err);
	if (r < 0)
		return err_wrap(err, r, "CDI folder %s", dir);
	if (owner == OWNER_OTHER)
		return err_set(err, -EBUSY,
			"%s/%s is there and not of this agent: release the reservation there, or "
			"move the file away",
			dir, file);
	if (old && strcmp(old, text) == 0)
		return 0;
	r = file_replace(dirfd, file, (struct bytes){ text, strlen(text) }, 0644, err);
	return r < 0 ? err_wrap(err, r, "CDI folder %s", dir) : 0;
}

/* 1: it was ours and is gone. */
static int remove_ours(
	int dirfd, const char *socket, const char *file, const char *name, struct err *err)
{
	cleanup_free char *text = NULL;
	enum owner owner;
	int r = spec_owner(dirfd, file, name, socket, &owner, &text, err);

	if (r < 0 || owner != OWNER_US)
		return r;
	fault_point("cdi.remove");
	if (unlinkat(dirfd, file, 0) < 0 && errno != ENOENT)
		return err_set_errno(err, -errno, "cannot remove %s", file);
	fault_point("cdi.removed");
	return 1;
}

int cdi_spec_remove(const char *dir, const char *socket, const char *name, struct err *err)
{
	cleanup_fd int dirfd = -1;
	char file[NAME_MAX + 1];
	int r = folder_open(dir, &dirfd, err);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	file_name(file, name);
	r = remove_ours(dirfd, socket, file, name, err);
	return r < 0 ? err_wrap(err, r, "CDI folder %s", dir) : 0;
}

static int sweep_folder(int dirfd, const char *socket, bool (*keep)(void *ctx, const char *name),
	void *ctx, struct err *err)
{
	cleanup_fd int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_dir DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	int removed = 0;

	if (!stream)
		return err_set_errno(err, -errno, "cannot list it");
	fd = -1;
	while ((entry = readdir(stream))) {
		char name[RESV_NAME_MAX + 1];
		int r;

		if (!name_of_file(name, entry->d_name) || keep(ctx, name))
			continue;
		r = remove_ours(dirfd, socket, entry->d_name, name, err);
		if (r < 0)
			return r;
		removed += r;
	}
	return removed;
}

int cdi_specs_sweep(const char *dir, const char *socket, bool (*keep)(void *ctx, const char *name),
	void *ctx, struct err *err)
{
	cleanup_fd int dirfd = -1;
	int removed, r = folder_open(dir, &dirfd, err);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	removed = sweep_folder(dirfd, socket, keep, ctx, err);
	r = removed < 0 ? removed : file_sweep_temporary(dirfd, CDI_FILE_PREFIX, err);
	return r < 0 ? err_wrap(err, r, "CDI folder %s", dir) : removed;
}
