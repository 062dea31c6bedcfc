/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kubernetes quantities ("200000", "200k", "0.5", "1Mi", "2e5"), as the API server writes and
 * people give them (apimachinery: pkg/api/resource/quantity.go, "canonical form"). Used for the
 * capacity that a claim was given.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

/*
 * The whole number, a fraction rounded up. -EINVAL with a sentence for what is not a quantity, is
 * below 0, or above 2^63-1; *ret changes on success only.
 */
int quantity_parse(const char *text, uint64_t *ret, struct err *err);
