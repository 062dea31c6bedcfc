// SPDX-License-Identifier: Apache-2.0
#include "core/model/resv.h"

#include <errno.h>

#include "base/cleanup.h"
#include "test.h"

static struct resv_request camera(void)
{
	return (struct resv_request){
		.name = "camera",
		.dl = { .runtime_ns = 4000000, .deadline_ns = 20000000, .period_ns = 20000000 },
		.cores = 1,
		.guarantee = GUARANTEE_HARD,
		.placement = PLACEMENT_AUTO,
		.threads = THREADS_MAIN,
	};
}

static const char *check(const struct resv_request *r)
{
	static struct err err;

	err = ERR_NULL;
	if (resv_request_check(r, &err) == 0)
		return "";
	CHECK_EQ(err.code, -EINVAL);
	CHECK_EQ(resv_request_check(r, NULL), -EINVAL);
	return err.text;
}

TEST(only_pinned_servers_have_cpus_and_each_has_one)
{
	struct resv_request r = camera();

	r.placement = PLACEMENT_PINNED;
	cpus_add(&r.cpus, 3);
	CHECK_TEXT(check(&r), "");
	r.cores = 2;
	CHECK(strstr(check(&r), "each of the 2 cores has a CPU of its own, and 1 are named"));
	cpus_add(&r.cpus, 5);
	CHECK_TEXT(check(&r), "");
	r.placement = PLACEMENT_SHARED;
	CHECK(strstr(check(&r), "placement: pinned"));
}

/* Every cell of the table; what is not listed here must be empty. */
static const struct {
	enum resv_state from;
	enum resv_event event;
	enum resv_state to;
} moves[] = {
	{ RESV_HELD, RESV_EV_BIND, RESV_BOUND },
	{ RESV_HELD, RESV_EV_RELEASE, RESV_DRAINING },
	{ RESV_BOUND, RESV_EV_THREAD, RESV_ACTIVE },
	{ RESV_BOUND, RESV_EV_UNBIND, RESV_HELD },
	{ RESV_BOUND, RESV_EV_RELEASE, RESV_DRAINING },
	{ RESV_ACTIVE, RESV_EV_THREAD, RESV_ACTIVE },
	{ RESV_ACTIVE, RESV_EV_IDLE, RESV_BOUND },
	{ RESV_ACTIVE, RESV_EV_UNBIND, RESV_HELD },
	{ RESV_ACTIVE, RESV_EV_RELEASE, RESV_DRAINING },
	{ RESV_DRAINING, RESV_EV_STOPPED, RESV_GONE },
};

static enum resv_state listed(enum resv_state from, enum resv_event event)
{
	for (size_t i = 0; i < ARRAY_SIZE(moves); i++)
		if (moves[i].from == from && moves[i].event == event)
			return moves[i].to;
	return RESV_NONE;
}

TEST(every_cell_of_the_state_table_is_the_listed_one)
{
	for (unsigned s = 0; s < _RESV_STATE_MAX; s++)
		for (unsigned e = 0; e < _RESV_EVENT_MAX; e++)
			CHECK_EQ(resv_next_state(s, e), listed(s, e));
}

TEST(states_and_events_out_of_range_lead_nowhere)
{
	CHECK_EQ(resv_next_state(_RESV_STATE_MAX, RESV_EV_BIND), RESV_NONE);
	CHECK_EQ(resv_next_state(RESV_HELD, _RESV_EVENT_MAX), RESV_NONE);
	CHECK_EQ(resv_next_state((enum resv_state) - 1, (enum resv_event) - 1), RESV_NONE);
}

TEST(every_promise_can_end_and_nothing_leaves_gone)
{
	for (unsigned s = RESV_HELD; s < RESV_DRAINING; s++)
		CHECK_EQ(resv_next_state(s, RESV_EV_RELEASE), RESV_DRAINING);
	for (unsigned e = 0; e < _RESV_EVENT_MAX; e++)
		CHECK_EQ(resv_next_state(RESV_GONE, e), RESV_NONE);
}

