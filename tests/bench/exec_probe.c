// SPDX-License-Identifier: Apache-2.0
/*
 * When is a program under its reservation? Asks sched_getattr(2) again and again, and prints its
 * process id and the time (CLOCK_MONOTONIC, ns) at which its policy was SCHED_DEADLINE.
 */
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define POLICY_DEADLINE 6
#define GIVE_UP_NS 1000000000

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static uint32_t policy(void)
{
	uint32_t attr[12] = { 0 };

	return syscall(SYS_sched_getattr, 0, attr, sizeof(attr), 0) == 0 ? attr[1] : 0;
}

int main(void)
{
	uint64_t begun = now_ns();

	while (policy() != POLICY_DEADLINE)
		if (now_ns() - begun > GIVE_UP_NS)
			return 1;
	printf("%d %llu\n", getpid(), (unsigned long long)now_ns());
	return 0;
}
