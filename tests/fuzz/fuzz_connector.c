// SPDX-License-Identifier: Apache-2.0
/* Fuzz target: a datagram of the process-event connector. */
#include "fuzz/fuzz.h"
#include "node/monitor/events.h"

static unsigned told;

static void forked(struct event_handler *h, pid_t parent, pid_t pid, pid_t tid)
{
	told++;
}

static void execed(struct event_handler *h, pid_t pid)
{
	told++;
}

static void named(struct event_handler *h, pid_t pid, pid_t tid, const char name[THREAD_NAME_LEN])
{
	FUZZ_CHECK(memchr(name, '\0', THREAD_NAME_LEN));
	told++;
}

static void exited(struct event_handler *h, pid_t pid, pid_t tid)
{
	told++;
}

static void lost(struct event_handler *h)
{
	FUZZ_CHECK(false); /* only the socket can say so */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct event_handler handler = { forked, execed, named, exited, lost };

	told = 0;
	FUZZ_CHECK(event_parse((struct bytes){ (const char *)data, size }, &handler) == told);
	return 0;
}
