/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole numbers from the command line. Used by every verb that takes one.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

/* Digits only, min to max: else -EINVAL and a sentence. *ret changes on success only. */
int number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret, struct err *err);
