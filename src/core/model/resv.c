// SPDX-License-Identifier: Apache-2.0
#include "core/model/resv.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

static const char *const guarantee_names[_GUARANTEE_MAX] = {
	[GUARANTEE_NONE] = "none",
	[GUARANTEE_HARD] = "hard",
	[GUARANTEE_SOFT] = "soft",
};

static const char *const placement_names[_PLACEMENT_MAX] = {
	[PLACEMENT_NONE] = "none",
	[PLACEMENT_AUTO] = "auto",
	[PLACEMENT_SHARED] = "shared",
	[PLACEMENT_EXCLUSIVE] = "exclusive",
	[PLACEMENT_GROUP] = "group",
	[PLACEMENT_PINNED] = "pinned",
};

static const char *const thread_rule_names[_THREADS_MAX] = {
	[THREADS_NONE] = "none",
	[THREADS_MAIN] = "main",
	[THREADS_MATCH] = "match",
	[THREADS_ATTACH] = "attach",
	[THREADS_ALL] = "all",
};

static const char *const state_names[_RESV_STATE_MAX] = {
	[RESV_NONE] = "none",
	[RESV_HELD] = "held",
	[RESV_BOUND] = "bound",
	[RESV_ACTIVE] = "active",
	[RESV_DRAINING] = "draining",
	[RESV_GONE] = "gone",
};

static const char *name_of(const char *const *names, unsigned n, unsigned i)
{
	return i < n ? names[i] : names[0];
}

/* Row 0 is the word for "none", which nobody may write. */
static unsigned index_of(const char *const *names, unsigned n, const char *text)
{
	for (unsigned i = 1; i < n; i++)
		if (strcmp(names[i], text) == 0)
			return i;
	return 0;
}

const char *guarantee_name(enum guarantee g)
{
	return name_of(guarantee_names, _GUARANTEE_MAX, g);
}

enum guarantee guarantee_parse(const char *text)
{
	return index_of(guarantee_names, _GUARANTEE_MAX, text);
}

const char *placement_name(enum placement p)
{
	return name_of(placement_names, _PLACEMENT_MAX, p);
}

enum placement placement_parse(const char *text)
{
	return index_of(placement_names, _PLACEMENT_MAX, text);
}

const char *thread_rule_name(enum thread_rule t)
{
	return name_of(thread_rule_names, _THREADS_MAX, t);
}

const char *resv_state_name(enum resv_state s)
{
	return name_of(state_names, _RESV_STATE_MAX, s);
}

enum resv_state resv_state_parse(const char *text)
{
	return index_of(state_names, _RESV_STATE_MAX, text);
}

void resv_request_fini(struct resv_request *r)
{
	if (!r)
		return;
	free(r->labels);
	r->labels = NULL;
	r->n_labels = 0;
}

int resv_request_copy(struct resv_request *ret, const struct resv_request *from, struct err *err)
{
	struct resv_label *labels = NULL;

	if (from->n_labels) {
		labels = calloc(from->n_labels, sizeof(*labels));
		if (!labels)
			return err_set(err, -ENOMEM, "out of memory");
		memcpy(labels, from->labels, from->n_labels * sizeof(*labels));
	}
	*ret = *from;
	ret->labels = labels;
	return 0;
}

static bool labels_equal(const struct resv_request *a, const struct resv_request *b)
{
	if (a->n_labels != b->n_labels)
		return false;
	for (size_t i = 0; i < a->n_labels; i++)
		if (strcmp(a->labels[i].key, b->labels[i].key) != 0 ||
			strcmp(a->labels[i].value, b->labels[i].value) != 0)
			return false;
	return true;
}

static bool patterns_equal(const struct resv_request *a, const struct resv_request *b)
{
	if (a->n_patterns != b->n_patterns)
		return false;
	for (unsigned i = 0; i < a->n_patterns; i++)
		if (strcmp(a->patterns[i], b->patterns[i]) != 0)
			return false;
	return true;
}