TEST(names_are_read_back_and_none_is_not_a_name)
{
	for (unsigned i = 1; i < _GUARANTEE_MAX; i++)
		CHECK_EQ(guarantee_parse(guarantee_name(i)), i);
	for (unsigned i = 1; i < _PLACEMENT_MAX; i++)
		CHECK_EQ(placement_parse(placement_name(i)), i);
	for (unsigned i = 1; i < _RESV_STATE_MAX; i++)
		CHECK_EQ(resv_state_parse(resv_state_name(i)), i);
	CHECK_EQ(guarantee_parse("none"), GUARANTEE_NONE);
	CHECK_EQ(placement_parse("none"), PLACEMENT_NONE);
	CHECK_EQ(resv_state_parse("none"), RESV_NONE);
}

TEST(names_are_the_words_of_the_document)
{
	CHECK_TEXT(guarantee_name(GUARANTEE_HARD), "hard");
	CHECK_TEXT(guarantee_name(GUARANTEE_SOFT), "soft");
	CHECK_TEXT(placement_name(PLACEMENT_AUTO), "auto");
	CHECK_TEXT(placement_name(PLACEMENT_SHARED), "shared");
	CHECK_TEXT(placement_name(PLACEMENT_EXCLUSIVE), "exclusive");
	CHECK_TEXT(placement_name(PLACEMENT_GROUP), "group");
	CHECK_TEXT(placement_name(PLACEMENT_PINNED), "pinned");
	CHECK_TEXT(thread_rule_name(THREADS_MAIN), "main");
	CHECK_TEXT(thread_rule_name(THREADS_MATCH), "match");
	CHECK_TEXT(thread_rule_name(THREADS_ATTACH), "attach");
	CHECK_TEXT(thread_rule_name(THREADS_ALL), "all");
	CHECK_TEXT(resv_state_name(RESV_HELD), "held");
	CHECK_TEXT(resv_state_name(RESV_BOUND), "bound");
	CHECK_TEXT(resv_state_name(RESV_ACTIVE), "active");
	CHECK_TEXT(resv_state_name(RESV_DRAINING), "draining");
	CHECK_TEXT(resv_state_name(RESV_GONE), "gone");
}

TEST(what_is_out_of_range_or_unknown_is_none)
{
	CHECK_TEXT(guarantee_name(_GUARANTEE_MAX), "none");
	CHECK_TEXT(placement_name(_PLACEMENT_MAX), "none");
	CHECK_TEXT(thread_rule_name(_THREADS_MAX), "none");
	CHECK_TEXT(resv_state_name(_RESV_STATE_MAX), "none");
	CHECK_EQ(guarantee_parse("Hard"), GUARANTEE_NONE);
	CHECK_EQ(placement_parse(""), PLACEMENT_NONE);
	CHECK_EQ(resv_state_parse("bounds"), RESV_NONE);
}

