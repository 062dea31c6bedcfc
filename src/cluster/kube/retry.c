// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/retry.h"

#include <errno.h>
#include <limits.h>

uint64_t kube_backoff_ms(unsigned failures, uint64_t random)
{
	uint64_t whole = KUBE_BACKOFF_MAX_MS;

	if (failures < 16 && (uint64_t)KUBE_BACKOFF_FIRST_MS << failures < whole)
		whole = (uint64_t)KUBE_BACKOFF_FIRST_MS << failures;
	return whole - random % (whole / 2 + 1);
}

uint64_t kube_wait_ms(unsigned failures, unsigned retry_after_s, uint64_t random)
{
	uint64_t wait_ms = kube_backoff_ms(failures, random), asked_ms = retry_after_s;

	if (asked_ms > KUBE_RETRY_AFTER_MAX_S)
		asked_ms = KUBE_RETRY_AFTER_MAX_S;
	asked_ms *= 1000;
	return wait_ms < asked_ms ? asked_ms + wait_ms / 2 : wait_ms;
}

static bool needs_list(const struct kube_end *end)
{
	return end->listing || end->code == -ESTALE || end->code == -EINVAL ||
	       end->code == -EPROTO || end->code == -EMSGSIZE || end->code == -ENOMEM;
}

struct kube_next kube_retry(const struct kube_end *end, unsigned *failures, uint64_t random)
{
	struct kube_next next = { .list = needs_list(end) };
	bool lived = !end->listing && end->lived_ms >= KUBE_LIVED_MS;

	if (end->brought || lived)
		*failures = 0;
	if (lived && end->code == 0) {
		/*
		 * A server whose version is behind ours (restored from a backup) takes the watch and
		 * is silent. So is one where nothing at all happens, for which a list is cheap.
		 */
		next.list |= !end->brought;
		return next;
	}
	next.delay_ms = kube_wait_ms(*failures, end->retry_after_s, random);
	if (*failures < UINT_MAX)
		++*failures;
	return next;
}
