// SPDX-License-Identifier: Apache-2.0
/*
 * Lines of the doctor that others bring, for what taktd does not look at: which kubelet and which
 * runtime are on this node, takt-dra knows. They hold for a while, so that of one who has gone
 * nothing is left.
 */
#include "node/agent/agent.h"

#include <stdlib.h>
#include <string.h>

#include "api/params.h"
#include "base/cleanup.h"
#include "node/agent/calls.h"

#define TOLD_SOURCES_MAX 4

struct told_line {
	char name[API_TELL_NAME_MAX + 1];
	enum check_status status;
	char detail[API_TELL_TEXT_MAX + 1];
	char mend[API_TELL_TEXT_MAX + 1]; /* "": nothing to do */
};

/* What one source told. */
struct told {
	struct told *next;
	uint64_t until_ms; /* uv_now() */
	char source[API_TELL_NAME_MAX + 1];
	size_t n;
	struct told_line lines[API_TELL_CHECKS_MAX];
};

/* Of that source (NULL: none), and what holds no more. */
static void forget(struct agent *a, const char *source)
{
	struct told **at = &a->told;

	while (*at) {
		struct told *t = *at;

		if (uv_now(&a->loop) < t->until_ms && !(source && strcmp(t->source, source) == 0)) {
			at = &t->next;
			continue;
		}
		*at = t->next;
		free(t);
	}
}

static struct told *told_create(const struct agent *a, const struct api_tell *tell)
{
	struct told *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	snprintf(t->source, sizeof(t->source), "%s", tell->source);
	t->until_ms = uv_now(&a->loop) + tell->for_ms;
	for (t->n = 0; t->n < tell->n; t->n++) {
		const struct check *c = &tell->checks[t->n];
		struct told_line *l = &t->lines[t->n];

		l->status = c->status;
		snprintf(l->name, sizeof(l->name), "%s", c->name);
		snprintf(l->detail, sizeof(l->detail), "%s", c->detail);
		snprintf(l->mend, sizeof(l->mend), "%s", c->mend ? c->mend : "");
	}
	return t;
}

static unsigned n_others(const struct agent *a, const char *source)
{
	unsigned n = 0;

	for (const struct told *t = a->told; t; t = t->next)
		n += strcmp(t->source, source) != 0;
	return n;
}

void call_tell(struct agent *a, struct door_call *call)
{
	struct err err = ERR_NULL;
	struct api_tell tell;
	struct told *t, **end = &a->told;

	if (api_tell_decode(call->message.parameters, &tell, &err) < 0) {
		door_error(call, API_BAD_ARGUMENT, NULL, err.text);
		return;
	}
	forget(a, NULL);
	if (n_others(a, tell.source) >= TOLD_SOURCES_MAX) {
		door_error(call, API_BAD_ARGUMENT, NULL,
			"source: there are 4 others already: wait until what one of them told has "
			"passed");
		return;
	}
	t = told_create(a, &tell);
	if (!t) {
		door_error(call, API_FAILED, NULL, "taktd is out of memory");
		return;
	}
	forget(a, tell.source);
	while (*end) /* who told last has the last word */
		end = &(*end)->next;
	*end = t;
	door_reply(call, json_object());
}

size_t told_checks(struct agent *a, struct check *checks, size_t n, size_t max)
{
	forget(a, NULL);
	for (const struct told *t = a->told; t; t = t->next) {
		for (size_t i = 0; i < t->n; i++) {
			const struct told_line *l = &t->lines[i];
			size_t at = 0;

			while (at < n && strcmp(checks[at].name, l->name) != 0)
				at++;
			if (at == max)
				return n;
			checks[at] = (struct check){ l->name, l->status, l->detail,
				l->mend[0] ? l->mend : NULL };
			n += at == n;
		}
	}
	return n;
}

void told_fini(struct agent *a)
{
	while (a->told) {
		struct told *t = a->told;

		a->told = t->next;
		free(t);
	}
}
