// SPDX-License-Identifier: Apache-2.0
#include "client/cli/report_facts.h"

#include "base/cleanup.h"
#include "test.h"

static struct report_facts parse(const char *text)
{
	cleanup_file FILE *f = fmemopen((void *)text, strlen(text), "r");
	struct report_facts facts = { 0 };

	CHECK(f != NULL);
	report_facts_parse_cpuinfo(f, &facts);
	return facts;
}

TEST(the_model_of_an_x86_in_a_virtual_machine_is_read)
{
	struct report_facts facts = parse("processor\t: 0\n"
					  "model\t\t: 1\n"
					  "model name\t: AMD EPYC\n"
					  "flags\t\t: fpu vme hypervisor lahf_lm\n"
					  "\n"
					  "processor\t: 1\n"
					  "model name\t: another\n");

	CHECK_TEXT(facts.cpu_model, "AMD EPYC");
	CHECK(facts.is_virtual);
}

TEST(a_machine_that_does_not_tell_is_left_empty)
{
	struct report_facts facts = parse("processor\t: 0\n"
					  "BogoMIPS\t: 108.00\n"
					  "flags\t\t: fpu hypervisors\n"
					  "no colon here\n");

	CHECK_TEXT(facts.cpu_model, "");
	CHECK(!facts.is_virtual);
}

TEST(a_model_name_of_any_length_is_cut)
{
	char text[1024] = "model name\t: ";

	memset(text + strlen(text), 'x', 900);
	CHECK_EQ(strlen(parse(text).cpu_model), REPORT_FACT_MAX - 1);
}

TEST(this_machine_has_a_kernel_and_cpus)
{
	struct report_facts facts;

	report_facts_read(&facts);
	CHECK(!strncmp(facts.kernel, "Linux ", 6));
	CHECK(facts.cpus >= 1);
}
