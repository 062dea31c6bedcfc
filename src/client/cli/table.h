/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of text with aligned columns. Used by the verbs that list things.
 */
#pragma once

#include <stdio.h>

#include "base/err.h"

#define TABLE_COLUMNS_MAX 12

struct table {
	const char *const *heads; /* ends with NULL */
	size_t columns;
	char **cells; /* rows after each other */
	size_t n, size;
};

/* `heads` is borrowed, at most TABLE_COLUMNS_MAX. */
struct table table_make(const char *const *heads);
void table_fini(struct table *t);

#define cleanup_table __attribute__((cleanup(table_fini)))

/* The next cell, row by row; NULL is "-". Control characters become '?'. -ENOMEM. */
int table_add(struct table *t, const char *text, struct err *err);

/* Prints whole rows; `before` and `after` stand around the line of heads. */
void table_print(const struct table *t, FILE *out, const char *before, const char *after);
