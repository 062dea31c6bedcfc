// SPDX-License-Identifier: Apache-2.0
#include "cluster/dra/facts.h"

#include <errno.h>

#include "base/cleanup.h"
#include "core/admit/admit.h"
#include "test.h"

/* JSON with ' for ". */
static json_t *json(const char *text)
{
	char copy[4096];
	json_error_t error;
	json_t *object;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *c = copy; *c; c++)
		if (*c == '\'')
			*c = '"';
	object = json_loads(copy, 0, &error);
	if (!object)
		fail_msg("%s in %s", error.text, copy);
	return object;
}

/* One reservation by hand of 0.1, a claim of 0.2. */
#define LIST                                                              \
	"{'reservations':[{'bandwidthPpm':100000,'cores':1,'labels':{}}," \
	"{'bandwidthPpm':200000,'cores':1,'labels':{'claim':'a'}}]}"
/* Two CPUs of 0.9, of which taktd has 0.05. */
#define NODE(g, foreign, checks)                                                     \
	"{'cpus':2,'ceilingPpmPerCpu':900000,'granularityNs':" #g ",'ownPpm':50000," \
	"'foreignPpm':" #foreign ",'placements':['shared','group'],'checks':[" checks "]}"
#define CHECK_ROW(name, status, detail) \
	"{'name':'" name "','status':'" status "','detail':'" detail "'}"

static struct facts read_facts(const char *list, const char *node, uint64_t max_utilisation)
{
	cleanup_json json_t *l = json(list), *n = json(node);
	struct facts f = FACTS_NULL;
	struct err err = ERR_NULL;

	if (facts_read(l, n, max_utilisation, &f, &err) < 0)
		fail_msg("%s", err.text);
	return f;
}

TEST(claims_share_what_nobody_else_has)
{
	struct facts f = read_facts(LIST, NODE(4000000, 0, ""), 0);

	CHECK_EQ(f.capacity_ppm, 1800000 - 150001 - 256);
	CHECK_EQ(f.cpus, 2);
	CHECK_EQ(f.ceiling_ppm, 900000);
	CHECK_EQ(f.n_taints, 0);
	CHECK(f.group && !f.pinned && !f.hrtick && !f.virtual_machine);
	f = read_facts(LIST, NODE(4000000, 500000, ""), 0);
	CHECK_EQ(f.capacity_ppm, 1800000 - 150001 - 500000 - 256);
}

TEST(a_claim_more_changes_nothing_of_what_is_left)
{
	struct facts before = read_facts("{'reservations':[]}", NODE(4000000, 0, ""), 0);
	struct facts after = read_facts(
		"{'reservations':[{'bandwidthPpm':233334,'cores':3,'labels':{'claim':'a'}}]}",
		NODE(4000000, 0, ""), 0);

	CHECK_EQ(before.capacity_ppm, 1800000 - 50000 - 256);
	CHECK_EQ(after.capacity_ppm, before.capacity_ppm);
}

TEST(what_claims_have_is_published_whatever_is_left_and_tainted)
{
	struct facts f = read_facts(LIST, NODE(4000000, 1700000, ""), 0);

	CHECK_EQ(f.capacity_ppm, 200000);
	CHECK_EQ(f.n_taints, 1);
	CHECK_TEXT(f.taints[0].key, "room");
	CHECK_TEXT(f.taints[0].value, "overcommitted");
	CHECK_TEXT(facts_trouble(&f, 0)->why,
		"claims hold 200000 millionths of a CPU, and 0 are left for them");
	f = read_facts("{'reservations':[]}", NODE(4000000, 1800000, ""), 0);
	CHECK_EQ(f.capacity_ppm, 0);
	CHECK(!facts_trouble(&f, 0));
}

TEST(no_cpu_has_more_than_all_of_it)
{
	struct facts f = read_facts("{'reservations':[]}",
		"{'cpus':2,'ceilingPpmPerCpu':1200000,'granularityNs':0,'ownPpm':0,'foreignPpm':0}",
		0);

	CHECK_EQ(f.capacity_ppm, 2000000 - 256);
}

