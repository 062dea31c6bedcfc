// SPDX-License-Identifier: Apache-2.0
#include "test.h"
#include "fixture.h"

#include <jansson.h>
#include <sys/file.h>

#define CAMERA CDI_FILE_PREFIX "camera.json"

static bool keep_none(void *ctx, const char *name)
{
	return false;
}

static bool keep_arm(void *ctx, const char *name)
{
	return strcmp(name, "arm") == 0;
}

TEST(the_file_says_what_a_runtime_has_to_do)
{
	static const char expect[] =
		"{\"cdiVersion\":\"0.5.0\",\"kind\":\"rt.takt.dev/reservation\",\"devices\":["
		"{\"name\":\"camera\",\"containerEdits\":{"
		"\"env\":[\"TAKT_RESERVATION=camera\",\"TAKT_SOCKET=/run/takt/takt.sock\"],"
		"\"mounts\":[{\"hostPath\":\"/run/takt/resv/x\",\"containerPath\":\"/run/takt\","
		"\"type\":\"bind\",\"options\":[\"bind\",\"ro\",\"nosuid\",\"nodev\"]}],"
		"\"hooks\":[{\"hookName\":\"createRuntime\","
		"\"path\":\"/usr/libexec/takt/takt-hook\","
		"\"args\":[\"takt-hook\",\"bind\",\"--socket\",\"/run/takt/takt.sock\","
		"\"--reservation\",\"camera\"]}]}}]}";
	json_t *is, *ought = json_loads(expect, 0, NULL);
	struct err err = ERR_NULL;
	struct stat st;

	fixture_new();
	CHECK_EQ(fixture_write("camera", OUR_SOCKET, &err), 0);
	CHECK_EQ(err.code, 0);
	is = json_load_file(fixture_path(CAMERA), 0, NULL);
	CHECK(is && ought && json_equal(is, ought));
	json_decref(is);
	json_decref(ought);
	CHECK(stat(fixture_path(CAMERA), &st) == 0 && (st.st_mode & 0777) == 0644);
	CHECK(stat(fixture_dir, &st) == 0 && (st.st_mode & 0777) == 0755);
	CHECK_EQ(fixture_files(), 1);
}

TEST(an_unchanged_file_is_not_written_again_and_a_changed_one_is)
{
	struct cdi_spec spec = {
		.name = "camera",
		.socket = OUR_SOCKET,
		.resv_socket_dir = "/elsewhere",
		.hook_path = "/usr/libexec/takt/takt-hook",
	};
	struct stat first, second;

	fixture_new();
	CHECK_EQ(fixture_write("camera", OUR_SOCKET, NULL), 0);
	CHECK(stat(fixture_path(CAMERA), &first) == 0);
	CHECK_EQ(fixture_write("camera", OUR_SOCKET, NULL), 0);
	CHECK(stat(fixture_path(CAMERA), &second) == 0);
	CHECK_EQ(first.st_ino, second.st_ino);
	CHECK_EQ(cdi_spec_write(fixture_dir, &spec, NULL), 0);
	CHECK(stat(fixture_path(CAMERA), &second) == 0);
	CHECK(first.st_ino != second.st_ino);
	CHECK_EQ(fixture_files(), 1);
}

TEST(the_longest_name_and_every_allowed_character_make_a_file)
{
	char name[RESV_NAME_MAX + 1], file[300];

	memset(name, 'x', RESV_NAME_MAX);
	memcpy(name, "0a-_.", 5);
	name[RESV_NAME_MAX] = '\0';
	fixture_new();
	CHECK_EQ(fixture_write(name, OUR_SOCKET, NULL), 0);
	snprintf(file, sizeof(file), CDI_FILE_PREFIX "%s.json", name);
	CHECK(fixture_has(file));
	CHECK_EQ(cdi_specs_sweep(fixture_dir, OUR_SOCKET, keep_none, NULL, NULL), 1);
	CHECK_EQ(fixture_files(), 0);
}

