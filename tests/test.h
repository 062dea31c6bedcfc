/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A test is a sentence: TEST(a_sentence) { CHECK(...); } registers itself. Included by every C
 * test program exactly once; it brings main(), which runs them all by cmocka and prints TAP.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define TEST_MAX 256

static struct CMUnitTest test_list[TEST_MAX];
static size_t test_count;

/* `a_b_c` is printed as "a b c". The names live as long as the program. */
static inline const char *test_sentence(const char *name)
{
	char *text = strdup(name);

	if (!text)
		abort();
	for (char *c = text; *c; c++)
		if (*c == '_')
			*c = ' ';
	return text;
}

#define TEST(sentence)                                                     \
	static void sentence(void);                                        \
	static void sentence##_run(void **state)                           \
	{                                                                  \
		(void)state;                                               \
		sentence();                                                \
	}                                                                  \
	__attribute__((constructor)) static void sentence##_register(void) \
	{                                                                  \
		if (test_count == TEST_MAX)                                \
			abort();                                           \
		test_list[test_count++] = (struct CMUnitTest){             \
			.name = test_sentence(#sentence),                  \
			.test_func = sentence##_run,                       \
		};                                                         \
	}                                                                  \
	static void sentence(void)

#define CHECK(condition) assert_true(condition)
#define CHECK_EQ(a, b) assert_int_equal(a, b)
#define CHECK_TEXT(a, b) assert_string_equal(a, b)
/* Leaves the test as skipped; the probe that decided prints its reason by print_message(). */
#define SKIP(reason)                                   \
	do {                                           \
		print_message("# skip: %s\n", reason); \
		skip();                                \
	} while (0)
/* A line that tests/run shows also when all is well. */
#define NOTE(format, ...) print_message("# note: " format "\n", ##__VA_ARGS__)

#ifndef TEST_NO_MAIN
int main(void)
{
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return _cmocka_run_group_tests("takt", test_list, test_count, NULL, NULL);
}
#endif
