// SPDX-License-Identifier: Apache-2.0
#include "client/cli/report_facts.h"

#include <string.h>
#include <sys/utsname.h>

#include "base/cleanup.h"

#define CPUINFO_LINES_MAX 256 /* the first CPU is enough */

static const char *const model_keys[] = { "model name", "cpu model", "cpu", "Hardware" };

static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at += len)
		if ((at == text || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
			return true;
	return false;
}

static void take_line(const char *key, const char *value, struct report_facts *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(model_keys); i++)
		if (!strcmp(key, model_keys[i]) && !ret->cpu_model[0])
			snprintf(ret->cpu_model, sizeof(ret->cpu_model), "%s", value);
	if (!strcmp(key, "flags") && has_word(value, "hypervisor"))
		ret->is_virtual = true;
}

void report_facts_parse_cpuinfo(FILE *f, struct report_facts *ret)
{
	cleanup_free char *line = NULL;
	size_t room = 0;

	for (int i = 0; i < CPUINFO_LINES_MAX && getline(&line, &room, f) > 0; i++) {
		char *colon = strchr(line, ':');
		char *end = colon;

		if (!colon)
			continue;
		while (end > line && strchr(" \t", end[-1]))
			end--;
		*end = '\0';
		colon += 1 + strspn(colon + 1, " \t");
		colon[strcspn(colon, "\n")] = '\0';
		take_line(line, colon, ret);
	}
}

static void read_kernel(struct report_facts *ret)
{
	static const char *const kinds[] = { "PREEMPT_RT", "PREEMPT_DYNAMIC", "PREEMPT" };
	struct utsname u;

	if (uname(&u) < 0)
		return;
	snprintf(ret->kernel, sizeof(ret->kernel), "%.30s %.60s %.20s", u.sysname, u.release,
		u.machine);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (has_word(u.version, kinds[i])) {
			strcat(ret->kernel, ", ");
			strcat(ret->kernel, kinds[i]);
			return;
		}
	}
}

void report_facts_read(struct report_facts *ret)
{
	cleanup_file FILE *f = fopen("/proc/cpuinfo", "re");
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	*ret = (struct report_facts){ .cpus = cpus > 0 ? cpus : 0 };
	read_kernel(ret);
	if (f)
		report_facts_parse_cpuinfo(f, ret);
}
