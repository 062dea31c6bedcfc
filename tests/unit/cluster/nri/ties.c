// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

#include <errno.h>

TEST(a_claim_is_found_by_its_reservation_and_knows_its_pods)
{
	struct ties t = TIES_NULL;
	const struct tied_claim *c;
	const struct tie *tie = NULL;

	CHECK_EQ(fixture_learn(&t, "u1", NULL, POD("p1") "," POD("p2")), 0);
	c = ties_find(&t, "arm.u1", &tie);
	CHECK(c && tie);
	CHECK_TEXT(c->uid, "u1");
	CHECK_EQ(tie->dl.runtime_ns, 4000000);
	CHECK(tie->scheduler && c->shared);
	CHECK(ties_has_pod(c, "p1") && ties_has_pod(c, "p2") && !ties_has_pod(c, "p3"));
	CHECK(!ties_find(&t, "arm.u2", &tie));
	ties_fini(&t);
}

TEST(only_pods_are_pods)
{
	struct ties t = TIES_NULL;
	const struct tie *tie;
	const struct tied_claim *c;

	CHECK_EQ(fixture_learn(&t, "u1", NULL,
			 "{'resource':'jobs','uid':'p1'},{'resource':'pods','apiGroup':'x.io',"
			 "'uid':'p2'},{'resource':'pods'},{'resource':'pods','uid':''},7"),
		0);
	c = ties_find(&t, "arm.u1", &tie);
	CHECK_EQ(c->n_pods, 0);
	CHECK(!ties_has_pod(c, "p1") && !ties_has_pod(c, ""));
	ties_fini(&t);
}

TEST(what_is_learned_again_replaces_what_was_known)
{
	struct ties t = TIES_NULL;
	const struct tie *tie;

	CHECK_EQ(fixture_learn(&t, "u1", NULL, POD("p1")), 0);
	CHECK_EQ(fixture_learn(&t, "u1", NULL, POD("p2")), 0);
	CHECK_EQ(t.n, 1);
	CHECK(!ties_has_pod(ties_find(&t, "arm.u1", &tie), "p1"));
	CHECK(ties_has_pod(ties_find(&t, "arm.u1", &tie), "p2"));
	ties_forget(&t, "u1");
	ties_forget(&t, "u1");
	CHECK_EQ(t.n, 0);
	CHECK(!ties_find(&t, "arm.u1", &tie));
	ties_fini(&t);
}

TEST(a_claim_of_a_template_is_its_pods_alone_and_others_may_be_shared)
{
	struct ties t = TIES_NULL;
	const struct tied_claim *c;

	CHECK_EQ(fixture_learn(&t, "u1", "p", POD("p1")), 0);
	CHECK_EQ(fixture_learn(&t, "u2", NULL, POD("p1")), 0);
	CHECK_EQ(fixture_learn(&t, "u3", NULL, POD("p2")), 0);
	c = ties_next_unsure(&t, NULL, "robots", "p2");
	CHECK_TEXT(c->uid, "u2");
	CHECK(!ties_next_unsure(&t, c, "robots", "p2"));
	CHECK(!ties_next_unsure(&t, NULL, "other", "p2"));
	ties_fini(&t);
}

TEST(a_claim_that_is_learned_anew_has_its_turn_after_the_others)
{
	struct ties t = TIES_NULL;

	CHECK_EQ(fixture_learn(&t, "u1", NULL, POD("p1")), 0);
	CHECK_EQ(fixture_learn(&t, "u2", NULL, POD("p1")), 0);
	CHECK_TEXT(ties_next_unsure(&t, NULL, "robots", "p2")->uid, "u1");
	CHECK_EQ(fixture_learn(&t, "u1", NULL, POD("p1")), 0);
	CHECK_TEXT(ties_next_unsure(&t, NULL, "robots", "p2")->uid, "u2");
	ties_fini(&t);
}

TEST(there_is_a_limit)
{
	struct ties t = TIES_NULL;
	char uid[32];

	for (int i = 0; i < TIES_CLAIMS_MAX; i++) {
		snprintf(uid, sizeof(uid), "u%d", i);
		CHECK_EQ(fixture_learn(&t, uid, NULL, ""), 0);
	}
	CHECK_EQ(fixture_learn(&t, "one-more", NULL, ""), -ENOSPC);
	CHECK_EQ(fixture_learn(&t, "u0", NULL, POD("p")), 0);
	CHECK_EQ(t.n, TIES_CLAIMS_MAX);
	ties_fini(&t);
}