TEST(a_file_is_removed_by_its_owner_only)
{
	fixture_new();
	CHECK_EQ(cdi_spec_remove(fixture_dir, OUR_SOCKET, "camera", NULL), 0);
	CHECK_EQ(fixture_write("camera", OUR_SOCKET, NULL), 0);
	CHECK_EQ(cdi_spec_remove(fixture_dir, "/other.sock", "camera", NULL), 0);
	CHECK(fixture_has(CAMERA));
	CHECK_EQ(cdi_spec_remove(fixture_dir, OUR_SOCKET, "camera", NULL), 0);
	CHECK(!fixture_has(CAMERA));
	CHECK_EQ(cdi_spec_remove(fixture_dir, OUR_SOCKET, "camera", NULL), 0);
}

TEST(another_agents_file_is_not_overwritten)
{
	struct err err = ERR_NULL;
	json_t *json;

	fixture_new();
	CHECK_EQ(fixture_write("camera", "/other.sock", NULL), 0);
	CHECK_EQ(fixture_write("camera", OUR_SOCKET, &err), -EBUSY);
	CHECK(strstr(err.text, CAMERA " is there and not of this agent"));
	json = json_load_file(fixture_path(CAMERA), 0, NULL);
	CHECK(json);
	json_decref(json);
	CHECK_EQ(cdi_spec_remove(fixture_dir, "/other.sock", "camera", NULL), 0);
	CHECK(!fixture_has(CAMERA));
}

TEST(an_empty_file_that_a_power_cut_left_is_written_over)
{
	fixture_new();
	CHECK(mkdir(fixture_dir, 0755) == 0);
	fixture_put(CAMERA, "");
	CHECK_EQ(fixture_write("camera", OUR_SOCKET, NULL), 0);
	CHECK_EQ(cdi_spec_remove(fixture_dir, OUR_SOCKET, "camera", NULL), 0);
	CHECK(!fixture_has(CAMERA));
}

TEST(what_is_in_the_way_is_left_there)
{
	struct err err = ERR_NULL;

	fixture_new();
	CHECK(mkdir(fixture_dir, 0755) == 0);
	fixture_put(CAMERA, "not JSON at all");
	CHECK_EQ(fixture_write("camera", OUR_SOCKET, &err), -EBUSY);
	CHECK_EQ(cdi_spec_remove(fixture_dir, OUR_SOCKET, "camera", NULL), 0);
	CHECK(fixture_has(CAMERA));
	CHECK(unlink(fixture_path(CAMERA)) == 0);

	CHECK(mkdir(fixture_path(CAMERA), 0755) == 0);
	CHECK_EQ(fixture_write("camera", OUR_SOCKET, NULL), -EBUSY);
	CHECK(rmdir(fixture_path(CAMERA)) == 0);

	CHECK(symlink("/etc/passwd", fixture_path(CAMERA)) == 0);
	CHECK_EQ(fixture_write("camera", OUR_SOCKET, NULL), -EBUSY);
	CHECK(unlink(fixture_path(CAMERA)) == 0);

	CHECK(mkfifo(fixture_path(CAMERA), 0600) == 0);
	CHECK_EQ(fixture_write("camera", OUR_SOCKET, NULL), -EBUSY);
}

