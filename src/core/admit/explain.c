// SPDX-License-Identifier: Apache-2.0
#include "core/admit/admit_private.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"

/* Appends; a sentence that is too long for its buffer is cut, and still ends in a NUL. */
struct sentence {
	char *at;
	size_t left;
};

__attribute__((format(printf, 2, 3))) static void say(struct sentence *s, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(s->at, s->left, format, args);
	va_end(args);
	if (n < 0 || s->left == 0)
		return;
	if ((size_t)n >= s->left)
		n = (int)s->left - 1;
	s->at += n;
	s->left -= (size_t)n;
}

/* The last of the three digits that are printed. */
static nsec_t digit_of(nsec_t ns)
{
	nsec_t digit = 1;

	while (ns / digit >= 1000)
		digit *= 10;
	return digit;
}

/* What is printed as a promise must not be less than it is, what would fit not more. */
static nsec_t round_up(nsec_t ns)
{
	nsec_t digit = digit_of(ns);

	return ns > UINT64_MAX - digit ? ns : (ns + digit - 1) / digit * digit;
}

static nsec_t round_down(nsec_t ns)
{
	return ns / digit_of(ns) * digit_of(ns);
}

static void say_asked(struct sentence *s, const struct admit_task *t)
{
	char runtime[TEXT_NUMBER_MAX], deadline[TEXT_NUMBER_MAX], period[TEXT_NUMBER_MAX];

	say(s, "%s", duration_words(runtime, t->dl.runtime_ns));
	if (t->dl.deadline_ns != t->dl.period_ns)
		say(s, " within %s", duration_words(deadline, t->dl.deadline_ns));
	say(s, " every %s", duration_words(period, t->dl.period_ns));
	if (t->cores != 1)
		say(s, " on %u cores", t->cores);
	say(s, " asked");
}

/* Rounded down: what is free, with what there is at all. */
static void say_free(
	struct sentence *s, const struct admit_verdict *v, const struct admit_machine *m)
{
	uint64_t free = v->free.q20 * 100 >> 20, all = admit_limit_q20(m) * 100 >> 20;

	say(s, ", %" PRIu64 ".%02" PRIu64 " CPU of %" PRIu64 ".%02" PRIu64 " free", free / 100,
		free % 100, all / 100, all % 100);
}

static void say_yes(struct sentence *s, const struct admit_verdict *v)
{
	static const char *const proofs[_ADMIT_TEST_MAX] = {
		[ADMIT_TEST_UTILISATION] = "proven by utilisation (EDF on one CPU, exact)",
		[ADMIT_TEST_QPA] = "proven by processor demand (QPA, EDF on one CPU)",
		[ADMIT_TEST_GFB] = "proven by GFB (global EDF, density)",
		[ADMIT_TEST_LAG] = "proven by lag (global EDF, after Devi and Anderson)",
		[ADMIT_TEST_BCL] = "proven by BCL (global EDF, interference)",
		[ADMIT_TEST_SUM] = "within the kernel's sum, tardiness by Devi and Anderson",
	};
	char bound[TEXT_NUMBER_MAX];

	if (!v->has_bound) {
		say(s, "within the kernel's sum; no bound is proven beside reclaiming");
		return;
	}
	say(s, "%s: a full budget is had by %s", proofs[v->test] ? proofs[v->test] : "proven",
		duration_words(bound, round_up(v->bound_ns)));
}

static void say_why(
	struct sentence *s, const struct admit_verdict *v, const struct admit_machine *m)
{
	switch (v->why) {
	case ADMIT_REFUSAL_DEADLINE:
		say(s, ", but %s its deadline",
			m->n_cpus == 1 ? "the demand of all (QPA) breaks"
				       : "no test (GFB, lag, BCL) proves");
		break;
	case ADMIT_REFUSAL_VICTIM:
		say(s, ", but a hard reservation already promised could then miss its deadline");
		break;
	case ADMIT_REFUSAL_TARDINESS:
		say(s,
			", but up to their deadlines all need more than %u CPU%s together, so no "
			"bound is proven",
			m->n_cpus, m->n_cpus == 1 ? "" : "s");
		break;
	case ADMIT_REFUSAL_WORK:
		say(s, ", but a proof among so many takes too long");
		break;
	default:
		break;
	}
}

static void say_mend(
	struct sentence *s, const struct admit_verdict *v, const struct admit_machine *m)
{
	char number[TEXT_NUMBER_MAX];

	if (v->would_fit_runtime_ns >= DL_RUNTIME_MIN_NS)
		say(s, "; %s would fit",
			duration_words(number, round_down(v->would_fit_runtime_ns)));
	if (v->granularity)
		say(s, "; it would fit with a throttle granularity of 0 (now %s: enable HRTICK_DL)",
			duration_words(number, m->granularity_ns));
}

void admit_explain(const struct admit_verdict *v, const struct admit_task *t,
	const struct admit_machine *m, char *buf, size_t size)
{
	struct sentence s = { buf, size };

	if (!size)
		return;
	buf[0] = '\0';
	if (v->yes) {
		say_yes(&s, v);
		return;
	}
	if (v->why == ADMIT_REFUSAL_RECLAIM) {
		say(&s, "reclaim beside hard reservations is not proven: leave reclaim out, or ask "
			"for soft where none is hard");
		return;
	}
	say_asked(&s, t);
	if (v->why == ADMIT_REFUSAL_PARAMS) {
		say(&s, ", but 0 < runtime <= deadline <= period <= 73 minutes, 1 core or more and "
			"a guarantee are needed");
		return;
	}
	say_free(&s, v, m);
	say_why(&s, v, m);
	say_mend(&s, v, m);
}
