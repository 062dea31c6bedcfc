// SPDX-License-Identifier: Apache-2.0
/* Kills a child at every fault point: a reader sees the old file or the new one, never a part. */
#include "test.h"
#include "fixture.h"

#include <jansson.h>
#include <signal.h>
#include <sys/wait.h>

static bool keep_all(void *ctx, const char *name)
{
	return true;
}

static void run_killed(const char *fault, void (*life)(void))
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		setenv("TAKT_FAULT", fault, 1);
		life();
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fail_msg("%s was not passed", fault);
}

static void write_new(void)
{
	struct cdi_spec spec = { "camera", OUR_SOCKET, "/new", "/hook" };

	cdi_spec_write(fixture_dir, &spec, NULL);
}

static void remove_it(void)
{
	cdi_spec_remove(fixture_dir, OUR_SOCKET, "camera", NULL);
}

static const char *host_path(void)
{
	static char path[64];
	json_t *json = json_load_file(fixture_path(CDI_FILE_PREFIX "camera.json"), 0, NULL);
	const char *text = "";

	CHECK(json);
	CHECK_EQ(json_unpack(json, "{s:[{s:{s:[{s:s}]}}]}", "devices", "containerEdits", "mounts",
			 "hostPath", &text),
		0);
	snprintf(path, sizeof(path), "%s", text);
	json_decref(json);
	return path;
}

TEST(a_killed_write_leaves_the_old_file_or_the_new_one)
{
	static const struct {
		const char *fault, *left;
	} cases[] = {
		{ "file.replace.temporary", "/run/takt/resv/x" },
		{ "file.replace.written", "/run/takt/resv/x" },
		{ "file.replace.renamed", "/new" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fixture_new();
		CHECK_EQ(fixture_write("camera", OUR_SOCKET, NULL), 0);
		run_killed(cases[i].fault, write_new);
		CHECK_TEXT(host_path(), cases[i].left);
		CHECK_EQ(cdi_specs_sweep(fixture_dir, OUR_SOCKET, keep_all, NULL, NULL), 0);
		CHECK_EQ(fixture_files(), 1);
		write_new();
		CHECK_TEXT(host_path(), "/new");
		CHECK_EQ(fixture_files(), 1);
	}
}

TEST(a_killed_removal_has_happened_or_not)
{
	fixture_new();
	CHECK_EQ(fixture_write("camera", OUR_SOCKET, NULL), 0);
	run_killed("cdi.remove", remove_it);
	CHECK_EQ(fixture_files(), 1);
	run_killed("cdi.removed", remove_it);
	CHECK_EQ(fixture_files(), 0);
}
