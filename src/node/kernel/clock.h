/* SPDX-License-Identifier: Apache-2.0 */
/* clock_gettime(2) as one number. */
#pragma once

#include <time.h>

#include "core/model/units.h"

static inline nsec_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}
