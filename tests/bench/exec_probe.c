// SPDX-License-Identifier: Apache-2.0
/* Waits until it is under its reservation, prints its process id, and ends; fails after a second. */
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#define POLICY_DEADLINE 6
#define LOOKS 10000

static uint32_t policy(void)
{
	uint32_t attr[12] = { 0 };

	return syscall(SYS_sched_getattr, 0, attr, sizeof(attr), 0) == 0 ? attr[1] : 0;
}

int main(void)
{
	for (int i = 0; policy() != POLICY_DEADLINE; i++) {
		if (i == LOOKS)
			return 1;
		usleep(100);
	}
	printf("%d\n", getpid());
	return 0;
}
