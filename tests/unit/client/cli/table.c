// SPDX-License-Identifier: Apache-2.0
#include "client/cli/table.h"

#include "base/cleanup.h"
#include "test.h"

static const char *const heads[] = { "NAME", "WHY", NULL };

static void check_print(const struct table *t, const char *expected)
{
	cleanup_free char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	CHECK(out != NULL);
	table_print(t, out, "<", ">");
	fclose(out);
	CHECK_TEXT(text, expected);
}

TEST(columns_are_as_wide_as_their_widest_cell)
{
	cleanup_table struct table t = table_make(heads);
	static const char *const cells[] = { "a", "one", "longer", "two" };

	for (size_t i = 0; i < ARRAY_SIZE(cells); i++)
		CHECK_EQ(table_add(&t, cells[i], NULL), 0);
	check_print(&t, "<NAME    WHY>\na       one\nlonger  two\n");
}

TEST(an_absent_cell_is_a_dash)
{
	cleanup_table struct table t = table_make(heads);

	CHECK_EQ(table_add(&t, NULL, NULL), 0);
	CHECK_EQ(table_add(&t, "x", NULL), 0);
	check_print(&t, "<NAME  WHY>\n-     x\n");
}

TEST(a_table_without_rows_has_its_heads)
{
	cleanup_table struct table t = table_make(heads);

	check_print(&t, "<NAME  WHY>\n");
}

TEST(utf_8_is_counted_in_characters_and_control_characters_are_not_printed)
{
	cleanup_table struct table t = table_make(heads);
	static const char *const cells[] = { "gr\xc3\xbc\xc3\x9f", "one", "a\x1b[2J\n", "two" };

	for (size_t i = 0; i < ARRAY_SIZE(cells); i++)
		CHECK_EQ(table_add(&t, cells[i], NULL), 0);
	check_print(&t, "<NAME    WHY>\ngr\xc3\xbc\xc3\x9f    one\na?[2J?  two\n");
}

TEST(many_rows_are_all_printed)
{
	cleanup_table struct table t = table_make(heads);
	cleanup_free char *text = NULL;
	size_t len = 0, lines = 0;
	FILE *out = open_memstream(&text, &len);

	for (int i = 0; i < 2000; i++)
		CHECK_EQ(table_add(&t, "x", NULL), 0);
	table_print(&t, out, "", "");
	fclose(out);
	for (const char *c = text; *c; c++)
		lines += *c == '\n';
	CHECK_EQ(lines, 1001);
}
