// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzz target: /proc/PID/cgroup and /proc/PID/status of a pod's process, in one text that a zero byte
 * parts.
 */
#include "cluster/dra/pods.h"
#include "fuzz/fuzz.h"

static void check(const struct pods *p)
{
	FUZZ_CHECK(p->n <= PODS_CONTAINERS_MAX);
	for (size_t i = 0; i < p->n; i++) {
		FUZZ_CHECK(memchr(p->containers[i].name, '\0', PODS_NAME_MAX));
		FUZZ_CHECK(memchr(p->containers[i].cpus, '\0', PODS_CPUS_MAX));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pods p;
	cleanup_free char *text = malloc(size + 2);
	const char *status;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = text[size + 1] = '\0';
	status = text + strlen(text) + 1;
	if (status > text + size)
		status = text + size;
	p = (struct pods){ 0 };
	cpus_add(&p.all, 0);
	cpus_add(&p.all, 1);
	for (int pid = 1; pid <= 2; pid++)
		pods_see(&p, pid, text, status, 0);
	FUZZ_CHECK(p.n <= 1); /* the same container both times */
	FUZZ_CHECK(p.n == 0 || pods_has(text));
	check(&p);
	return 0;
}
