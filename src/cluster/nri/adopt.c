// SPDX-License-Identifier: Apache-2.0
#include "cluster/nri/adopt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

static void add_name(struct adopt_names *all, const char *text, const char *prefix)
{
	size_t n = strlen(prefix);

	if (strncmp(text, prefix, n) != 0)
		return;
	for (size_t i = 0; i < all->n; i++)
		if (strcmp(all->names[i], text + n) == 0)
			return;
	if (all->n == ADOPT_NAMES_MAX)
		all->more = true;
	else
		all->names[all->n++] = text + n;
}

void adopt_names(const struct nri_container *c, struct adopt_names *ret)
{
	*ret = (struct adopt_names){ 0 };
	for (size_t i = 0; i < c->n_cdi_devices; i++)
		add_name(ret, c->cdi_devices[i], ADOPT_DEVICE);
	for (size_t i = 0; i < c->n_env; i++)
		add_name(ret, c->env[i], ADOPT_VARIABLE);
}

static void refuse(struct adopt_verdict *v, const char *name, const char *format)
{
	char quoted[TEXT_QUOTE_MAX];

	v->answer = ADOPT_REFUSE;
	snprintf(v->sentence, sizeof(v->sentence), "takt: reservation %s %s",
		text_quote(quoted, name), format);
}

void adopt_judge(const struct ties *t, const char *pod_uid, const struct adopt_names *names,
	bool scheduler, struct adopt_verdict *ret)
{
	struct adopt_verdict v = { .answer = names->n > 0 ? ADOPT_TAKE : ADOPT_PASS };

	if (names->more)
		refuse(&v, names->names[0], "is one of more than a claim can have");
	for (size_t i = 0; v.answer == ADOPT_TAKE && i < names->n; i++) {
		const struct tie *tie = NULL;
		const struct tied_claim *claim = ties_find(t, names->names[i], &tie);

		if (!claim)
			refuse(&v, names->names[i],
				"is of no claim that is prepared on this node: name the claim in "
				"the container's resources.claims, and do not set TAKT_RESERVATION");
		else if (!ties_has_pod(claim, pod_uid))
			refuse(&v, names->names[i],
				"is of a claim that is not reserved for this pod: name the claim "
				"in the pod's resourceClaims");
		else if (names->n == 1 && tie->scheduler && scheduler)
			v.scheduler = tie;
	}
	*ret = v;
}

/* "v2.3.7", "0.12": at least major.minor.patch; what is missing or no number is 0. */
static bool at_least(
	const char *version, unsigned long major, unsigned long minor, unsigned long patch)
{
	const unsigned long wanted[] = { major, minor, patch };

	version += *version == 'v';
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		char *end;
		unsigned long n = strtoul(version, &end, 10);

		if (n != wanted[i])
			return n > wanted[i];
		version = *end == '.' ? end + 1 : "";
	}
	return true;
}

/* Which runtime has which NRI: containerd/nri README.md; go.mod of the runtimes' tags. */
bool adopt_has_scheduler(const struct nri_runtime *r)
{
	if (r->nri_version[0])
		return at_least(r->nri_version, 0, 11, 0);
	if (strcmp(r->name, "containerd") == 0)
		return at_least(r->version, 2, 2, 1);
	if (strcmp(r->name, "cri-o") == 0)
		return at_least(r->version, 1, 35, 0);
	return false;
}

static const char *text_of(const json_t *resv, const char *key)
{
	return json_string_value(json_object_get(resv, key)) ?: "";
}

bool adopt_to_bind(const json_t *resv, const struct adopt_seen *seen)
{
	const json_t *holders = json_object_get(resv, "containers");

	for (size_t i = 0; i < json_array_size(holders); i++) {
		const char *holder = json_string_value(json_array_get(holders, i));

		if (holder && strcmp(holder, seen->title) == 0)
			return false;
	}
	return seen->running && strcmp(text_of(resv, "state"), "draining") != 0;
}

bool adopt_bind_again(int code)
{
	switch (code) {
	case -EINVAL:
	case -EPERM:
	case -ESRCH:
	case -EEXIST:
	case -ENOSPC:
	case -EOPNOTSUPP:
	case -ENOSYS:
	case -EPROTO:
		return false;
	default:
		return true;
	}
}

const char *adopt_nameless(const json_t *resv, size_t *at)
{
	const json_t *holders = json_object_get(resv, "containers");

	if (!json_object_get(json_object_get(resv, "labels"), "claim"))
		return NULL;
	while (*at < json_array_size(holders)) {
		const char *holder = json_string_value(json_array_get(holders, (*at)++));

		if (holder && !strchr(holder, '/'))
			return holder;
	}
	return NULL;
}
