// SPDX-License-Identifier: Apache-2.0
/* Linked with --wrap for calloc and reallocarray: the n-th call of the two fails. */
#include "core/admit/admit.h"

#include <errno.h>

#include "test.h"

void *__real_calloc(size_t n, size_t size);
void *__real_reallocarray(void *old, size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_reallocarray(void *old, size_t n, size_t size);

static int calls_left = -1; /* -1: none fails */

static bool fails(void)
{
	if (calls_left < 0)
		return false;
	return calls_left-- == 0;
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_reallocarray(void *old, size_t n, size_t size)
{
	return fails() ? NULL : __real_reallocarray(old, n, size);
}

static const struct admit_machine machine = { 2, { BW_ONE_CPU }, 0 };

TEST(no_memory_for_a_set_is_an_error)
{
	unsigned failed = 0;

	for (int call = 0; call < 32; call++) {
		cleanup_admit_set struct admit_set *s = NULL;
		struct err err = ERR_NULL;
		int r;

		calls_left = call;
		r = admit_set_create(&s, &machine, &err);
		calls_left = -1;
		CHECK(r == 0 || (r == -ENOMEM && !s && err.text[0]));
		failed += r < 0;
	}
	CHECK(failed > 3 && failed < 32);
}

TEST(no_memory_for_one_more_leaves_the_set_as_it_was)
{
	const struct admit_task t = { { 1, 1000, 1000 }, 1, GUARANTEE_HARD };
	unsigned failed = 0;

	for (int call = 0; call < 32; call++) {
		cleanup_admit_set struct admit_set *s = NULL;
		unsigned held = 0;
		uint32_t id;

		CHECK(admit_set_create(&s, &machine, NULL) == 0);
		calls_left = call;
		for (unsigned i = 0; i < 100; i++)
			held += admit_hold(s, &t, &id, NULL) == 0;
		calls_left = -1;
		failed += held < 100;
		CHECK_EQ(admit_promised(s).q20, held * dl_bandwidth(&t.dl).q20);
		CHECK(admit_evaluate(s, &t).yes);
		CHECK(admit_hold(s, &t, &id, NULL) == 0);
	}
	CHECK(failed > 3 && failed < 32);
}
