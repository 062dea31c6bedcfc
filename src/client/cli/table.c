// SPDX-License-Identifier: Apache-2.0
#include "client/cli/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "client/cli/cli.h"

#define GAP 2
#define CELLS_STEP 64

struct table table_make(const char *const *heads)
{
	struct table t = { .heads = heads };

	while (t.columns < TABLE_COLUMNS_MAX && heads[t.columns])
		t.columns++;
	return t;
}

void table_fini(struct table *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->cells[i]);
	free(t->cells);
	*t = (struct table){ 0 };
}

int table_add(struct table *t, const char *text, struct err *err)
{
	cleanup_free char *cell = strdup(text ? text : "-");

	if (!cell)
		return err_set(err, -ENOMEM, "out of memory");
	if (t->n == t->size) {
		char **cells = reallocarray(t->cells, t->size + CELLS_STEP, sizeof(*cells));

		if (!cells)
			return err_set(err, -ENOMEM, "out of memory");
		t->cells = cells;
		t->size += CELLS_STEP;
	}
	cli_clean(cell);
	t->cells[t->n++] = TAKE(cell);
	return 0;
}

/* Characters of UTF-8: bytes that do not go on with one. */
static size_t width_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void widths(const struct table *t, size_t ret[static TABLE_COLUMNS_MAX])
{
	for (size_t c = 0; c < t->columns; c++)
		ret[c] = width_of(t->heads[c]);
	for (size_t i = 0; i < t->n; i++) {
		size_t w = width_of(t->cells[i]);

		if (w > ret[i % t->columns])
			ret[i % t->columns] = w;
	}
}

/* The last column is not padded, so that no line ends in spaces. */
static void print_line(const struct table *t, FILE *out, const char *const *cells,
	const size_t width[static TABLE_COLUMNS_MAX])
{
	for (size_t c = 0; c < t->columns; c++) {
		bool last = c + 1 == t->columns;

		fprintf(out, "%s%*s", cells[c],
			last ? 0 : (int)(width[c] - width_of(cells[c]) + GAP), "");
	}
}

void table_print(const struct table *t, FILE *out, const char *before, const char *after)
{
	size_t width[TABLE_COLUMNS_MAX];

	widths(t, width);
	fputs(before, out);
	print_line(t, out, t->heads, width);
	fprintf(out, "%s\n", after);
	for (size_t row = 0; row + t->columns <= t->n; row += t->columns) {
		print_line(t, out, (const char *const *)t->cells + row, width);
		putc('\n', out);
	}
}
