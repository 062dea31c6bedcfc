// SPDX-License-Identifier: Apache-2.0
/*
 * The names are those of Kubernetes' own helper (k8s.io/dynamic-resource-allocation,
 * kubeletplugin/draplugin.go), but for the number where a path would be too long: it only has to be
 * another one for another instance.
 */
#include "cluster/nodeplugin/sockets.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "base/cleanup.h"
#include "cluster/dra/claim.h"

#define SWEEP_AGE_S 1

static bool is_instance(const char *text)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)text[i]) && text[i] != '-' && text[i] != '.')
			return false;
	return n > 0 && n <= SOCKETS_INSTANCE_MAX;
}

/* FNV-1a. */
static uint64_t number_of(const char *text)
{
	uint64_t number = 0xcbf29ce484222325;

	for (; *text; text++)
		number = (number ^ (unsigned char)*text) * 0x100000001b3;
	return number;
}

/* `part`: "", or the instance's with its dash. */
static bool try_names(const char *kubelet_dir, const char *part, struct sockets *s)
{
	int n[] = {
		snprintf(s->folder, sizeof(s->folder), "%s/plugins/" CLAIM_DRIVER, kubelet_dir),
		snprintf(s->registry, sizeof(s->registry), "%s/plugins_registry", kubelet_dir),
		snprintf(s->endpoint, sizeof(s->endpoint), "%s/plugins/" CLAIM_DRIVER "/dra%s.sock",
			kubelet_dir, part),
		snprintf(s->registration, sizeof(s->registration),
			"%s/plugins_registry/" CLAIM_DRIVER "%s-reg.sock", kubelet_dir, part),
	};

	for (size_t i = 0; i < ARRAY_SIZE(n); i++)
		if (n[i] >= SOCKETS_PATH_MAX)
			return false;
	return true;
}

int sockets_name(
	const char *kubelet_dir, const char *instance, struct sockets *ret, struct err *err)
{
	char part[SOCKETS_INSTANCE_MAX + 2] = "";
	struct sockets s;
	bool fits;

	if (instance && !is_instance(instance))
		return err_set(err, -EINVAL,
			"instance '%.80s': 1 to %d letters, digits, '-' and '.', as in a pod's uid",
			instance, SOCKETS_INSTANCE_MAX);
	if (instance)
		snprintf(part, sizeof(part), "-%s", instance);
	fits = try_names(kubelet_dir, part, &s);
	if (!fits && instance) {
		snprintf(part, sizeof(part), "-%016" PRIx64, number_of(instance));
		fits = try_names(kubelet_dir, part, &s);
	}
	if (!fits)
		return err_set(err, -ENAMETOOLONG, "%s is too long a path", kubelet_dir);
	*ret = s;
	return 0;
}

static bool is_between(const char *name, const char *first, const char *last)
{
	size_t n = strlen(name), n_first = strlen(first), n_last = strlen(last);

	return n >= n_first + n_last && strncmp(name, first, n_first) == 0 &&
	       strcmp(name + n - n_last, last) == 0;
}

static bool is_old_socket(int folder, const char *name)
{
	struct stat st;

	return fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode) &&
	       time(NULL) - st.st_ctim.tv_sec > SWEEP_AGE_S;
}

/* Where it cannot be said, somebody may. */
static bool is_listened_on(const char *folder, const char *name)
{
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int n = snprintf(at.sun_path, sizeof(at.sun_path), "%s/%s", folder, name);

	return fd < 0 || n >= (int)sizeof(at.sun_path) ||
	       connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0 || errno != ECONNREFUSED;
}

static void sweep(const char *folder, const char *first, const char *last)
{
	cleanup_dir DIR *dir = opendir(folder);
	const struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (is_between(e->d_name, first, last) && is_old_socket(dirfd(dir), e->d_name) &&
			!is_listened_on(folder, e->d_name))
			unlinkat(dirfd(dir), e->d_name, 0);
}

void sockets_sweep(const struct sockets *s)
{
	sweep(s->registry, CLAIM_DRIVER "-", "reg.sock");
	sweep(s->folder, "dra", ".sock");
}
