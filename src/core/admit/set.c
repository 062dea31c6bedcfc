// SPDX-License-Identifier: Apache-2.0
/*
 * What is held, with the sums that make one more admission O(n): shares for the kernel's sum, GFB
 * and tardiness, and for every entry its interference by all others (BCL, before it knows more).
 */
#include "core/admit/admit_private.h"

#include <errno.h>
#include <string.h>

#define SET_ROOM_MIN 16

static bool machine_valid(const struct admit_machine *m)
{
	return m->n_cpus >= 1 && m->n_cpus <= ADMIT_CPUS_MAX &&
	       m->granularity_ns <= ADMIT_TIME_MAX_NS;
}

bool admit_task_valid(const struct admit_task *t)
{
	const struct dl_params *dl = &t->dl;

	return dl->runtime_ns > 0 && dl->runtime_ns <= dl->deadline_ns &&
	       dl->deadline_ns <= dl->period_ns && dl->period_ns <= ADMIT_TIME_MAX_NS &&
	       t->cores >= 1 && t->cores <= ADMIT_SERVERS_MAX &&
	       (t->guarantee == GUARANTEE_HARD || t->guarantee == GUARANTEE_SOFT);
}

struct admit_entry admit_entry_of(const struct admit_task *t)
{
	const struct dl_params *dl = &t->dl;

	return (struct admit_entry){
		.cores = t->cores,
		.runtime_ns = dl->runtime_ns,
		.deadline_ns = dl->deadline_ns,
		.period_ns = dl->period_ns,
		.hard = t->guarantee == GUARANTEE_HARD,
		.reclaim = t->reclaim,
		.density_q60 = share_up(dl->runtime_ns, dl->deadline_ns),
	};
}

static uint64_t entry_q20(const struct admit_entry *e)
{
	struct dl_params dl = { e->runtime_ns, e->deadline_ns, e->period_ns };

	return dl_bandwidth(&dl).q20 * e->cores;
}

static nsec_t entry_early(const struct admit_entry *e)
{
	admit_wide product = (admit_wide)e->runtime_ns * (e->period_ns - e->deadline_ns);

	return (nsec_t)((product + e->period_ns - 1) / e->period_ns) * e->cores;
}

void admit_sums_add(struct admit_sums *sums, const struct admit_entry *e)
{
	sums->servers += e->cores;
	sums->hard += e->hard;
	sums->reclaiming += e->reclaim;
	sums->constrained += e->deadline_ns < e->period_ns;
	sums->q20 += entry_q20(e);
	share_sum_add(&sums->utilisation, e->runtime_ns, e->period_ns, e->cores);
	share_sum_add(&sums->density, e->runtime_ns, e->deadline_ns, e->cores);
	sums->early_ns += entry_early(e);
	if (e->density_q60 > sums->density_max_q60)
		sums->density_max_q60 = e->density_q60;
}

static void sums_sub(struct admit_sums *sums, const struct admit_entry *e)
{
	sums->servers -= e->cores;
	sums->hard -= e->hard;
	sums->reclaiming -= e->reclaim;
	sums->constrained -= e->deadline_ns < e->period_ns;
	sums->q20 -= entry_q20(e);
	share_sum_sub(&sums->utilisation, e->runtime_ns, e->period_ns, e->cores);
	share_sum_sub(&sums->density, e->runtime_ns, e->deadline_ns, e->cores);
	sums->early_ns -= entry_early(e);
}

static void find_max(struct admit_set *s)
{
	s->sums.density_max_q60 = 0;
	for (size_t i = 0; i < s->n; i++)
		if (s->entries[i].density_q60 > s->sums.density_max_q60)
			s->sums.density_max_q60 = s->entries[i].density_q60;
}

/* Brings the cached interference to what it is with entry `at` there; one pass over all. */
static void interference_add(struct admit_set *s, size_t at)
{
	struct admit_entry *new = &s->entries[at];
	nsec_t g = s->machine.granularity_ns;

	new->interference_ns = 0;
	if (s->machine.n_cpus == 1)
		return;
	for (size_t i = 0; i < at; i++) {
		struct admit_entry *e = &s->entries[i];

		e->interference_ns += bcl_interference(new, e, g);
		new->interference_ns += bcl_interference(e, new, g);
	}
	new->interference_ns += bcl_interference(new, new, g);
}

static void interference_sub(struct admit_set *s, const struct admit_entry *old)
{
	if (s->machine.n_cpus == 1)
		return;
	for (size_t i = 0; i < s->n; i++) {
		struct admit_entry *e = &s->entries[i];

		if (e != old)
			e->interference_ns -= bcl_interference(old, e, s->machine.granularity_ns);
	}
}

static int grow(struct admit_set *s, size_t room)
{
	struct admit_entry *entries = reallocarray(s->entries, room, sizeof(*entries));
	struct admit_scratch *to = &s->scratch;
	struct admit_top *top;
	nsec_t *late;
	bool *fails;

	if (!entries)
		return -ENOMEM;
	s->entries = entries;
	top = reallocarray(to->top, room, sizeof(*top));
	to->top = top ? top : to->top;
	late = reallocarray(to->late, room, sizeof(*late));
	to->late = late ? late : to->late;
	fails = reallocarray(to->fails, room, sizeof(*fails));
	to->fails = fails ? fails : to->fails;
	if (!top || !late || !fails)
		return -ENOMEM;
	s->room = room;
	return 0;
}

