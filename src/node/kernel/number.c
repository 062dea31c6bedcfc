// SPDX-License-Identifier: Apache-2.0
#include "node/kernel/number.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"

int64_t number_read(const char *path, int64_t otherwise)
{
	cleanup_file FILE *f = fopen(path, "re");
	int64_t value;

	return f && fscanf(f, "%" SCNd64, &value) == 1 ? value : otherwise;
}
