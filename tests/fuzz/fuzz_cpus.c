// SPDX-License-Identifier: Apache-2.0
/* A list of CPUs that is taken is written as one that means the same. */
#include "core/model/cpus.h"

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *text = fuzz_text(data, size);
	struct cpus cpus = CPUS_NONE, again = CPUS_NONE;
	struct err err = ERR_NULL;
	char buf[CPUS_TEXT_MAX];
	unsigned n = 0;

	if (cpus_parse(text, &cpus, &err) < 0) {
		FUZZ_CHECK(err.code < 0 && err.text[0] && cpus_count(&cpus) == 0);
		return 0;
	}
	CPUS_FOREACH(cpu, &cpus)
	n += cpus_contains(&cpus, cpu);
	FUZZ_CHECK(n == cpus_count(&cpus));
	FUZZ_CHECK(cpus_parse(cpus_format(buf, &cpus), &again, NULL) == 0);
	FUZZ_CHECK(cpus_equal(&cpus, &again) && cpus_subset(&cpus, &again));
	return 0;
}
