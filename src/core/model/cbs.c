// SPDX-License-Identifier: Apache-2.0
#include "core/model/cbs.h"

void cbs_begin(struct cbs *s, const struct dl_params *p, nsec_t now_ns)
{
	*s = (struct cbs){ *p, p->runtime_ns, now_ns + p->deadline_ns };
}

void cbs_wake(struct cbs *s, nsec_t now_ns)
{
	const struct dl_params *p = &s->params;

	/* What is left until the deadline would be more than the share: both begin anew. */
	if (now_ns >= s->deadline_ns ||
		(unsigned __int128)s->left_ns * p->period_ns >
			(unsigned __int128)(s->deadline_ns - now_ns) * p->runtime_ns)
		cbs_begin(s, p, now_ns);
}

void cbs_charge(struct cbs *s, nsec_t now_ns, nsec_t ran_ns)
{
	const struct dl_params *p = &s->params;

	/* Out of budget: the next one comes at the period's end, and pays what was too much. */
	while (ran_ns >= s->left_ns && now_ns >= s->deadline_ns - p->deadline_ns + p->period_ns) {
		ran_ns -= s->left_ns;
		s->left_ns = p->runtime_ns;
		s->deadline_ns += p->period_ns;
	}
	s->left_ns -= ran_ns < s->left_ns ? ran_ns : s->left_ns;
}
