// SPDX-License-Identifier: Apache-2.0
#include "client/cli/completion.h"
#include "client/cli/options.h"

static void print_words(FILE *out, const struct option_row *rows)
{
	for (const struct option_row *row = rows; row && row->key; row++) {
		if (row->key < 256)
			fprintf(out, "-%c ", row->key);
		fprintf(out, "--%s ", row->name);
	}
}

static void print_argument(FILE *out, const char *verb, const struct option_row *row)
{
	fputs("\t", out);
	if (row->key < 256)
		fprintf(out, "%s,-%c | ", verb, row->key);
	fprintf(out, "%s,--%s)", verb, row->name);
	if (row->kind == WORD_FILE)
		fputs(" COMPREPLY=($(compgen -f -- \"$cur\"));", out);
	if (row->kind == WORD_LIST)
		fprintf(out, " COMPREPLY=($(compgen -W '%s' -- \"$cur\"));", row->words);
	fputs(" return ;;\n", out);
}

static void print_arguments(FILE *out, const char *verb, const struct option_row *rows)
{
	for (const struct option_row *row = rows; row && row->key; row++)
		if (row->argument)
			print_argument(out, verb, row);
}

static void print_operands(FILE *out, const struct verb *v)
{
	fprintf(out, "\t%s)", v->name);
	switch (v->operands) {
	case WORD_COMMAND:
		fputs(" COMPREPLY=($(compgen -c -- \"$cur\"))", out);
		break;
	case WORD_RESERVATION:
		fputs(" COMPREPLY=($(compgen -W \"$(_takt_reservations)\" -- \"$cur\"))", out);
		break;
	case WORD_LIST:
		fprintf(out, " COMPREPLY=($(compgen -W '%s' -- \"$cur\"))", v->operand_words);
		break;
	default:
		break;
	}
	fputs(" ;;\n", out);
}

static const char head[] =
	"# bash completion for takt; made by `takt completion bash`\n"
	"_takt_reservations()\n{\n\t" COMPLETION_NAMES "\n}\n\n"
	"_takt()\n{\n"
	"\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb= words= i\n"
	"\tCOMPREPLY=()\n"
	"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	"\t\tcase ${COMP_WORDS[i]} in\n"
	"\t\t--socket) ((i++)) ;;\n"
	"\t\t-*) ;;\n"
	"\t\t*) verb=${COMP_WORDS[i]}; break ;;\n"
	"\t\tesac\n"
	"\tdone\n";

void completion_bash(FILE *out)
{
	struct option_row common[4];

	fprintf(out, "%s\tcase $verb,$prev in\n", head);
	for (const struct verb *v = verbs; v->name; v++) {
		print_arguments(out, v->name, v->options);
		print_arguments(out, v->name, options_common(v, common));
	}
	fputs("\tesac\n\tcase $verb in\n\t'') words='", out);
	for (const struct verb *v = verbs; v->name; v++)
		fprintf(out, "%s ", v->name);
	print_words(out, options_common(NULL, common));
	fputs("--version' ;;\n", out);
	for (const struct verb *v = verbs; v->name; v++) {
		fprintf(out, "\t%s) words='", v->name);
		print_words(out, v->options);
		print_words(out, options_common(v, common));
		fputs("' ;;\n", out);
	}
	fputs("\tesac\n"
	      "\tif [[ -z $verb || $cur == -* ]]; then\n"
	      "\t\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	      "\t\treturn\n"
	      "\tfi\n"
	      "\tcase $verb in\n",
		out);
	for (const struct verb *v = verbs; v->name; v++)
		print_operands(out, v);
	fputs("\tesac\n}\ncomplete -F _takt takt\n", out);
}
