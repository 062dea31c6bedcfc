// SPDX-License-Identifier: Apache-2.0
#include "client/cli/documents.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_STEP (64 * 1024)

static int read_all(int fd, char **ret, size_t *ret_len, struct err *err)
{
	cleanup_free char *text = NULL;
	size_t len = 0, size = 0;
	ssize_t n;

	do {
		if (len == size) {
			char *more = realloc(text, size + READ_STEP);

			if (!more)
				return err_set(err, -ENOMEM, "out of memory");
			text = more;
			size += READ_STEP;
		}
		n = read(fd, text + len, size - len);
		if (n < 0 && errno != EINTR)
			return err_set(err, -EINVAL, "cannot be read: %s", strerror(errno));
		len += n > 0 ? n : 0;
		if (len > DOCUMENT_BYTES_MAX)
			return err_set(err, -EINVAL, "longer than %u bytes", DOCUMENT_BYTES_MAX);
	} while (n != 0);
	*ret = TAKE(text);
	*ret_len = len;
	return 0;
}

static int read_file(const char *file, char **ret, size_t *ret_len, struct err *err)
{
	cleanup_fd int fd = -1;

	if (strcmp(file, "-") == 0)
		return read_all(STDIN_FILENO, ret, ret_len, err);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, -EINVAL, "cannot be opened: %s", strerror(errno));
	return read_all(fd, ret, ret_len, err);
}

static int parse(const char *file, const char *shown, struct document_set *set, struct err *err)
{
	cleanup_free char *text = NULL;
	size_t len = 0;
	int r = read_file(file, &text, &len, err);

	return r < 0 ? r : document_parse(text, len, shown, set, err);
}

int documents_load(const char *file, struct document_set *ret)
{
	cleanup_document_set struct document_set set = DOCUMENT_SET_NULL;
	struct err err = ERR_NULL;
	const char *shown = strcmp(file, "-") == 0 ? "standard input" : file;

	if (parse(file, shown, &set, &err) == 0) {
		*ret = set;
		set = DOCUMENT_SET_NULL;
		return 0;
	}
	for (size_t i = 0; i < set.n_faults; i++)
		cli_say(NULL, "%s", set.faults[i]);
	return set.n_faults ? EX_USAGE : cli_fail_input(shown, &err);
}
