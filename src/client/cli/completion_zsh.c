// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "client/cli/completion.h"
#include "client/cli/options.h"

/* Inside single quotes, and inside the brackets of _arguments (zshcompsys(1)). */
static void print_help(FILE *out, const char *help)
{
	for (; *help; help++) {
		if (*help == '\'')
			fputs("'\\'", out);
		else if (strchr("[]:\\", *help))
			putc('\\', out);
		putc(*help, out);
	}
}

static void print_argument(FILE *out, const struct option_row *row)
{
	if (!row->argument)
		return;
	fprintf(out, ":%s:", row->argument);
	if (row->kind == WORD_FILE)
		fputs("_files", out);
	if (row->kind == WORD_LIST)
		fprintf(out, "(%s)", row->words);
}

static void print_rows(FILE *out, const struct option_row *rows)
{
	for (const struct option_row *row = rows; row && row->key; row++) {
		bool again = strcmp(row->name, "label") == 0;

		if (row->key < 256 && again)
			fprintf(out, " \\\n\t\t\t'*'{-%c,--%s}'[", row->key, row->name);
		else if (row->key < 256)
			fprintf(out, " \\\n\t\t\t'(-%c --%s)'{-%c,--%s}'[", row->key, row->name,
				row->key, row->name);
		else
			fprintf(out, " \\\n\t\t\t'--%s[", row->name);
		print_help(out, row->help);
		putc(']', out);
		print_argument(out, row);
		putc('\'', out);
	}
}

static void print_operands(FILE *out, const struct verb *v)
{
	switch (v->operands) {
	case WORD_COMMAND:
		fputs(" \\\n\t\t\t'*::command:_normal'", out);
		break;
	case WORD_RESERVATION:
		fputs(" \\\n\t\t\t'*:reservation:_takt_reservations'", out);
		break;
	case WORD_LIST:
		fprintf(out, " \\\n\t\t\t'*:word:(%s)'", v->operand_words);
		break;
	default:
		break;
	}
}

static const char head[] = "#compdef takt\n"
			   "# zsh completion for takt; made by `takt completion zsh`\n"
			   "_takt_reservations()\n{\n"
			   "\tlocal -a names\n"
			   "\tnames=(${(f)\"$(" COMPLETION_NAMES ")\"})\n"
			   "\tcompadd -a names\n"
			   "}\n\n"
			   "_takt()\n{\n"
			   "\tlocal -a verbs\n"
			   "\tlocal verb\n"
			   "\tverbs=(\n";

void completion_zsh(FILE *out)
{
	struct option_row common[4];

	fputs(head, out);
	for (const struct verb *v = verbs; v->name; v++) {
		fprintf(out, "\t\t'%s:", v->name);
		print_help(out, v->help);
		fputs("'\n", out);
	}
	fputs("\t)\n"
	      "\tif (( CURRENT == 2 )); then\n"
	      "\t\t_describe verb verbs\n"
	      "\t\treturn\n"
	      "\tfi\n"
	      "\tverb=$words[2]\n"
	      "\tshift words\n"
	      "\t(( CURRENT-- ))\n"
	      "\tcase $verb in\n",
		out);
	for (const struct verb *v = verbs; v->name; v++) {
		fprintf(out, "\t%s)\n\t\t_arguments -s", v->name);
		print_rows(out, v->options);
		print_rows(out, options_common(v, common));
		print_operands(out, v);
		fputs("\n\t\t;;\n", out);
	}
	fputs("\tesac\n}\n\ncompdef _takt takt\n", out);
}
