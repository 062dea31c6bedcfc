// SPDX-License-Identifier: Apache-2.0
#include "client/cli/number.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret, struct err *err)
{
	unsigned long long value;

	errno = 0;
	value = strtoull(text, NULL, 10);
	if (!*text || text[strspn(text, "0123456789")] || errno || value < min || value > max)
		return err_set(err, -EINVAL,
			"\"%.32s\" is not a whole number from %" PRIu64 " to %" PRIu64, text, min,
			max);
	*ret = value;
	return 0;
}