TEST(an_answer_of_another_version_is_refused)
{
	static const char *const wrong[] = { "{}",
		"{'cpus':0,'ceilingPpmPerCpu':900000,'granularityNs':0,'ownPpm':0,'foreignPpm':0}",
		"{'cpus':2000,'ceilingPpmPerCpu':900000,'granularityNs':0,'ownPpm':0,'foreignPpm':0}",
		"{'cpus':2,'ceilingPpmPerCpu':900000,'granularityNs':0,'ownPpm':0}",
		"{'cpus':2,'ceilingPpmPerCpu':900000,'granularityNs':'0','ownPpm':0,'foreignPpm':0}",
		"{'cpus':2,'ceilingPpmPerCpu':1000000,'granularityNs':0,'placements':['pinned']}",
		("{'cpus':1,'ceilingPpmPerCpu':900000,'granularityNs':0,'placements':['pinned'],"
		 "'topology':[{'cpu':-1,'ownPpm':0,'foreignPpm':0,'usable':true}]}") };
	cleanup_json json_t *list = json(LIST), *nothing = json_object();
	cleanup_json json_t *good = json(NODE(0, 0, ""));
	struct facts f = { .cpus = 7 };

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		cleanup_json json_t *node = json(wrong[i]);

		CHECK_EQ(facts_read(list, node, 0, &f, NULL), -EPROTO);
	}
	CHECK_EQ(facts_read(nothing, good, 0, &f, NULL), -EPROTO);
	CHECK_EQ(f.cpus, 7);
}

TEST(with_the_largest_task_known_the_sum_proves_hard_claims)
{
	struct facts f = read_facts(LIST, NODE(0, 0, ""), 300000);

	CHECK(f.hard_by_sum);
	CHECK_EQ(f.capacity_ppm, 2000000 - 300000 - 150001 - 256);
	/* The kernel's sum is the smaller one. */
	f = read_facts(LIST, NODE(0, 0, ""), 100000);
	CHECK_EQ(f.capacity_ppm, 1800000 - 150001 - 256);
	CHECK(f.hard_by_sum);
	f = read_facts(LIST, NODE(0, 0, ""), 0);
	CHECK(!f.hard_by_sum);
}

TEST(with_overruns_no_sum_proves_them_and_none_is_taken_off)
{
	struct facts f = read_facts(LIST, NODE(4000000, 0, ""), 300000);

	CHECK(!f.hard_by_sum);
	CHECK_EQ(f.capacity_ppm, 1800000 - 150001 - 256);
}

TEST(on_cpus_of_different_sizes_nothing_hard_is_offered)
{
	struct facts f = read_facts(LIST, NODE(0, 0, CHECK_ROW("speed", "no", "")), 300000);

	CHECK(!f.hard_by_sum);
	CHECK_EQ(f.hard_min_period_ns, 0);
	f = read_facts(LIST, NODE(0, 0, CHECK_ROW("speed", "limited", "")), 300000);
	CHECK(f.hard_by_sum);
	CHECK_EQ(f.hard_min_period_ns, 1000000);
}

TEST(how_short_a_hard_period_can_be_follows_from_the_granularity)
{
	struct facts fine = read_facts(LIST, NODE(0, 0, ""), 0);
	struct facts coarse = read_facts(LIST, NODE(4000000, 0, ""), 0);
	struct facts hopeless = read_facts(LIST, NODE(2000000000, 0, ""), 0);

	CHECK_EQ(fine.hard_min_period_ns, 1000000);
	CHECK(coarse.hard_min_period_ns > fine.hard_min_period_ns);
	CHECK_EQ(hopeless.hard_min_period_ns, 0);
}

TEST(what_taktd_finds_broken_is_a_taint_with_its_sentence)
{
	struct facts f = read_facts(LIST,
		NODE(4000000, 0,
			CHECK_ROW("events", "no", "no connector") "," CHECK_ROW(
				"cpus", "no", "CPUs 1 are offline") "," CHECK_ROW("granularity",
				"limited", "4 ms") "," CHECK_ROW("hypervisor", "limited", "guest")),
		0);

	CHECK_EQ(f.n_taints, 2);
	CHECK_TEXT(f.taints[0].key, "events");
	CHECK_TEXT(f.taints[0].why, "no connector");
	CHECK_TEXT(f.taints[1].value, "offline");
	CHECK_TEXT(facts_trouble(&f, 0)->why, "no connector");
	CHECK(f.virtual_machine);
}