bool resv_request_equal(const struct resv_request *a, const struct resv_request *b)
{
	return strcmp(a->name, b->name) == 0 && a->dl.runtime_ns == b->dl.runtime_ns &&
	       a->dl.deadline_ns == b->dl.deadline_ns && a->dl.period_ns == b->dl.period_ns &&
	       a->cores == b->cores && a->guarantee == b->guarantee &&
	       a->placement == b->placement && cpus_equal(&a->cpus, &b->cpus) &&
	       a->threads == b->threads && a->reclaim == b->reclaim &&
	       a->adapt.min_runtime_ns == b->adapt.min_runtime_ns &&
	       a->adapt.max_runtime_ns == b->adapt.max_runtime_ns &&
	       a->adapt.miss_rate_ppm == b->adapt.miss_rate_ppm && patterns_equal(a, b) &&
	       labels_equal(a, b);
}

bool resv_name_valid(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > RESV_NAME_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = name[i];
		bool plain = c < 128 && isalnum(c);

		if (!plain && (i == 0 || i == n - 1 || !strchr("-_.", c)))
			return false;
	}
	return true;
}

static int check_cpus(const struct resv_request *r, struct err *err)
{
	unsigned n = cpus_count(&r->cpus);

	if (n == 0)
		return 0;
	if (r->placement != PLACEMENT_PINNED)
		return err_set(err, -EINVAL,
			"spec.cpus: only servers of placement pinned have CPUs of their own; write "
			"placement: pinned, or leave cpus out");
	if (n != r->cores)
		return err_set(err, -EINVAL,
			"spec.cpus: each of the %u cores has a CPU of its own, and %u are named",
			r->cores, n);
	return 0;
}

int resv_request_check(const struct resv_request *r, struct err *err)
{
	char a[TEXT_NUMBER_MAX], b[TEXT_NUMBER_MAX];
	const struct dl_params *p = &r->dl;

	if (!resv_name_valid(r->name))
		return err_set(err, -EINVAL,
			"metadata.name: a name is 1 to %d letters, digits, '-', '_' or '.', and "
			"begins and ends with a letter or digit",
			RESV_NAME_MAX);
	if (p->runtime_ns < DL_RUNTIME_MIN_NS)
		return err_set(err, -EINVAL,
			"spec.runtime: %s is under the kernel's floor of 1024ns",
			duration_format(a, p->runtime_ns));
	if (p->period_ns < DL_PERIOD_MIN_NS || p->period_ns > DL_PERIOD_MAX_NS)
		return err_set(err, -EINVAL,
			"spec.period: %s is outside what the kernel takes, 100us to 4.194304s",
			duration_format(a, p->period_ns));
	if (p->deadline_ns > p->period_ns)
		return err_set(err, -EINVAL, "spec.deadline: %s is after the period of %s",
			duration_format(a, p->deadline_ns), duration_format(b, p->period_ns));
	if (p->runtime_ns > p->deadline_ns)
		return err_set(err, -EINVAL,
			"spec.runtime: %s does not fit before the deadline of %s",
			duration_format(a, p->runtime_ns), duration_format(b, p->deadline_ns));
	if (r->cores < 1 || r->cores > RESV_CORES_MAX)
		return err_set(err, -EINVAL, "spec.cores: %u is outside 1 to %d", r->cores,
			RESV_CORES_MAX);
	return check_cpus(r, err);
}

/* DRAINING ends in GONE only: a container that starts while its promise ends is refused. */
static const enum resv_state next_state[_RESV_STATE_MAX][_RESV_EVENT_MAX] = {
	[RESV_HELD] = {
		[RESV_EV_BIND] = RESV_BOUND,
		[RESV_EV_RELEASE] = RESV_DRAINING,
	},
	[RESV_BOUND] = {
		[RESV_EV_THREAD] = RESV_ACTIVE,
		[RESV_EV_UNBIND] = RESV_HELD,
		[RESV_EV_RELEASE] = RESV_DRAINING,
	},
	[RESV_ACTIVE] = {
		[RESV_EV_THREAD] = RESV_ACTIVE,
		[RESV_EV_IDLE] = RESV_BOUND,
		[RESV_EV_UNBIND] = RESV_HELD,
		[RESV_EV_RELEASE] = RESV_DRAINING,
	},
	[RESV_DRAINING] = {
		[RESV_EV_STOPPED] = RESV_GONE,
	},
};

enum resv_state resv_next_state(enum resv_state state, enum resv_event event)
{
	if (state >= _RESV_STATE_MAX || event >= _RESV_EVENT_MAX)
		return RESV_NONE;
	return next_state[state][event];
}
