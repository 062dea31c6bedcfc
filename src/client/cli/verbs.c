// SPDX-License-Identifier: Apache-2.0
#include "client/cli/verbs.h"

#include <stddef.h>
#include <string.h>

#include "client/cli/options.h"
#include "client/cli/report_options.h"

/* What run and reserve have in common: the numbers and choices of a reservation. */
#define REQUEST_ROWS                                                                             \
	{ 'q', "runtime", "TIME", "CPU time in each period: 4ms, 1.5ms, 500us" },                \
		{ 'p', "period", "TIME", "the period" },                                         \
		{ 'd', "deadline", "TIME",                                                       \
			"have it this long after the period began; default: period" },           \
		{ 'c', "cores", "N", "threads that hold one each at the same time; default 1" }, \
		{ 'g', "guarantee", "WORD", "hard (default) or soft", WORD_LIST, "hard soft" },  \
		{ 't', "threads", "RULE",                                                        \
			"main (default), attach, all, or match=PATTERN[,PATTERN...]", WORD_LIST, \
			"main attach all match=" },                                              \
		{ OPTION_PLACEMENT, "placement", "WORD",                                         \
			"auto (default), shared, exclusive, group or pinned", WORD_LIST,         \
			"auto shared exclusive group pinned" },                                  \
		{ OPTION_RECLAIM, "reclaim", NULL, "may use what others leave (GRUB)" },         \
	{                                                                                        \
		'l', "label", "KEY=VALUE", "a label; may be given again"                         \
	}

static const struct option_row reserve_options[] = { REQUEST_ROWS, { 0 } };

static const struct option_row run_options[] = {
	REQUEST_ROWS,
	{ OPTION_NAME, "name", "NAME", "of the reservation; default run-PID" },
	{ 0 },
};

static const struct option_row apply_options[] = {
	{ 'f', "file", "FILE", "documents of takt-reservation(5); - is standard input", WORD_FILE },
	{ 0 },
};

static const struct option_row admit_options[] = {
	{ 'f', "file", "FILE", "documents of takt-reservation(5); - is standard input", WORD_FILE },
	{ OPTION_CPUS, "cpus", "N", "CPUs of the machine; default: as many as this one has" },
	{ OPTION_CEILING, "ceiling", "PPM",
		"millionths of each CPU that may be promised; default 950000" },
	{ OPTION_GRANULARITY, "granularity", "TIME", "throttle granularity; default 0ns" },
	{ OPTION_MACHINE, "machine", NULL, "ask the agent for what is not given of the three" },
	{ 0 },
};

const struct verb verbs[] = {
	{
		.name = "run",
		.usage = "-q TIME -p TIME [OPTION...] [--] COMMAND...",
		.help = "Run a command inside a reservation of its own",
		.more = "The exit status is the command's, 128+N if signal N ended it, 75 if the\n"
			"reservation does not fit, 125 if Takt failed, 126 if the command cannot be\n"
			"executed and 127 if there is none.\n",
		.options = run_options,
		.operands = WORD_COMMAND,
		.agent = true,
		.command = true,
		.run = verb_run,
	},
	{
		.name = "reserve",
		.usage = "NAME -q TIME -p TIME [OPTION...]",
		.help = "Promise CPU time and print its CDI device name",
		.more = "podman run --device \"$(takt reserve camera -q 2.5ms -p 10ms)\" ...\n",
		.options = reserve_options,
		.json = true,
		.agent = true,
		.run = verb_reserve,
	},
	{
		.name = "release",
		.usage = "NAME...",
		.help = "End reservations",
		.operands = WORD_RESERVATION,
		.agent = true,
		.run = verb_release,
	},
	{
		.name = "apply",
		.usage = "-f FILE",
		.help = "Make the reservations that a file declares",
		.more = "All documents are checked before the first reservation is made.\n",
		.options = apply_options,
		.json = true,
		.agent = true,
		.run = verb_apply,
	},
	{
		.name = "attach",
		.usage = "NAME TID...",
		.help = "Put running threads into a reservation",
		.operands = WORD_RESERVATION,
		.agent = true,
		.run = verb_attach,
	},
	{
		.name = "detach",
		.usage = "NAME TID...",
		.help = "Take attached threads out of a reservation",
		.operands = WORD_RESERVATION,
		.agent = true,
		.run = verb_detach,
	},
	{
		.name = "ps",
		.usage = "[OPTION...]",
		.help = "List the reservations",
		.json = true,
		.agent = true,
		.run = verb_ps,
	},
	{
		.name = "describe",
		.usage = "NAME",
		.help = "Tell all about a reservation",
		.operands = WORD_RESERVATION,
		.json = true,
		.agent = true,
		.run = verb_describe,
	},
	{
		.name = "admit",
		.usage = "-f FILE [OPTION...]",
		.help = "Tell whether a set of reservations would fit on a machine",
		.more = "Nothing is promised, and no agent is needed unless --machine is given.\n"
			"The exit status is 0 if the set fits and 75 if not.\n",
		.options = admit_options,
		.json = true,
		.agent = true,
		.run = verb_admit,
	},
	{
		.name = "doctor",
		.usage = "[OPTION...]",
		.help = "Tell what this machine can promise, and what is in the way",
		.json = true,
		.agent = true,
		.run = verb_doctor,
	},
	{
		.name = "report",
		.usage = "[-o FILE] [--jobs LABEL=FILE]... [OPTION...]",
		.help = "Write a page with what was promised and what happened",
		.options = report_options,
		.json = true,
		.agent = true,
		.run = verb_report,
	},
	{
		.name = "history",
		.usage = "NAME",
		.help = "Tell what happened to a reservation, also after its end",
		.operands = WORD_RESERVATION,
		.json = true,
		.agent = true,
		.run = verb_history,
	},
	{
		.name = "completion",
		.usage = "bash|zsh|fish",
		.help = "Print the completions for a shell",
		.more = "bash: source <(takt completion bash)\n"
			"zsh:  takt completion zsh > \"${fpath[1]}/_takt\"\n"
			"fish: takt completion fish > ~/.config/fish/completions/takt.fish\n",
		.operands = WORD_LIST,
		.operand_words = "bash zsh fish",
		.run = verb_completion,
	},
	{ 0 },
};

const struct verb *verb_find(const char *name)
{
	for (const struct verb *v = verbs; v->name; v++)
		if (strcmp(v->name, name) == 0)
			return v;
	return NULL;
}