TEST(a_name_begins_and_ends_with_a_letter_or_digit)
{
	static const char *const good[] = { "a", "7", "camera", "cam-1_front.left", "A9" };
	static const char *const bad[] = { "", "-a", "a-", ".", ".a", "a.", "_a", "a_", "a/b",
		"a b", "a\n", "a:b", "k\xc3\xa4mera", "a..b/" };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		CHECK(resv_name_valid(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK(!resv_name_valid(bad[i]));
}

TEST(a_name_has_at_most_128_characters)
{
	char name[RESV_NAME_MAX + 2];

	memset(name, 'x', sizeof(name));
	name[RESV_NAME_MAX + 1] = '\0';
	CHECK(!resv_name_valid(name));
	name[RESV_NAME_MAX] = '\0';
	CHECK(resv_name_valid(name));
}

TEST(a_sound_request_passes_the_check)
{
	struct resv_request r = camera();

	CHECK_TEXT(check(&r), "");
	r.dl.deadline_ns = r.dl.runtime_ns;
	CHECK_TEXT(check(&r), "");
}

TEST(the_check_names_the_field_and_the_value)
{
	struct resv_request r = camera();

	r.name[0] = '-';
	CHECK_TEXT(check(&r),
		"metadata.name: a name is 1 to 128 letters, digits, '-', '_' or '.', and begins and "
		"ends with a letter or digit");
	r = camera();
	r.dl.deadline_ns = 20000001;
	CHECK_TEXT(check(&r), "spec.deadline: 20.000001ms is after the period of 20ms");
	r = camera();
	r.dl.deadline_ns = 3999999;
	CHECK_TEXT(check(&r), "spec.runtime: 4ms does not fit before the deadline of 3.999999ms");
}

TEST(runtime_has_the_kernels_floor)
{
	struct resv_request r = camera();

	r.dl.runtime_ns = 1024;
	CHECK_TEXT(check(&r), "");
	r.dl.runtime_ns = 1023;
	CHECK_TEXT(check(&r), "spec.runtime: 1.023us is under the kernel's floor of 1024ns");
}

TEST(period_is_between_100_us_and_2_to_the_22_us)
{
	struct resv_request r = camera();

	r.dl = (struct dl_params){ 5000, 100000, 100000 };
	CHECK_TEXT(check(&r), "");
	r.dl = (struct dl_params){ 5000, 99999, 99999 };
	CHECK_TEXT(check(&r),
		"spec.period: 99.999us is outside what the kernel takes, 100us to 4.194304s");
	r.dl = (struct dl_params){ 5000, 4194304000, 4194304000 };
	CHECK_TEXT(check(&r), "");
	r.dl = (struct dl_params){ 5000, 4194304000, 4194304001 };
	CHECK_TEXT(check(&r),
		"spec.period: 4194.304001ms is outside what the kernel takes, 100us to 4.194304s");
}

TEST(cores_are_between_1_and_256)
{
	struct resv_request r = camera();

	r.cores = 256;
	CHECK_TEXT(check(&r), "");
	r.cores = 257;
	CHECK_TEXT(check(&r), "spec.cores: 257 is outside 1 to 256");
	r.cores = 0;
	CHECK_TEXT(check(&r), "spec.cores: 0 is outside 1 to 256");
}

static struct resv_label *one_label(const char *key, const char *value)
{
	struct resv_label *l = calloc(1, sizeof(*l));

	CHECK(l);
	snprintf(l->key, sizeof(l->key), "%s", key);
	snprintf(l->value, sizeof(l->value), "%s", value);
	return l;
}

TEST(a_copy_is_equal_and_owns_its_labels)
{
	struct resv_request a = camera(), b = { 0 };

	a.labels = one_label("app", "vision");
	a.n_labels = 1;
	CHECK_EQ(resv_request_copy(&b, &a, NULL), 0);
	CHECK(resv_request_equal(&a, &b));
	CHECK(a.labels != b.labels);
	b.labels[0].value[0] = 'V';
	CHECK(!resv_request_equal(&a, &b));
	resv_request_fini(&a);
	CHECK_TEXT(b.labels[0].value, "Vision");
	resv_request_fini(&b);
	CHECK(!b.labels && b.n_labels == 0);
}

TEST(fini_accepts_nothing)
{
	struct resv_request zero = { 0 };

	resv_request_fini(NULL);
	resv_request_fini(&zero);
	resv_request_fini(&zero);
}

#define DIFFERS(change)                                                            \
	do {                                                                       \
		struct resv_request a = camera(), b = camera();                    \
                                                                                   \
		change;                                                            \
		CHECK(!resv_request_equal(&a, &b) && !resv_request_equal(&b, &a)); \
	} while (0)

TEST(every_field_counts_for_equality)
{
	DIFFERS(b.name[0] = 'C');
	DIFFERS(b.dl.runtime_ns++);
	DIFFERS(b.dl.deadline_ns--);
	DIFFERS(b.dl.period_ns++);
	DIFFERS(b.cores++);
	DIFFERS(b.guarantee = GUARANTEE_SOFT);
	DIFFERS(b.placement = PLACEMENT_SHARED);
	DIFFERS(b.threads = THREADS_ALL);
	DIFFERS(b.reclaim = true);
	DIFFERS(b.adapt.min_runtime_ns = 1);
	DIFFERS(b.adapt.max_runtime_ns = 1);
	DIFFERS(b.adapt.miss_rate_ppm = 1);
	DIFFERS((b.n_patterns = 1, b.patterns[0][0] = 'w'));
}

TEST(patterns_and_labels_count_one_by_one)
{
	struct resv_request a = camera(), b = camera();

	a.n_patterns = b.n_patterns = 2;
	strcpy(a.patterns[1], "w-*");
	CHECK(!resv_request_equal(&a, &b));
	strcpy(b.patterns[1], "w-*");
	CHECK(resv_request_equal(&a, &b));
	a.labels = one_label("a", "b");
	a.n_labels = 1;
	CHECK(!resv_request_equal(&a, &b));
	b.labels = one_label("b", "b");
	b.n_labels = 1;
	CHECK(!resv_request_equal(&a, &b));
	resv_request_fini(&a);
	resv_request_fini(&b);
}
