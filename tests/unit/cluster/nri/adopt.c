// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

#include <errno.h>

#include "cluster/nri/adopt.h"

static const char *const no_text[1];

static struct nri_container container(
	const char *const *env, size_t n_env, const char *const *devices, size_t n_devices)
{
	return (struct nri_container){
		.id = "c0ffee",
		.name = "main",
		.env = env,
		.n_env = n_env,
		.cdi_devices = devices,
		.n_cdi_devices = n_devices,
	};
}

static void judge(const struct ties *t, const char *pod, const struct nri_container *c,
	bool scheduler, struct adopt_verdict *ret)
{
	struct adopt_names names;

	adopt_names(c, &names);
	adopt_judge(t, pod, &names, scheduler, ret);
}

static struct adopt_verdict judge_env(const char *variable, const char *pod)
{
	static const struct tie some;
	struct nri_container c = container(&variable, 1, no_text, 0);
	struct adopt_verdict v;
	struct ties t = TIES_NULL;

	CHECK_EQ(fixture_learn(&t, "u1", NULL, POD("p1")), 0);
	judge(&t, pod, &c, true, &v);
	v.scheduler = v.scheduler ? &some : NULL; /* what it points to goes */
	ties_fini(&t);
	return v;
}

TEST(a_container_that_names_nothing_is_nobodys_business)
{
	CHECK_EQ(judge_env("PATH=/bin", "p1").answer, ADOPT_PASS);
	CHECK_EQ(judge_env("TAKT_RESERVATIONS=arm.u1", "p1").answer, ADOPT_PASS);
	CHECK_EQ(judge_env("X=TAKT_RESERVATION=arm.u1", "p1").answer, ADOPT_PASS);
}

TEST(a_pod_that_the_claim_is_reserved_for_is_entitled)
{
	struct adopt_verdict v = judge_env("TAKT_RESERVATION=arm.u1", "p1");

	CHECK_EQ(v.answer, ADOPT_TAKE);
	CHECK(v.scheduler);
}

TEST(a_variable_alone_is_never_believed)
{
	struct adopt_verdict v = judge_env("TAKT_RESERVATION=arm.u1", "p2");

	CHECK_EQ(v.answer, ADOPT_REFUSE);
	CHECK(strstr(v.sentence, "\"arm.u1\" is of a claim that is not reserved for this pod"));
	CHECK(!v.scheduler);
	CHECK_EQ(judge_env("TAKT_RESERVATION=arm.u1", "").answer, ADOPT_REFUSE);
	v = judge_env("TAKT_RESERVATION=by\nhand", "p1");
	CHECK_EQ(v.answer, ADOPT_REFUSE);
	CHECK(strstr(v.sentence, "\"by\\x0ahand\" is of no claim"));
	CHECK_EQ(judge_env("TAKT_RESERVATION=", "p1").answer, ADOPT_REFUSE);
}

TEST(a_container_is_entitled_to_all_that_it_names_or_to_nothing)
{
	const char *env[] = { "TAKT_RESERVATION=arm.u2" };
	const char *devices[] = { "vendor/x=1", "rt.takt.dev/reservation=arm.u1",
		"rt.takt.dev/reservation=arm.u2" };
	struct nri_container c = container(env, 1, devices, 3);
	struct ties t = TIES_NULL;
	struct adopt_verdict v;
	struct adopt_names names;

	adopt_names(&c, &names);
	CHECK_EQ(names.n, 2);
	CHECK_EQ(fixture_learn(&t, "u1", NULL, POD("p1")), 0);
	judge(&t, "p1", &c, true, &v);
	CHECK_EQ(v.answer, ADOPT_REFUSE);
	CHECK_EQ(fixture_learn(&t, "u2", NULL, POD("p1")), 0);
	judge(&t, "p1", &c, true, &v);
	CHECK_EQ(v.answer, ADOPT_TAKE);
	CHECK(!v.scheduler); /* of two, which? */
	ties_fini(&t);
}

TEST(more_names_than_a_claim_can_have_are_refused)
{
	static char texts[ADOPT_NAMES_MAX + 1][64];
	const char *devices[ADOPT_NAMES_MAX + 1];
	struct nri_container c = container(no_text, 0, devices, ARRAY_SIZE(devices));
	struct ties t = TIES_NULL;
	struct adopt_verdict v;

	for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
		snprintf(texts[i], sizeof(texts[i]), ADOPT_DEVICE "arm.u%zu", i);
		devices[i] = texts[i];
		CHECK_EQ(fixture_learn(&t, texts[i] + strlen(ADOPT_DEVICE "arm."), NULL, POD("p1")),
			0);
	}
	judge(&t, "p1", &c, true, &v);
	CHECK_EQ(v.answer, ADOPT_REFUSE);
	ties_fini(&t);
}

