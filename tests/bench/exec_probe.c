// SPDX-License-Identifier: Apache-2.0
/*
 * When is a program under its reservation after its exec? Run as `exec_probe exec` it notes the
 * time and runs itself anew; then it asks sched_getattr(2) again and again, and prints the
 * microseconds from before the exec until its policy was SCHED_DEADLINE.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define POLICY_DEADLINE 6
#define GIVE_UP_US 1000000

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ull + t.tv_nsec / 1000;
}

static uint32_t policy(void)
{
	uint32_t attr[12] = { 0 };

	return syscall(SYS_sched_getattr, 0, attr, sizeof(attr), 0) == 0 ? attr[1] : 0;
}

int main(int argc, char **argv)
{
	const char *begun = getenv("EXEC_PROBE_BEGUN");
	uint64_t at;

	if (argc == 2 && strcmp(argv[1], "exec") == 0) {
		char text[32];

		snprintf(text, sizeof(text), "%llu", (unsigned long long)now_us());
		setenv("EXEC_PROBE_BEGUN", text, 1);
		execl("/proc/self/exe", argv[0], NULL);
		return 1;
	}
	at = begun ? strtoull(begun, NULL, 10) : now_us();
	while (policy() != POLICY_DEADLINE)
		if (now_us() - at > GIVE_UP_US)
			return 1;
	printf("%llu\n", (unsigned long long)(now_us() - at));
	return 0;
}
