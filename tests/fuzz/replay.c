// SPDX-License-Identifier: Apache-2.0
/* Runs a fuzz target over every file of the folder that argv[1] names, as TAP. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>

#include "fuzz/fuzz.h"

static int no_dots(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static bool replay(const char *folder, const char *name)
{
	char path[PATH_MAX];
	cleanup_free uint8_t *data = NULL;
	cleanup_file FILE *f = NULL;
	long size;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "re");
	if (!f || fseek(f, 0, SEEK_END) < 0)
		return false;
	size = ftell(f);
	rewind(f);
	/* Of the exact size, so that a sanitizer sees a read past the end. */
	data = size < 0 ? NULL : malloc(size + !size);
	if (!data || fread(data, 1, size, f) != (size_t)size)
		return false;
	return LLVMFuzzerTestOneInput(data, size) == 0;
}

int main(int argc, char **argv)
{
	struct dirent **files = NULL;
	int n = argc == 2 ? scandir(argv[1], &files, no_dots, alphasort) : -1;
	int failed = 0;

	if (n <= 0) {
		printf("Bail out! no corpus in %s\n", argc == 2 ? argv[1] : "argv[1]");
		return 1;
	}
	printf("1..%d\n", n);
	for (int i = 0; i < n; i++) {
		bool ok = replay(argv[1], files[i]->d_name);

		printf("%s %d - %s\n", ok ? "ok" : "not ok", i + 1, files[i]->d_name);
		fflush(stdout);
		failed += !ok;
		free(files[i]);
	}
	free(files);
	return failed != 0;
}
