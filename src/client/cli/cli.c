// SPDX-License-Identifier: Apache-2.0
#include "client/cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "client/cli/verbs.h"

void cli_fini(struct cli *cli)
{
	takt_close(cli->takt);
	cli->takt = NULL;
}

char *cli_clean(char *text)
{
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	return text;
}

__attribute__((format(printf, 3, 0))) static void say(
	const char *subject, const char *tail, const char *format, va_list ap)
{
	char about[128] = "", text[ERR_TEXT_MAX + 256];

	if (subject)
		snprintf(about, sizeof(about), "%s: ", subject);
	vsnprintf(text, sizeof(text), format, ap);
	fprintf(stderr, "takt: %s%s%s\n", cli_clean(about), cli_clean(text), tail);
}

void cli_say(const char *subject, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say(subject, "", format, ap);
	va_end(ap);
}

int cli_usage(const struct cli *cli, const char *format, ...)
{
	const char *verb = cli->verb ? cli->verb->name : NULL;
	char tail[64];
	va_list ap;

	snprintf(tail, sizeof(tail), " (see: takt %s%s--help)", verb ? verb : "", verb ? " " : "");
	va_start(ap, format);
	say(verb, tail, format, ap);
	va_end(ap);
	return EX_USAGE;
}

int cli_exit_code(int code)
{
	switch (-code) {
	case ENOSPC:
		return EX_TEMPFAIL;
	case EPERM:
	case EACCES:
		return EX_NOPERM;
	case ENOENT:
	case ECONNREFUSED:
	case ECONNRESET:
	case ETIMEDOUT:
		return EX_UNAVAILABLE;
	case EINVAL:
	case EMSGSIZE:
		return EX_USAGE;
	case ESRCH:
	case EEXIST:
	case EBUSY:
	case EOPNOTSUPP:
		return EXIT_REFUSED;
	default:
		return EX_SOFTWARE;
	}
}

int cli_fail(const char *subject, const struct err *err)
{
	cli_say(subject, "%s", err->text);
	return cli_exit_code(err->code);
}

int cli_fail_input(const char *subject, const struct err *err)
{
	cli_say(subject, "%s", err->text);
	return err->code == -ENOMEM ? EX_SOFTWARE : EX_USAGE;
}

static int cli_open(struct cli *cli, struct err *err)
{
	int r;

	if (cli->takt)
		return 0;
	r = takt_open(&cli->takt, cli->socket);
	if (r == -EINVAL)
		return err_set(err, r, "the path of the agent's socket is too long");
	return r < 0 ? err_set(err, r, "out of memory") : 0;
}

int cli_call(struct cli *cli, const char *method, json_t *parameters, json_t **ret, struct err *err)
{
	cleanup_json json_t *owned = parameters;
	cleanup_free char *in = owned ? json_dumps(owned, JSON_COMPACT) : NULL;
	cleanup_free char *out = NULL;
	json_t *reply;
	int r;

	if (!in)
		return err_set(err, -ENOMEM, "out of memory, or text that is not UTF-8");
	r = cli_open(cli, err);
	if (r < 0)
		return r;
	r = takt_call(cli->takt, method, in, &out);
	if (r < 0)
		return err_set(err, r, "%s", takt_error(cli->takt));
	reply = json_loads(out, 0, NULL);
	if (!reply)
		return err_set(err, -ENOMEM, "out of memory");
	if (ret)
		*ret = reply;
	else
		json_decref(reply);
	return 0;
}

int cli_print_json(const json_t *value)
{
	if (json_dumpf(value, stdout, JSON_INDENT(2)) < 0) {
		cli_say(NULL, "cannot write the answer");
		return EX_SOFTWARE;
	}
	putchar('\n');
	return 0;
}

const char *cli_color(const struct cli *cli, enum color c)
{
	static const char *const codes[_COLOR_MAX] = {
		[COLOR_OFF] = "\033[0m",
		[COLOR_BOLD] = "\033[1m",
		[COLOR_GREEN] = "\033[32m",
		[COLOR_YELLOW] = "\033[33m",
		[COLOR_RED] = "\033[31m",
	};

	return cli->color && c < _COLOR_MAX ? codes[c] : "";
}
