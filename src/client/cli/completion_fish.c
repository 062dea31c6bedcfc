// SPDX-License-Identifier: Apache-2.0
#include "client/cli/completion.h"
#include "client/cli/options.h"

static void print_quoted(FILE *out, const char *text)
{
	putc('\'', out);
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			putc('\\', out);
		putc(*text, out);
	}
	putc('\'', out);
}

static void print_rows(FILE *out, const char *verb, const struct option_row *rows)
{
	for (const struct option_row *row = rows; row && row->key; row++) {
		fprintf(out, "complete -c takt -n '__fish_seen_subcommand_from %s' -l %s", verb,
			row->name);
		if (row->key < 256)
			fprintf(out, " -s %c", row->key);
		if (row->argument)
			fputs(row->kind == WORD_FILE ? " -r -F" : " -x", out);
		if (row->kind == WORD_LIST)
			fprintf(out, " -a '%s'", row->words);
		fputs(" -d ", out);
		print_quoted(out, row->help);
		putc('\n', out);
	}
}

static const char *operands_of(const struct verb *v)
{
	switch (v->operands) {
	case WORD_COMMAND:
		return "(__fish_complete_subcommand)";
	case WORD_RESERVATION:
		return "(__takt_reservations)";
	case WORD_LIST:
		return v->operand_words;
	default:
		return NULL;
	}
}

void completion_fish(FILE *out)
{
	struct option_row common[4];

	fputs("# fish completion for takt; made by `takt completion fish`\n"
	      "function __takt_reservations\n\t" COMPLETION_NAMES "\nend\n"
	      "complete -c takt -f\n",
		out);
	for (const struct verb *v = verbs; v->name; v++) {
		fprintf(out, "complete -c takt -n __fish_use_subcommand -a %s -d ", v->name);
		print_quoted(out, v->help);
		putc('\n', out);
		print_rows(out, v->name, v->options);
		print_rows(out, v->name, options_common(v, common));
		if (operands_of(v))
			fprintf(out,
				"complete -c takt -n '__fish_seen_subcommand_from %s' -a '%s'\n",
				v->name, operands_of(v));
	}
}
