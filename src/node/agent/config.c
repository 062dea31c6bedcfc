// SPDX-License-Identifier: Apache-2.0
#include "node/agent/config.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

enum setting_type {
	SETTING_PATH,
	SETTING_DURATION,
	SETTING_NAME,
	SETTING_SWITCH,
	_SETTING_MAX,
};

struct setting {
	const char *name;
	enum setting_type type;
	size_t at;
	const char *initial; /* NULL: worked out */
	const char *help;
};

/* The agent's own numbers: short enough to answer within a millisecond or so, a twentieth of a
 * CPU at the most. */
static const struct setting settings[] = {
	{ "socket", SETTING_PATH, offsetof(struct config, socket), "/run/takt/takt.sock",
		"where clients call" },
	{ "state-dir", SETTING_PATH, offsetof(struct config, state_dir), "/var/lib/takt",
		"folder of the store" },
	{ "run-dir", SETTING_PATH, offsetof(struct config, run_dir), NULL,
		"folder of the reservations' own sockets; default: resv beside the socket" },
	{ "cdi-dir", SETTING_PATH, offsetof(struct config, cdi_dir), "/var/run/cdi",
		"folder of the CDI files" },
	{ "hook", SETTING_PATH, offsetof(struct config, hook), NULL,
		"takt-hook; default: " TAKT_LIBEXECDIR "/takt-hook" },
	{ "group", SETTING_NAME, offsetof(struct config, group), "takt",
		"group that may manage reservations, if it exists" },
	{ "own-runtime", SETTING_DURATION, offsetof(struct config, own_runtime_ns), "2ms",
		"runtime of taktd's own reservation in each period" },
	{ "own-period", SETTING_DURATION, offsetof(struct config, own_period_ns), "40ms",
		"period of taktd's own reservation" },
	{ "standby", SETTING_SWITCH, offsetof(struct config, standby), "no",
		"where another taktd has the store, wait until it ends, then take over" },
};

static int set_switch(bool *at, const char *name, const char *value, struct err *err)
{
	bool yes = strcmp(value, "yes") == 0;

	if (!yes && strcmp(value, "no") != 0)
		return err_set(err, -EINVAL, "%s: '%s' is neither yes nor no", name, value);
	*at = yes;
	return 0;
}

static int set(struct config *c, const struct setting *s, const char *value, struct err *err)
{
	void *at = (char *)c + s->at;
	size_t len = strlen(value);
	int r;

	if (s->type == SETTING_SWITCH)
		return set_switch(at, s->name, value, err);
	if (s->type == SETTING_DURATION) {
		r = duration_parse(value, at, err);
		return r < 0 ? err_wrap(err, r, "%s", s->name) : 0;
	}
	if (len >= CONFIG_PATH_MAX)
		return err_set(err, -EINVAL, "%s: longer than %d characters", s->name,
			CONFIG_PATH_MAX - 1);
	if (s->type == SETTING_PATH && value[0] != '/')
		return err_set(err, -EINVAL, "%s: '%s' is not an absolute path", s->name, value);
	memcpy(at, value, len + 1);
	return 0;
}

static const struct setting *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		if (strcmp(settings[i].name, name) == 0)
			return &settings[i];
	return NULL;
}

static char *trim(char *text)
{
	char *end = text + strlen(text);

	while (isspace((unsigned char)*text))
		text++;
	while (end > text && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return text;
}

/* Lines "name = value"; '#' begins a comment line. */
static int read_line(struct config *c, char *line, struct err *err)
{
	const struct setting *s;
	char *equals, *name;

	line = trim(line);
	if (!*line || *line == '#')
		return 0;
	equals = strchr(line, '=');
	if (!equals)
		return err_set(err, -EINVAL, "'%s' is not of the form name = value", line);
	*equals = '\0';
	name = trim(line);
	s = find(name);
	if (!s)
		return err_set(err, -EINVAL, "no setting is called '%s' (see taktd.conf(5))", name);
	return set(c, s, trim(equals + 1), err);
}

static int read_file(struct config *c, const char *path, struct err *err)
{
	cleanup_file FILE *f = fopen(path, "re");
	char line[2 * CONFIG_PATH_MAX];

	if (!f)
		return err_set_errno(err, errno, "read %s", path);
	for (unsigned number = 1; fgets(line, sizeof(line), f); number++) {
		int r = read_line(c, line, err);

		if (r < 0)
			return err_wrap(err, r, "%s:%u", path, number);
	}
	return 0;
}

static void print_help(void)
{
	static const char *const values[_SETTING_MAX] = {
		[SETTING_PATH] = "TEXT",
		[SETTING_DURATION] = "TIME",
		[SETTING_NAME] = "TEXT",
		[SETTING_SWITCH] = "",
	};

	printf("Usage: taktd [options]\n\n"
	       "Keeps reservations of CPU time for containers on this machine.\n\n"
	       "  --config FILE       settings, one 'name = value' a line; flags override it\n");
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		const struct setting *s = &settings[i];

		printf("  --%-12s %-4s %s", s->name, values[s->type], s->help);
		if (s->initial)
			printf(" (%s)", s->initial);
		printf("\n");
	}
	printf("  --help, --version\n");
}