int admit_set_create(struct admit_set **ret, const struct admit_machine *m, struct err *err)
{
	cleanup_admit_set struct admit_set *s = NULL;

	if (!machine_valid(m))
		return err_set(err, -EINVAL,
			"a domain of %u CPUs with this throttle granularity is out of range; "
			"1 to %u CPUs and at most 73 minutes are",
			m->n_cpus, ADMIT_CPUS_MAX);
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_set(err, -ENOMEM, "out of memory for a scheduling domain");
	s->facts = calloc(1, sizeof(*s->facts));
	if (!s->facts || grow(s, SET_ROOM_MIN) < 0)
		return err_set(err, -ENOMEM, "out of memory for a scheduling domain");
	s->machine = *m;
	*ret = TAKE(s);
	return 0;
}

void admit_set_destroy(struct admit_set *s)
{
	if (!s)
		return;
	free(s->entries);
	free(s->scratch.top);
	free(s->scratch.late);
	free(s->scratch.fails);
	free(s->facts);
	free(s);
}

void admit_set_machine(struct admit_set *s, const struct admit_machine *m)
{
	bool same =
		m->n_cpus == s->machine.n_cpus && m->granularity_ns == s->machine.granularity_ns;

	if (!machine_valid(m))
		return;
	s->machine = *m;
	if (same)
		return;
	*s->facts = (struct admit_facts){ 0 };
	for (size_t i = 0; i < s->n; i++)
		interference_add(s, i);
}

int admit_hold(struct admit_set *s, const struct admit_task *t, uint32_t *ret_id, struct err *err)
{
	if (!admit_task_valid(t))
		return err_set(err, -EINVAL,
			"a reservation needs 0 < runtime <= deadline <= period, at least one core "
			"and a guarantee of hard or soft");
	if (s->sums.servers + t->cores > ADMIT_SERVERS_MAX || s->last_id == UINT32_MAX)
		return err_set(err, -ENOSPC, "more than %u servers in one scheduling domain",
			ADMIT_SERVERS_MAX);
	if (s->n + 2 > s->room && grow(s, 2 * s->room) < 0)
		return err_set(err, -ENOMEM, "out of memory for one more reservation");

	s->entries[s->n] = admit_entry_of(t);
	s->entries[s->n].id = ++s->last_id;
	admit_sums_add(&s->sums, &s->entries[s->n]);
	interference_add(s, s->n);
	s->n++;
	*s->facts = (struct admit_facts){ 0 };
	*ret_id = s->last_id;
	return 0;
}

/* Held in the order of their ids. */
static struct admit_entry *find(const struct admit_set *s, uint32_t id)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->entries[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low < s->n && s->entries[low].id == id ? &s->entries[low] : NULL;
}

static void refresh(struct admit_set *s, struct admit_facts *f)
{
	struct admit_load l = admit_set_load(s, NULL, s->machine.granularity_ns);

	f->late_known = tardiness_of_all(&l, &f->late_ns);
	if (!s->sums.reclaiming && (s->sums.hard || !f->late_known) && !(f->hard && f->all)) {
		struct admit_proof p = admit_prove(&l);

		f->hard = f->hard || p.yes;
		f->all = f->all || p.all;
	}
	f->fresh = true;
}

/* What was proven of a set holds for every subset: less demand, less interference. */
void admit_release(struct admit_set *s, uint32_t id)
{
	struct admit_entry *e = find(s, id), old;

	if (!e)
		return;
	if (!s->facts->fresh && s->sums.hard)
		refresh(s, s->facts);
	s->facts->fresh = false;
	interference_sub(s, e);
	old = *e;
	s->n--;
	memmove(e, e + 1, (size_t)(s->entries + s->n - e) * sizeof(*e));
	sums_sub(&s->sums, &old);
	find_max(s);
}

struct admit_load admit_set_load(struct admit_set *s, const struct admit_task *t, nsec_t g)
{
	struct admit_load l = {
		.entries = s->entries,
		.n = s->n,
		.sums = s->sums,
		.n_cpus = s->machine.n_cpus,
		.granularity_ns = g,
		.cached = s->machine.n_cpus > 1 && g == s->machine.granularity_ns,
		.scratch = s->scratch,
		.work = ADMIT_WORK_MAX,
	};

	if (!t)
		return l;
	s->entries[s->n] = admit_entry_of(t);
	admit_sums_add(&l.sums, &s->entries[s->n]);
	l.candidate = &s->entries[s->n];
	l.n++;
	return l;
}

/* On one CPU soft ones were judged by the demand test if any is hard; else it is the last resort. */
static bool soft_is_exact(const struct admit_set *s)
{
	bool judged = s->machine.n_cpus == 1 && s->sums.hard;

	return s->facts->all && (judged || !s->facts->late_known);
}

bool admit_bound(const struct admit_set *s, uint32_t id, nsec_t *ret_ns)
{
	const struct admit_entry *e = find(s, id);
	struct admit_facts *f = s->facts;
	struct admit_load l = { .n_cpus = s->machine.n_cpus };

	if (!e)
		return false;
	if (!f->fresh) {
		/* Only the spare place and the scratch memory behind the pointers are written. */
		struct admit_set work = *s;

		refresh(&work, f);
	}
	if (e->hard ? f->hard : soft_is_exact(s)) {
		*ret_ns = e->deadline_ns;
		return true;
	}
	if (e->hard || !f->late_known)
		return false;
	*ret_ns = tardiness_bound(&l, e, f->late_ns);
	return true;
}

bw_t admit_promised(const struct admit_set *s)
{
	return (bw_t){ s->sums.q20 };
}