TEST(a_sweep_takes_our_unwanted_files_and_nothing_else)
{
	struct {
		const char *file, *text;
	} foreign[] = {
		{ "nvidia.json", "{\"cdiVersion\":\"0.5.0\",\"kind\":\"nvidia.com/gpu\"}" },
		{ CDI_FILE_PREFIX "half.json", "{\"cdiVersion\":\"0.5.0\",\"kind\":" },
		{ CDI_FILE_PREFIX "empty.json", "" },
		{ CDI_FILE_PREFIX "-.json", "{}" },
		{ CDI_FILE_PREFIX "note.txt", "hello" },
		{ CDI_FILE_PREFIX ".json", "{}" },
		{ "camera.json", "{}" },
		{ ".hidden.tmp", "" },
	};
	char copy[400];
	int n = sizeof(foreign) / sizeof(foreign[0]);

	fixture_new();
	CHECK_EQ(fixture_write("camera", OUR_SOCKET, NULL), 0);
	CHECK_EQ(fixture_write("arm", OUR_SOCKET, NULL), 0);
	CHECK_EQ(fixture_write("theirs", "/other.sock", NULL), 0);
	CHECK_EQ(fixture_write("renamed", OUR_SOCKET, NULL), 0);
	snprintf(copy, sizeof(copy), "%s", fixture_path(CDI_FILE_PREFIX "renamed.json"));
	CHECK(rename(copy, fixture_path(CDI_FILE_PREFIX "byhand.json")) == 0);
	for (int i = 0; i < n; i++)
		fixture_put(foreign[i].file, foreign[i].text);

	CHECK_EQ(cdi_specs_sweep(fixture_dir, OUR_SOCKET, keep_arm, NULL, NULL), 1);
	CHECK(!fixture_has(CAMERA));
	CHECK(fixture_has(CDI_FILE_PREFIX "arm.json"));
	CHECK(fixture_has(CDI_FILE_PREFIX "theirs.json"));
	CHECK(fixture_has(CDI_FILE_PREFIX "byhand.json"));
	for (int i = 0; i < n; i++)
		CHECK(fixture_has(foreign[i].file));
}

TEST(a_sweep_of_a_folder_that_is_not_there_finds_nothing)
{
	fixture_new();
	CHECK_EQ(cdi_specs_sweep(fixture_dir, OUR_SOCKET, keep_none, NULL, NULL), 0);
}

TEST(a_huge_file_under_our_name_is_not_read)
{
	char *huge = malloc((1 << 20) + 1);

	CHECK(huge);
	memset(huge, ' ', 1 << 20);
	huge[1 << 20] = '\0';
	fixture_new();
	CHECK(mkdir(fixture_dir, 0755) == 0);
	fixture_put(CAMERA, huge);
	free(huge);
	CHECK_EQ(cdi_specs_sweep(fixture_dir, OUR_SOCKET, keep_none, NULL, NULL), 0);
	CHECK(fixture_has(CAMERA));
}

TEST(what_a_killed_writer_left_is_swept_and_a_living_ones_is_not)
{
	int fd;

	fixture_new();
	CHECK(mkdir(fixture_dir, 0755) == 0);
	fixture_put("." CDI_FILE_PREFIX "dead.json.tmp", "{");
	fixture_put("." CDI_FILE_PREFIX "alive.json.tmp", "{");
	fd = open(fixture_path("." CDI_FILE_PREFIX "alive.json.tmp"), O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0 && flock(fd, LOCK_EX) == 0);
	CHECK_EQ(cdi_specs_sweep(fixture_dir, OUR_SOCKET, keep_none, NULL, NULL), 0);
	CHECK(!fixture_has("." CDI_FILE_PREFIX "dead.json.tmp"));
	CHECK(fixture_has("." CDI_FILE_PREFIX "alive.json.tmp"));
	CHECK_EQ(fixture_write("alive", OUR_SOCKET, NULL), -EBUSY);
	close(fd);
	CHECK_EQ(fixture_write("alive", OUR_SOCKET, NULL), 0);
	CHECK_EQ(fixture_files(), 1);
}

TEST(a_folder_that_cannot_be_made_is_named)
{
	struct cdi_spec spec = { "a", OUR_SOCKET, "/x", "/y" };
	struct err err = ERR_NULL;

	CHECK_EQ(cdi_spec_write("/tmp/takt-no-such/cdi", &spec, &err), -ENOENT);
	CHECK(strstr(err.text, "/tmp/takt-no-such/cdi"));
}