static int set_defaults(struct config *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		if (settings[i].initial)
			set(c, &settings[i], settings[i].initial, NULL);
	snprintf(c->hook, sizeof(c->hook), "%s/takt-hook", TAKT_LIBEXECDIR);
	return 0;
}

/* Two passes: the file's name first, so that flags come on top of it. */
static int read_flags(int argc, char **argv, struct config *c, const char **ret_file,
	enum config_answer *ret_answer, struct err *err)
{
	struct option options[ARRAY_SIZE(settings) + 4] = {
		{ "config", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
	};
	int flag, r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		options[3 + i] = (struct option){ settings[i].name,
			settings[i].type == SETTING_SWITCH ? optional_argument : required_argument,
			NULL, 256 + i };
	optind = 0;
	opterr = 0;
	while (r == 0 && (flag = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (flag == 'c')
			*ret_file = optarg;
		else if (flag == 'h' || flag == 'V')
			*ret_answer = CONFIG_DONE;
		else if (flag >= 256)
			r = set(c, &settings[flag - 256], optarg ?: "yes", err);
		else
			r = err_set(err, -EINVAL, "wrong option '%s' (see taktd --help)",
				argv[optind - 1]);
		if (flag == 'h')
			print_help();
		if (flag == 'V')
			printf("taktd %s\n", TAKT_VERSION);
		if (*ret_answer == CONFIG_DONE)
			return r;
	}
	if (r == 0 && optind < argc)
		r = err_set(err, -EINVAL, "taktd takes no argument '%s' (see taktd --help)",
			argv[optind]);
	return r;
}

static void finish_paths(struct config *c)
{
	char *slash;

	if (c->run_dir[0])
		return;
	memcpy(c->run_dir, c->socket, sizeof(c->run_dir));
	slash = strrchr(c->run_dir, '/');
	snprintf(slash, sizeof(c->run_dir) - (slash - c->run_dir), "/resv");
}

int config_read(
	int argc, char **argv, struct config *ret, enum config_answer *ret_answer, struct err *err)
{
	const char *file = NULL;
	struct config c = { 0 };
	int r;

	*ret_answer = CONFIG_RUN;
	set_defaults(&c);
	r = read_flags(argc, argv, &c, &file, ret_answer, err);
	if (r < 0 || *ret_answer == CONFIG_DONE)
		return r;
	if (file) {
		memset(&c, 0, sizeof(c));
		set_defaults(&c);
		r = read_file(&c, file, err);
		if (r == 0)
			r = read_flags(argc, argv, &c, &file, ret_answer, err);
	}
	if (r < 0)
		return r;
	finish_paths(&c);
	if (c.own_runtime_ns < DL_RUNTIME_MIN_NS || c.own_runtime_ns > c.own_period_ns ||
		c.own_period_ns < DL_PERIOD_MIN_NS || c.own_period_ns > DL_PERIOD_MAX_NS)
		return err_set(err, -EINVAL,
			"own-runtime and own-period: want 1024ns <= runtime <= period, and a period of "
			"100us to 4.194304s");
	*ret = c;
	return 0;
}

void config_own_dir(const struct config *c, const char *name, char ret[static CONFIG_PATH_MAX])
{
	snprintf(ret, CONFIG_PATH_MAX, "%.*s/%s", CONFIG_PATH_MAX - RESV_NAME_MAX - 16, c->run_dir,
		name);
}
