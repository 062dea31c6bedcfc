// SPDX-License-Identifier: Apache-2.0
#include "cluster/dra/facts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cluster/dra/claim.h"
#include "core/admit/admit.h"

/* The kernel's unit is 2^-20 of a CPU, and each server is rounded up to it: 1 ppm for each of as
 * many servers as one node, and one CPU, will hardly have. */
#define ROUNDING_PPM 256
#define ROUNDING_CPU_PPM 64

static int64_t number(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_integer(value) ? json_integer_value(value) : -1;
}

void facts_fini(struct facts *f)
{
	if (!f)
		return;
	free(f->per_cpu);
	*f = FACTS_NULL;
}

/* What is promised of all CPUs, or of that one (cpu >= 0). */
struct promised {
	int64_t claims, others;
};

static bool is_on(const json_t *resv, int cpu)
{
	const json_t *one;
	size_t i;

	json_array_foreach (json_object_get(resv, "cpus"), i, one)
		if (json_integer_value(one) == cpu)
			return true;
	return false;
}

/* Others and claims are counted apart, so that a claim changes nothing of what is left. */
static struct promised count_promised(const json_t *list, int cpu)
{
	const json_t *resv;
	struct promised p = { 0 };
	size_t i;

	json_array_foreach (json_object_get(list, "reservations"), i, resv) {
		int64_t ppm = number(resv, "bandwidthPpm"), cores = number(resv, "cores");
		bool claim = json_object_get(json_object_get(resv, "labels"), "claim") != NULL;

		if (ppm < 0 || cores < 1 || (cpu >= 0 && !is_on(resv, cpu)))
			continue;
		if (cpu >= 0)
			ppm = (ppm + cores - 1) / cores;
		/* Each server is rounded up to the kernel's unit. */
		if (claim)
			p.claims += ppm;
		else
			p.others += ppm + (cpu >= 0 ? 1 : cores);
	}
	return p;
}

static const json_t *check_of(const json_t *node, const char *name)
{
	const json_t *check;
	size_t i;

	json_array_foreach (json_object_get(node, "checks"), i, check) {
		const char *its = json_string_value(json_object_get(check, "name"));

		if (its && strcmp(its, name) == 0)
			return check;
	}
	return NULL;
}

static bool check_is(const json_t *node, const char *name, const char *status)
{
	const char *its = json_string_value(json_object_get(check_of(node, name), "status"));

	return its && strcmp(its, status) == 0;
}

static bool has_placement(const json_t *node, const char *name)
{
	const json_t *one;
	size_t i;

	json_array_foreach (json_object_get(node, "placements"), i, one)
		if (json_is_string(one) && strcmp(json_string_value(one), name) == 0)
			return true;
	return false;
}

static struct facts_taint taint(const char *key, const char *value, const char *why)
{
	struct facts_taint t = { .key = key, .value = value };

	snprintf(t.why, sizeof(t.why), "%s", why ? why : value);
	return t;
}

static void add_taint(struct facts *f, struct facts_taint t)
{
	if (f->n_taints < FACTS_TAINTS_MAX - 1) /* one is left for facts_set_unreachable() */
		f->taints[f->n_taints++] = t;
}

/* The ceiling itself moves by what the kernel miscounts; who lowered it, meant it. */
static void read_lowered(const json_t *node, struct facts *f)
{
	int64_t now = number(node, "limitPpm"), first = number(node, "firstLimitPpm");
	struct facts_taint t = { .key = "ceiling", .value = "lowered", .informs = true };

	snprintf(t.why, sizeof(t.why),
		"sched_rt_runtime_us was lowered from %lld to %lld millionths of a CPU",
		(long long)first, (long long)now);
	if (now >= 0 && now < first && !check_is(node, "ceiling", "no"))
		add_taint(f, t);
}

