/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of /proc/sys or /sys that holds one number.
 */
#pragma once

#include <stdint.h>

/* `otherwise` where the file is not there, or begins with no number. */
int64_t number_read(const char *path, int64_t otherwise);
