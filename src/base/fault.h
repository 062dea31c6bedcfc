/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places where a test may kill the process, to see what a crash there leaves behind. Put by the
 * code that writes to disk or to the kernel; only a build with -DTAKT_FAULTS has them.
 */
#pragma once

#ifdef TAKT_FAULTS
/*
 * TAKT_FAULT="NAME" or "NAME:N" in the environment: the process ends by SIGKILL when it passes
 * NAME for the first, or N-th, time. TAKT_FAULT_LIST=FILE: every name passed is appended to FILE.
 */
void fault_pass(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define fault_point(...) fault_pass(__VA_ARGS__)
#else
#define fault_point(...) ((void)0)
#endif