#define LIMITS(now, first) /* behind the checks */ \
	"],'limitPpm':" #now ",'firstLimitPpm':" #first ",'more':["

TEST(a_ceiling_that_was_lowered_but_holds_is_told_and_troubles_nobody)
{
	struct facts f = read_facts(LIST, NODE(4000000, 0, LIMITS(500000, 950000)), 0);

	CHECK_EQ(f.n_taints, 1);
	CHECK_TEXT(f.taints[0].value, "lowered");
	CHECK_TEXT(f.taints[0].why,
		"sched_rt_runtime_us was lowered from 950000 to 500000 millionths of a CPU");
	CHECK(f.taints[0].informs);
	CHECK(!facts_trouble(&f, 0));
	f = read_facts(LIST, NODE(4000000, 0, LIMITS(950000, 950000)), 0);
	CHECK_EQ(f.n_taints, 0);
	f = read_facts(LIST, NODE(4000000, 0, LIMITS(950000, 500000)), 0);
	CHECK_EQ(f.n_taints, 0);
}

TEST(a_ceiling_that_is_no_more_troubles_everybody)
{
	struct facts f = read_facts(LIST,
		NODE(4000000, 0, CHECK_ROW("ceiling", "no", "it is 10") LIMITS(10, 1000000)), 0);

	CHECK_EQ(f.n_taints, 1);
	CHECK(!f.taints[0].informs);
	CHECK_TEXT(facts_trouble(&f, 0)->why, "it is 10");
}

#define CPU_ROW(cpu, own, usable, more)                       \
	"{'cpu':" #cpu ",'ownPpm':" #own ",'usable':" #usable \
	",'foreignPpm':0,'core':1,'socket':0" more "}"
#define PINNED(checks, topology)                                                         \
	"{'cpus':2,'ceilingPpmPerCpu':900000,'granularityNs':0,'placements':['pinned']," \
	"'checks':[" checks "],'topology':[" topology "]}"
#define PINNED_LIST                                                                 \
	"{'reservations':[{'bandwidthPpm':400000,'cores':2,'labels':{'claim':'a'}," \
	"'cpus':[0,1]},{'bandwidthPpm':100000,'cores':1,'labels':{},'cpus':[1]}]}"

TEST(where_servers_are_pinned_each_cpu_has_what_is_left_of_it)
{
	cleanup_facts struct facts f = read_facts(PINNED_LIST,
		PINNED("", CPU_ROW(0, 50000, true, ",'numaNode':1") "," CPU_ROW(1, 0, true, "")),
		0);
	char name[FACTS_DEVICE_NAME_MAX];

	CHECK(f.pinned && f.hard_by_sum);
	CHECK_EQ(facts_n_devices(&f), 2);
	CHECK_EQ(f.per_cpu[0].capacity_ppm, 900000 - 50000 - 64);
	CHECK_EQ(f.per_cpu[1].capacity_ppm, 900000 - 100001 - 64);
	CHECK_EQ(f.per_cpu[0].numa_node, 1);
	CHECK_EQ(f.per_cpu[1].numa_node, -1);
	facts_device_name(&f, 1, name);
	CHECK_TEXT(name, "cpu1");
}

TEST(a_deadline_thread_of_another_program_takes_of_the_cpus_where_it_may_be)
{
	cleanup_facts struct facts f = read_facts("{'reservations':[]}",
		PINNED("", "{'cpu':0,'ownPpm':0,'foreignPpm':200000,'usable':true},"
			   "{'cpu':1,'ownPpm':0,'foreignPpm':0,'usable':true}"),
		0);

	CHECK_EQ(f.per_cpu[0].capacity_ppm, 900000 - 200000 - 64);
	CHECK_EQ(f.per_cpu[1].capacity_ppm, 900000 - 64);
}

TEST(a_cpu_that_is_gone_troubles_its_own_device_only)
{
	cleanup_facts struct facts f = read_facts(PINNED_LIST,
		PINNED(CHECK_ROW("cpus", "no", "CPUs 1 are offline"),
			CPU_ROW(0, 0, true, "") "," CPU_ROW(1, 0, false, "")),
		0);

	CHECK_EQ(f.n_taints, 0);
	CHECK(!facts_trouble(&f, 0));
	CHECK_TEXT(facts_trouble(&f, 1)->value, "offline");
}