/* What taktd found: its checks' names and words are in its manual. */
static void read_checks(const json_t *node, struct facts *f)
{
	static const struct {
		const char *check, *status, *key, *value;
	} rows[] = {
		{ "events", "no", "events", "missing" },
		{ "ceiling", "no", "ceiling", "changed" },
		{ "cpus", "no", "cpus", "offline" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct facts_taint t = taint(rows[i].key, rows[i].value,
			json_string_value(
				json_object_get(check_of(node, rows[i].check), "detail")));

		/* Where each CPU is a device, only that device is broken. */
		if (check_is(node, rows[i].check, rows[i].status) &&
			!(f->pinned && strcmp(rows[i].check, "cpus") == 0))
			add_taint(f, t);
	}
}

/* Never less than what is given already: the scheduler would count below zero. */
static uint64_t at_least(int64_t left, int64_t claims, struct facts_taint *ret)
{
	char why[FACTS_WHY_MAX];

	if (left >= claims)
		return left;
	snprintf(why, sizeof(why),
		"claims hold %lld millionths of a CPU, and %lld are left for them",
		(long long)claims, (long long)(left > 0 ? left : 0));
	*ret = taint("room", "overcommitted", why);
	return claims;
}

static int read_shared(const json_t *list, const json_t *node, uint64_t most_ppm, struct facts *f)
{
	struct promised p = count_promised(list, -1);
	int64_t own = number(node, "ownPpm"), foreign = number(node, "foreignPpm");
	int64_t others = own + p.others + foreign + ROUNDING_PPM;
	int64_t left = (int64_t)(f->cpus * f->ceiling_ppm) - others;
	/* GFB, see core/admit/gfb.c: all servers together, where none has more than most_ppm. */
	int64_t proven = (int64_t)(f->cpus * PPM_ONE_CPU - (f->cpus - 1) * most_ppm) - others;
	struct facts_taint short_of = { 0 };

	if (own < 0 || foreign < 0)
		return -EPROTO;
	f->hard_by_sum = f->granularity_ns == 0 && (most_ppm || f->cpus == 1);
	if (f->hard_by_sum && proven < left)
		left = proven;
	f->capacity_ppm = at_least(left > 0 ? left : 0, p.claims, &short_of);
	if (short_of.key)
		add_taint(f, short_of);
	return 0;
}

static int read_cpu(
	const json_t *list, const json_t *from, uint64_t ceiling_ppm, struct facts_cpu *ret)
{
	int64_t cpu = number(from, "cpu"), own = number(from, "ownPpm"), left;
	int64_t foreign = number(from, "foreignPpm");
	const json_t *usable = json_object_get(from, "usable");
	struct promised p;

	if (cpu < 0 || cpu >= FACTS_CPUS_MAX || own < 0 || foreign < 0 || !json_is_boolean(usable))
		return -EPROTO;
	p = count_promised(list, cpu);
	left = (int64_t)ceiling_ppm - own - foreign - p.others - ROUNDING_CPU_PPM;
	*ret = (struct facts_cpu){ .cpu = cpu };
	ret->core = number(from, "core");
	ret->socket = number(from, "socket");
	ret->numa_node = number(from, "numaNode");
	ret->capacity_ppm = at_least(left > 0 ? left : 0, p.claims, &ret->taint);
	if (json_is_false(usable))
		ret->taint =
			taint("cpus", "offline", "the CPU is offline, or out of taktd's cpuset");
	return 0;
}

static int read_pinned(const json_t *list, const json_t *node, struct facts *f)
{
	const json_t *topology = json_object_get(node, "topology"), *one;
	size_t i;

	if (json_array_size(topology) == 0 || json_array_size(topology) > FACTS_CPUS_MAX)
		return -EPROTO;
	f->per_cpu = calloc(json_array_size(topology), sizeof(*f->per_cpu));
	if (!f->per_cpu)
		return -ENOMEM;
	f->hard_by_sum = f->granularity_ns == 0; /* EDF on one CPU, D = P: exact */
	json_array_foreach (topology, i, one) {
		int r = read_cpu(list, one, f->ceiling_ppm, &f->per_cpu[f->n_per_cpu]);

		if (r < 0)
			return r;
		f->n_per_cpu++;
	}
	return 0;
}

static void read_usable(const json_t *node, struct cpus *ret)
{
	const json_t *one;
	size_t i;

	json_array_foreach (json_object_get(node, "topology"), i, one) {
		int64_t cpu = number(one, "cpu");

		if (cpu >= 0 && cpu < CPUS_MAX && json_is_true(json_object_get(one, "usable")))
			cpus_add(ret, cpu);
	}
}

/* One reservation more than CPUs: fewer never wait for each other. */
static bool proves_hard(const struct admit_machine *m, const struct admit_task *t)
{
	cleanup_admit_set struct admit_set *set = NULL;
	uint32_t id;

	if (admit_set_create(&set, m, NULL) < 0)
		return false;
	for (unsigned i = 0; i < m->n_cpus; i++)
		if (!admit_evaluate(set, t).yes || admit_hold(set, t, &id, NULL) < 0)
			return false;
	return admit_evaluate(set, t).yes;
}

static uint64_t hard_min_period(const struct facts *f)
{
	static const unsigned periods_ms[] = { 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000 };
	struct admit_machine m = {
		.n_cpus = f->pinned ? 1 : f->cpus,
		.ceiling = bw_from_ppm(f->ceiling_ppm),
		.granularity_ns = f->granularity_ns,
	};

	for (size_t i = 0; i < ARRAY_SIZE(periods_ms); i++) {
		nsec_t p = periods_ms[i] * NSEC_PER_MSEC;
		struct admit_task t = { { p / 10, p, p }, 1, GUARANTEE_HARD, false };

		if (proves_hard(&m, &t))
			return p;
	}
	return 0;
}

int facts_read(const json_t *list, const json_t *node, uint64_t max_utilisation_ppm,
	struct facts *ret, struct err *err)
{
	int64_t cpus = number(node, "cpus"), ceiling = number(node, "ceilingPpmPerCpu");
	int64_t granularity = number(node, "granularityNs");
	cleanup_facts struct facts f = { .cpus = cpus };
	int r = -EPROTO;

	/* A kernel that has miscounted grants more for a while. */
	f.ceiling_ppm = ceiling < (int64_t)PPM_ONE_CPU ? ceiling : (int64_t)PPM_ONE_CPU;
	f.granularity_ns = granularity;
	f.pinned = has_placement(node, "pinned");
	f.group = has_placement(node, "group");
	f.hrtick = check_is(node, "granularity", "ok");
	f.virtual_machine = check_is(node, "hypervisor", "limited");
	if (cpus >= 1 && cpus <= FACTS_CPUS_MAX && ceiling >= 0 && granularity >= 0 &&
		json_is_array(json_object_get(list, "reservations")))
		r = f.pinned ? read_pinned(list, node, &f)
			     : read_shared(list, node, max_utilisation_ppm, &f);
	if (r == -ENOMEM)
		return err_set(err, r, "out of memory");
	if (r < 0)
		return err_set(err, r,
			"taktd's answer is not as this takt-dra knows it: "
			"install both from one version");
	/* CPUs of different sizes: taktd refuses all that is hard. */
	if (check_is(node, "speed", "no"))
		f.hard_by_sum = false;
	else
		f.hard_min_period_ns = hard_min_period(&f);
	read_usable(node, &f.usable);
	read_checks(node, &f);
	read_lowered(node, &f);
	*ret = f;
	f = FACTS_NULL;
	return 0;
}

void facts_set_unreachable(struct facts *f, const char *why)
{
	struct facts_taint t = taint("taktd", "unreachable", why);

	for (size_t i = 0; i < f->n_taints; i++)
		if (strcmp(f->taints[i].key, t.key) == 0) {
			f->taints[i] = t;
			return;
		}
	f->taints[f->n_taints++] = t;
}

size_t facts_n_devices(const struct facts *f)
{
	return f->pinned ? f->n_per_cpu : f->cpus > 0;
}

void facts_device_name(const struct facts *f, size_t i, char buf[static FACTS_DEVICE_NAME_MAX])
{
	if (f->pinned)
		snprintf(buf, FACTS_DEVICE_NAME_MAX, CLAIM_DEVICE_CPU "%u", f->per_cpu[i].cpu);
	else
		snprintf(buf, FACTS_DEVICE_NAME_MAX, CLAIM_DEVICE_SHARED);
}

const struct facts_taint *facts_trouble(const struct facts *f, size_t i)
{
	for (size_t k = 0; k < f->n_taints; k++)
		if (!f->taints[k].informs)
			return &f->taints[k];
	return f->pinned && f->per_cpu[i].taint.key ? &f->per_cpu[i].taint : NULL;
}
