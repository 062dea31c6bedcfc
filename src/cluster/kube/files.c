// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"

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

int kube_file_read(const char *path, size_t max, char **ret, size_t *ret_len, struct err *err)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	cleanup_free char *buf = NULL;
	struct stat st;
	size_t len = 0;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set_errno(err, -errno, "cannot read %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "%s is not a regular file", path);
	if (st.st_size > (off_t)max)
		return err_set(err, -EFBIG, "%s is longer than %zu bytes", path, max);
	buf = malloc((size_t)st.st_size + 2);
	if (!buf)
		return err_set_errno(err, -ENOMEM, "cannot read %s", path);
	/* One more than its size: it may just have been replaced by a longer one. */
	r = read_all(fd, buf, (size_t)st.st_size + 1, &len);
	if (r < 0)
		return err_set_errno(err, r, "cannot read %s", path);
	if (len > (size_t)st.st_size)
		return err_set(err, -EAGAIN, "%s changed while it was read", path);
	buf[len] = '\0';
	*ret = TAKE(buf);
	*ret_len = len;
	return 0;
}