TEST(an_agent_that_cannot_be_asked_troubles_every_device_once)
{
	struct facts f = read_facts(LIST, NODE(4000000, 1700000, ""), 0);
	size_t before = f.n_taints;

	facts_set_unreachable(&f, "Connection refused");
	facts_set_unreachable(&f, "No such file");
	CHECK_EQ(f.n_taints, before + 1);
	CHECK_TEXT(f.taints[before].key, "taktd");
	CHECK_TEXT(f.taints[before].why, "No such file");
}

/* xorshift64, so that a failure comes again. */
static uint64_t chance(uint64_t *state, uint64_t from, uint64_t to)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return from + *state % (to - from + 1);
}

/* Claims of at most max_ppm a thread, until the scheduler's sum is full; each must be taken. */
static unsigned fill(const struct admit_machine *m, uint64_t room_ppm, uint64_t max_ppm,
	enum guarantee g, uint64_t *s)
{
	cleanup_admit_set struct admit_set *set = NULL;
	const struct admit_task own = { { 2 * NSEC_PER_MSEC, 40 * NSEC_PER_MSEC,
						40 * NSEC_PER_MSEC },
		1, GUARANTEE_SOFT, false };
	unsigned n = 0, misses = 0;
	uint32_t id;

	CHECK_EQ(admit_set_create(&set, m, NULL), 0);
	CHECK_EQ(admit_hold(set, &own, &id, NULL), 0);
	while (misses < 20) {
		nsec_t p = chance(s, 1000, 1000000) * NSEC_PER_USEC;
		nsec_t q = p / PPM_ONE_CPU * chance(s, 10000, max_ppm);
		struct admit_task t = { { q, p, p }, chance(s, 1, 3), g, false };
		uint64_t asked = t.cores * ((q * PPM_ONE_CPU + p - 1) / p);

		if (asked > room_ppm) {
			misses++;
			continue;
		}
		if (!admit_evaluate(set, &t).yes)
			fail_msg("%u CPUs: %llu ppm asked, %llu left, refused", m->n_cpus,
				(unsigned long long)asked, (unsigned long long)room_ppm);
		CHECK_EQ(admit_hold(set, &t, &id, NULL), 0);
		room_ppm -= asked;
		n++;
	}
	return n;
}

static void no_surprise(unsigned cpus, nsec_t g_ns, uint64_t max_ppm, enum guarantee g)
{
	cleanup_json json_t *list = json("{'reservations':[]}");
	cleanup_json json_t *node = json_pack("{s:i, s:i, s:I, s:i, s:i, s:[s]}", "cpus", (int)cpus,
		"ceilingPpmPerCpu", 949999, "granularityNs", (json_int_t)g_ns, "ownPpm", 50000,
		"foreignPpm", 0, "placements", "shared");
	const struct admit_machine m = { cpus, bw_from_ppm(949999), g_ns };
	uint64_t state = 4 + cpus;
	unsigned placed = 0;
	struct facts f;

	CHECK_EQ(facts_read(list, node, g == GUARANTEE_HARD ? max_ppm : 0, &f, NULL), 0);
	CHECK(g == GUARANTEE_SOFT || f.hard_by_sum);
	for (int i = 0; i < 50; i++)
		placed += fill(&m, f.capacity_ppm, max_ppm, g, &state);
	CHECK(placed > 100);
}

TEST(whatever_hard_claims_the_sum_takes_are_proven_where_it_says_so)
{
	static const unsigned cpus[] = { 1, 2, 4, 16 };

	for (size_t i = 0; i < ARRAY_SIZE(cpus); i++) {
		no_surprise(cpus[i], 0, 300000, GUARANTEE_HARD);
		no_surprise(cpus[i], 0, 100000, GUARANTEE_HARD);
	}
}

TEST(whatever_soft_claims_the_sum_takes_are_taken_also_with_overruns)
{
	static const unsigned cpus[] = { 1, 2, 4, 16 };

	for (size_t i = 0; i < ARRAY_SIZE(cpus); i++) {
		no_surprise(cpus[i], 0, 300000, GUARANTEE_SOFT);
		no_surprise(cpus[i], 4 * NSEC_PER_MSEC, 300000, GUARANTEE_SOFT);
		no_surprise(cpus[i], 4 * NSEC_PER_MSEC, 900000, GUARANTEE_SOFT);
	}
}
