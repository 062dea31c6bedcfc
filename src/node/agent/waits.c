// SPDX-License-Identifier: Apache-2.0
#include "node/agent/waits.h"

#include <uv.h>

void waits_add(struct waits *w, pid_t tid, nsec_t for_ns)
{
	w->threads[w->next++ % WAITS_MAX] = (struct wait){ tid, uv_hrtime() + for_ns };
}

nsec_t waits_left_ns(const struct waits *w, pid_t tid)
{
	uint64_t now = uv_hrtime(), until = now;

	for (size_t i = 0; i < WAITS_MAX; i++)
		if (w->threads[i].tid == tid && w->threads[i].until_ns > until)
			until = w->threads[i].until_ns;
	return until - now;
}
