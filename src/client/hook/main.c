// SPDX-License-Identifier: Apache-2.0
/*
 * takt-hook: the createRuntime hook of Takt's CDI specs. It tells the agent which process holds
 * the reservation; unless the agent says yes it fails, and so the container does not start. Where the
 * agent itself runs in a container, it also puts itself on the host and takes itself away.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "client/hook/call.h"
#include "client/hook/place.h"

#define TIMEOUT_DEFAULT_NS (5 * NSEC_PER_SEC)
#define TIMEOUT_MAX_NS (3600 * NSEC_PER_SEC)

struct options {
	const char *socket;
	const char *reservation;
	const char *path;
	const char *cdi_dir;
	const char *state_dir;
	nsec_t timeout_ns;
};

static const char help[] =
	"Usage: takt-hook bind --socket PATH --reservation NAME [--timeout TIME] < STATE\n"
	"       takt-hook install --path PATH\n"
	"       takt-hook remove --path PATH --cdi-dir DIR [--state-dir DIR]\n"
	"\n"
	"Called by a container runtime as the createRuntime hook of a Takt CDI device: binds the\n"
	"container to the reservation, or fails, so that the container does not start.\n"
	"install copies this program to where runtimes find it; remove takes it away, unless the\n"
	"CDI file of a reservation is left, or another taktd stands by to take over.\n"
	"\n"
	"  --socket PATH       the control socket of taktd\n"
	"  --reservation NAME  the reservation\n"
	"  --timeout TIME      how long to wait for taktd; default 5s\n"
	"  --path PATH         where the program is put\n"
	"  --cdi-dir DIR       the folder of the CDI files\n"
	"  --state-dir DIR     the folder of taktd's store\n"
	"  --help              show this\n"
	"  --version           show the version\n"
	"\n"
	"See takt-hook(8).\n";

/* One sentence on standard error, which the runtime shows to whoever started the container. */
static int fail(enum hook_exit code, const char *reservation, const struct err *err)
{
	fprintf(stderr, "takt: %s%s%s\n", reservation ?: "", reservation ? ": " : "", err->text);
	return code;
}

static int wrong_usage(const char *reservation, const char *what)
{
	struct err err;

	err_set(&err, -1, "%s (takt-hook --help)", what);
	return fail(HOOK_USAGE, reservation, &err);
}

static int bind_container(const struct options *o)
{
	static char input[STATE_MAX], reply[BIND_REPLY_MAX];
	nsec_t deadline_ns = call_now_ns() + o->timeout_ns;
	char message[BIND_CALL_MAX];
	struct err err = ERR_NULL;
	struct oci_state state;
	struct bytes text;
	size_t len;
	enum hook_exit e = call_read_state(STDIN_FILENO, deadline_ns, input, &text, &err);

	if (e == HOOK_OK && oci_state_parse(text, &state, &err) < 0)
		e = HOOK_USAGE;
	if (e != HOOK_OK)
		return fail(e, o->reservation, &err);
	len = bind_call_write(message, o->reservation, &state);
	if (len == 0)
		return wrong_usage(NULL, "the name of the reservation is too long");
	e = call_agent(o->socket, deadline_ns, (struct bytes){ message, len }, reply, &text, &err);
	if (e == HOOK_OK)
		e = bind_reply_read(text, &err);
	return e == HOOK_OK ? HOOK_OK : fail(e, o->reservation, &err);
}

static int bind_main(const struct options *o)
{
	if (!o->reservation || !o->reservation[0])
		return wrong_usage(NULL, "name the reservation: --reservation NAME");
	if (!o->socket || !o->socket[0])
		return wrong_usage(o->reservation, "name the socket of taktd: --socket PATH");
	return bind_container(o);
}

static int install_main(const struct options *o)
{
	struct err err = ERR_NULL;

	if (!o->path)
		return wrong_usage(NULL, "say where to: --path PATH");
	return place_install(o->path, &err) < 0 ? fail(HOOK_FAILED, NULL, &err) : HOOK_OK;
}

static int remove_main(const struct options *o)
{
	struct err err = ERR_NULL;
	enum place_kept kept;

	if (!o->path || !o->cdi_dir)
		return wrong_usage(NULL, "say which, and where CDI files are: --path, --cdi-dir");
	if (place_remove(o->path, o->cdi_dir, o->state_dir, &kept, &err) < 0)
		return fail(HOOK_FAILED, NULL, &err);
	if (kept == PLACE_WAITED_FOR)
		fprintf(stderr, "takt: %s stays: another taktd takes over\n", o->path);
	if (kept == PLACE_NAMED)
		fprintf(stderr, "takt: %s stays: CDI files in %s name it\n", o->path, o->cdi_dir);
	return HOOK_OK;
}

static int run_verb(int argc, char **argv, const struct options *o)
{
	const char *verb = optind + 1 == argc ? argv[optind] : "";

	if (strcmp(verb, "bind") == 0)
		return bind_main(o);
	if (strcmp(verb, "install") == 0)
		return install_main(o);
	if (strcmp(verb, "remove") == 0)
		return remove_main(o);
	return wrong_usage(o->reservation, "say what to do: takt-hook bind");
}

static int timeout_parse(const char *text, nsec_t *ret_ns)
{
	struct err err = ERR_NULL;

	if (duration_parse(text, ret_ns, &err) < 0) {
		err_wrap(&err, -1, "--timeout");
		return fail(HOOK_USAGE, NULL, &err);
	}
	return *ret_ns > TIMEOUT_MAX_NS ? wrong_usage(NULL, "--timeout: at most 3600s") : HOOK_OK;
}

int main(int argc, char **argv)
{
	static const struct option table[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "reservation", required_argument, NULL, 'r' },
		{ "timeout", required_argument, NULL, 't' },
		{ "path", required_argument, NULL, 'p' },
		{ "cdi-dir", required_argument, NULL, 'd' },
		{ "state-dir", required_argument, NULL, 'w' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ 0 },
	};
	struct options o = { .timeout_ns = TIMEOUT_DEFAULT_NS };
	int c, r = HOOK_OK;

	opterr = 0;
	while (r == HOOK_OK && (c = getopt_long(argc, argv, "", table, NULL)) != -1) {
		if (c == 's')
			o.socket = optarg;
		else if (c == 'r')
			o.reservation = optarg;
		else if (c == 'p')
			o.path = optarg;
		else if (c == 'd')
			o.cdi_dir = optarg;
		else if (c == 'w')
			o.state_dir = optarg;
		else if (c == 't')
			r = timeout_parse(optarg, &o.timeout_ns);
		else if (c == 'h')
			return fputs(help, stdout) < 0 ? HOOK_FAILED : HOOK_OK;
		else if (c == 'v')
			return puts("takt-hook " TAKT_VERSION) < 0 ? HOOK_FAILED : HOOK_OK;
		else
			r = wrong_usage(NULL, "unknown option, or one without its value");
	}
	return r == HOOK_OK ? run_verb(argc, argv, &o) : r;
}