TEST(the_scheduler_field_is_for_runtimes_that_have_it)
{
	static const struct {
		const char *name, *version, *nri;
		bool has;
	} rows[] = {
		{ "containerd", "v2.3.7", "v0.12.1", true },
		{ "containerd", "v2.3.7", "v0.10.0", false },
		{ "containerd", "v2.2.1", "", true },
		{ "containerd", "2.10.0", "", true },
		{ "containerd", "v2.2.0", "", false },
		{ "containerd", "v1.7.29", "", false },
		{ "containerd", "", "", false },
		{ "containerd", "main", "", false },
		{ "cri-o", "1.35.0", "", true },
		{ "cri-o", "1.34.6", "", false },
		{ "other", "9.9", "", false },
		{ "other", "9.9", "1.0", true },
	};
	struct nri_container c;
	struct adopt_verdict v;
	struct ties t = TIES_NULL;
	const char *variable = "TAKT_RESERVATION=arm.u1";

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct nri_runtime r = { rows[i].name, rows[i].version, rows[i].nri, "", 0 };

		if (adopt_has_scheduler(&r) != rows[i].has)
			fail_msg("%s %s %s", r.name, r.version, r.nri_version);
	}
	c = container(&variable, 1, no_text, 0);
	CHECK_EQ(fixture_learn(&t, "u1", NULL, POD("p1")), 0);
	judge(&t, "p1", &c, false, &v);
	CHECK_EQ(v.answer, ADOPT_TAKE);
	CHECK(!v.scheduler);
	ties_fini(&t);
}

static bool to_bind(const char *state, const char *holder, bool running)
{
	struct adopt_seen seen = { "robots/arm/main", running };
	cleanup_json json_t *resv = json_pack(
		"{s:s, s:[s, s*]}", "state", state, "containers", "robots/arm/other", holder);

	return adopt_to_bind(resv, &seen);
}

TEST(a_running_container_is_bound_where_taktd_does_not_know_it_by_its_name)
{
	cleanup_json json_t *held = json_pack("{s:s, s:[]}", "state", "held", "containers");

	CHECK(adopt_to_bind(held, &(struct adopt_seen){ "robots/arm/main", true }));
	CHECK(to_bind("bound", "c0ffee", true));
	CHECK(to_bind("active", NULL, true));
	CHECK(!to_bind("active", "robots/arm/main", true));
	CHECK(!to_bind("draining", "c0ffee", true));
	CHECK(!to_bind("active", "c0ffee", false));
}

TEST(a_bind_that_taktd_has_refused_for_good_is_not_made_again)
{
	static const int later[] = { -ENOENT, -ECONNREFUSED, -ECONNRESET, -ETIMEDOUT, -EBUSY, -EIO,
		-ENOMEM };
	static const int never[] = { -EINVAL, -EPERM, -ESRCH, -EOPNOTSUPP, -ENOSYS };

	for (size_t i = 0; i < ARRAY_SIZE(later); i++)
		CHECK(adopt_bind_again(later[i]));
	for (size_t i = 0; i < ARRAY_SIZE(never); i++)
		CHECK(!adopt_bind_again(never[i]));
}

TEST(a_claims_container_without_the_name_of_a_pod_may_have_been_missed)
{
	cleanup_json json_t *claims = json_pack("{s:[s, s, s], s:{s:s}}", "containers", "c0ffee",
		"robots/arm/main", "decaf", "labels", "claim", "arm");
	cleanup_json json_t *by_hand = json_pack("{s:[s], s:{}}", "containers", "c0ffee", "labels");
	cleanup_json json_t *held =
		json_pack("{s:[], s:{s:s}}", "containers", "labels", "claim", "arm");
	size_t at = 0, none = 0;

	CHECK_TEXT(adopt_nameless(claims, &at), "c0ffee");
	CHECK_TEXT(adopt_nameless(claims, &at), "decaf");
	CHECK(!adopt_nameless(claims, &at));
	CHECK(!adopt_nameless(by_hand, &none) && !adopt_nameless(held, &none));
}
