/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers with units as people write and read them: durations and shares of a CPU. Used by the
 * document, the command line and everything that writes a sentence.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define TEXT_NUMBER_MAX 32

/*
 * One number and one unit: "4ms", "1.5ms", "500us", "20s", "100ns". Units ns, us, ms, s. A bare
 * number, a sign, a space, an exponent, a fraction finer than 1 ns, or more than 2^63-1 ns is
 * refused with -EINVAL and a sentence that shows the right form. *ret_ns changes on success only.
 */
int duration_parse(const char *text, uint64_t *ret_ns, struct err *err);

/*
 * Shortest exact form, in the largest unit that is not above it and needs at most six decimals:
 * "2.5ms". duration_parse() reads it back, up to 2^63-1 ns.
 */
const char *duration_format(char buf[static TEXT_NUMBER_MAX], uint64_t ns);

/* For sentences: "2.5 ms", "950 us"; three significant digits, rounded to nearest. */
const char *duration_words(char buf[static TEXT_NUMBER_MAX], uint64_t ns);

#define TEXT_QUOTE_MAX 64

/*
 * Foreign text for a sentence: in double quotes, what is not printable ASCII as \xNN, and cut
 * with "..." where the buffer ends. Safe on a terminal and in JSON whatever the text is.
 */
const char *text_quote(char buf[static TEXT_QUOTE_MAX], const char *text);
