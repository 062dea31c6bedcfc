// SPDX-License-Identifier: Apache-2.0
#include "client/cli/request.h"

#include <errno.h>

#include "base/cleanup.h"
#include "client/cli/options.h"
#include "test.h"

static int set(struct resv_request *q, int key, const char *value)
{
	return request_option(q, key, value, NULL);
}

TEST(nothing_but_runtime_and_period_is_needed)
{
	cleanup_request struct resv_request q = request_default();

	CHECK_EQ(set(&q, 'q', "2.5ms"), 1);
	CHECK_EQ(set(&q, 'p', "10ms"), 1);
	CHECK_EQ(request_finish(&q, "camera", NULL), 0);
	CHECK_TEXT(q.name, "camera");
	CHECK_EQ(q.dl.runtime_ns, 2500000);
	CHECK_EQ(q.dl.deadline_ns, 10000000);
	CHECK_EQ(q.cores, 1);
	CHECK_EQ(q.guarantee, GUARANTEE_HARD);
	CHECK_EQ(q.placement, PLACEMENT_AUTO);
	CHECK_EQ(q.threads, THREADS_MAIN);
	CHECK(!q.reclaim && q.n_labels == 0);
}

TEST(options_of_others_are_left_to_them)
{
	cleanup_request struct resv_request q = request_default();

	CHECK_EQ(set(&q, OPTION_NAME, "camera"), 0);
	CHECK_EQ(set(&q, 'f', "x"), 0);
}

TEST(patterns_are_split_at_commas_and_the_last_rule_counts)
{
	cleanup_request struct resv_request q = request_default();

	CHECK_EQ(set(&q, 't', "match=a,b,c"), 1);
	CHECK_EQ(set(&q, 't', "match=worker-*,io"), 1);
	CHECK_EQ(q.threads, THREADS_MATCH);
	CHECK_EQ(q.n_patterns, 2);
	CHECK_TEXT(q.patterns[0], "worker-*");
	CHECK_TEXT(q.patterns[1], "io");
	CHECK_TEXT(q.patterns[2], "");
	CHECK_EQ(set(&q, 't', "attach"), 1);
	CHECK_EQ(q.threads, THREADS_ATTACH);
	CHECK_EQ(q.n_patterns, 0);
}

TEST(a_pattern_is_as_long_as_the_name_of_a_thread_at_most)
{
	cleanup_request struct resv_request q = request_default();

	CHECK_EQ(set(&q, 't', "match=123456789012345"), 1);
	CHECK_EQ(set(&q, 't', "match=1234567890123456"), -EINVAL);
	CHECK_EQ(set(&q, 't', "match="), -EINVAL);
	CHECK_EQ(set(&q, 't', "match=a,,b"), -EINVAL);
	CHECK_EQ(set(&q, 't', "match=1,2,3,4,5,6,7,8"), 1);
	CHECK_EQ(set(&q, 't', "match=1,2,3,4,5,6,7,8,9"), -EINVAL);
}

TEST(labels_are_sorted_and_given_once)
{
	cleanup_request struct resv_request q = request_default();

	CHECK_EQ(set(&q, 'q', "1ms") + set(&q, 'p', "9ms"), 2);
	CHECK_EQ(set(&q, 'l', "pod=x=y"), 1);
	CHECK_EQ(set(&q, 'l', "app="), 1);
	CHECK_EQ(set(&q, 'l', "pod=z"), -EINVAL);
	CHECK_EQ(set(&q, 'l', "=z"), -EINVAL);
	CHECK_EQ(set(&q, 'l', "z"), -EINVAL);
	CHECK_EQ(request_finish(&q, "camera", NULL), 0);
	CHECK_EQ(q.n_labels, 2);
	CHECK_TEXT(q.labels[0].key, "app");
	CHECK_TEXT(q.labels[0].value, "");
	CHECK_TEXT(q.labels[1].key, "pod");
	CHECK_TEXT(q.labels[1].value, "x=y");
}

TEST(there_is_a_largest_number_of_labels)
{
	cleanup_request struct resv_request q = request_default();
	char text[16];

	for (int i = 0; i < RESV_LABELS_MAX; i++) {
		snprintf(text, sizeof(text), "k%d=v", i);
		CHECK_EQ(set(&q, 'l', text), 1);
	}
	CHECK_EQ(set(&q, 'l', "more=v"), -EINVAL);
}

TEST(a_wrong_value_is_told_by_its_option)
{
	cleanup_request struct resv_request q = request_default();
	struct err err = ERR_NULL;

	CHECK_EQ(request_option(&q, 'q', "4", &err), -EINVAL);
	CHECK(strncmp(err.text, "--runtime: ", 11) == 0);
	CHECK_EQ(request_option(&q, 'c', "-1", &err), -EINVAL);
	CHECK(strncmp(err.text, "--cores: ", 9) == 0);
	CHECK_EQ(set(&q, 'c', "257"), -EINVAL);
	CHECK_EQ(set(&q, 'c', "99999999999999999999"), -EINVAL);
	CHECK_EQ(set(&q, 'c', "256"), 1);
}

TEST(a_name_that_is_too_long_or_no_name_is_refused)
{
	cleanup_request struct resv_request q = request_default();
	char name[RESV_NAME_MAX + 2];

	CHECK_EQ(set(&q, 'q', "1ms") + set(&q, 'p', "9ms"), 2);
	memset(name, 'a', sizeof(name));
	name[RESV_NAME_MAX + 1] = '\0';
	CHECK_EQ(request_finish(&q, name, NULL), -EINVAL);
	CHECK_EQ(request_finish(&q, name + 1, NULL), 0);
	CHECK_EQ(request_finish(&q, "", NULL), -EINVAL);
	CHECK_EQ(request_finish(&q, "../x", NULL), -EINVAL);
}
