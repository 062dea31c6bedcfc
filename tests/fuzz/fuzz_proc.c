// SPDX-License-Identifier: Apache-2.0
/* Fuzz target: files of /proc and cgroups, as any of the parsers that read them. */
#include "fuzz/fuzz.h"
#include "node/monitor/proc.h"

static void stat_of(struct bytes text)
{
	struct proc_stat s;

	if (proc_parse_stat(text, &s) < 0)
		return;
	FUZZ_CHECK(memchr(s.comm, '\0', sizeof(s.comm)));
	FUZZ_CHECK(s.state != '\0');
}

static void cgroup_of(struct bytes text)
{
	static char path[PROC_CGROUP_MAX];

	memset(path, 'x', sizeof(path));
	if (proc_parse_cgroup(text, path) < 0)
		return;
	FUZZ_CHECK(memchr(path, '\0', sizeof(path)));
	FUZZ_CHECK(path[0] == '/' && path[1] != '\0');
	FUZZ_CHECK(strchr(path, '\n') == NULL);
}

static void nspid_of(struct bytes text)
{
	pid_t pid;

	if (proc_parse_nspid(text, &pid) == 0)
		FUZZ_CHECK(pid > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes text = { (const char *)data, size };

	stat_of(text);
	cgroup_of(text);
	nspid_of(text);
	return 0;
}
