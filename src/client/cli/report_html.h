/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text into HTML, and the small pieces that every part of the report's page shares. Used by the
 * report_*.c that write it; write errors stay in the stream for its owner to find.
 */
#pragma once

#include <stdio.h>

#include "core/model/units.h"

/* The text with &, <, > and quotes as entities; control characters but '\n' become '?'. */
void report_text(FILE *f, const char *text);

/* "2.5 ms". */
void report_duration(FILE *f, nsec_t ns);

/* A share of 0 to 1 as "7.6 %", "0.13 %", "100 %". */
void report_percent(FILE *f, double share);

extern const char report_style[]; /* CSS of the page */
