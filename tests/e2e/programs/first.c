// SPDX-License-Identifier: Apache-2.0
/*
 * The program of a container: says first of all how it is scheduled, then waits for ever.
 */
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

/* struct sched_attr, sched_setattr(2). */
struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

int main(void)
{
	struct attr attr = { 0 };

	if (syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0) < 0)
		return 1;
	printf("policy=%u runtime=%llu period=%llu\n", attr.policy,
		(unsigned long long)attr.runtime, (unsigned long long)attr.period);
	fflush(stdout);
	for (;;)
		pause();
}
