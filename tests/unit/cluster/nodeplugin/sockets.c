// SPDX-License-Identifier: Apache-2.0
/* Names of several instances' sockets, and what is left of those that were killed. */
#include "cluster/nodeplugin/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "test.h"

#define UID "5a4a72d0-0c5b-4b0e-9f0a-6d1c7b3e8f21"

TEST(the_only_one_has_the_plain_names)
{
	struct sockets s;

	CHECK_EQ(sockets_name("/var/lib/kubelet", NULL, &s, NULL), 0);
	CHECK_TEXT(s.endpoint, "/var/lib/kubelet/plugins/rt.takt.dev/dra.sock");
	CHECK_TEXT(s.registration, "/var/lib/kubelet/plugins_registry/rt.takt.dev-reg.sock");
	CHECK_TEXT(s.folder, "/var/lib/kubelet/plugins/rt.takt.dev");
	CHECK_TEXT(s.registry, "/var/lib/kubelet/plugins_registry");
}

TEST(an_instance_has_its_name_in_both)
{
	struct sockets s;

	CHECK_EQ(sockets_name("/var/lib/kubelet", UID, &s, NULL), 0);
	CHECK_TEXT(s.endpoint, "/var/lib/kubelet/plugins/rt.takt.dev/dra-" UID ".sock");
	CHECK_TEXT(
		s.registration, "/var/lib/kubelet/plugins_registry/rt.takt.dev-" UID "-reg.sock");
}

TEST(where_that_is_too_long_a_number_of_its_own_stands_for_it)
{
	const char *dir = "/var/snap/microk8s/common/var/lib/kubelet";
	struct sockets s, again, other;

	CHECK_EQ(sockets_name(dir, UID, &s, NULL), 0);
	CHECK(!strstr(s.registration, UID) && !strstr(s.endpoint, UID));
	CHECK(strlen(s.registration) < 108);
	CHECK_EQ(sockets_name(dir, UID, &again, NULL), 0);
	CHECK_TEXT(again.registration, s.registration);
	CHECK_EQ(sockets_name(dir, "6" UID, &other, NULL), 0);
	CHECK(strcmp(other.registration, s.registration) != 0);
	CHECK(strcmp(other.endpoint, s.endpoint) != 0);
}

TEST(a_folder_that_is_too_long_is_said)
{
	struct err err = ERR_NULL;
	struct sockets s;
	char dir[120];

	memset(dir, 'd', sizeof(dir));
	dir[0] = '/';
	dir[80] = '\0';
	CHECK_EQ(sockets_name(dir, UID, &s, &err), -ENAMETOOLONG);
	CHECK(strstr(err.text, "too long a path"));
}

TEST(an_instance_that_is_no_part_of_a_name_is_refused)
{
	struct err err = ERR_NULL;
	struct sockets s;

	CHECK_EQ(sockets_name("/k", "", &s, &err), -EINVAL);
	CHECK_EQ(sockets_name("/k", "a/b", &s, &err), -EINVAL);
	CHECK(strstr(err.text, "instance 'a/b'"));
}

static char top[64];

static void made(char *ret, const char *folder, const char *name)
{
	snprintf(ret, 200, "%s/%s", folder, name);
}

/* The descriptor that listens; -1: nobody does any more. */
static int put_socket(const char *folder, const char *name, bool listened_on)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/%s", folder, name);
	CHECK_EQ(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	if (listened_on) {
		CHECK_EQ(listen(fd, 1), 0);
		return fd;
	}
	close(fd);
	return -1;
}

static bool is_there(const char *folder, const char *name)
{
	char path[200];

	made(path, folder, name);
	return access(path, F_OK) == 0;
}

static void take_away(const char *folder, const char *name)
{
	char path[200];

	made(path, folder, name);
	CHECK_EQ(unlink(path), 0);
}

static void folders(struct sockets *ret)
{
	char plugins[80];

	snprintf(top, sizeof(top), "/tmp/takt-sockets-%d", getpid());
	snprintf(plugins, sizeof(plugins), "%s/plugins", top);
	CHECK_EQ(sockets_name(top, "mine", ret, NULL), 0);
	CHECK(mkdir(top, 0700) == 0 && mkdir(plugins, 0700) == 0);
	CHECK(mkdir(ret->folder, 0700) == 0 && mkdir(ret->registry, 0700) == 0);
}

static void folders_end(const struct sockets *s)
{
	char plugins[80];

	snprintf(plugins, sizeof(plugins), "%s/plugins", top);
	CHECK(rmdir(s->folder) == 0 && rmdir(s->registry) == 0);
	CHECK(rmdir(plugins) == 0 && rmdir(top) == 0);
}

TEST(what_dead_instances_left_goes_and_what_lives_or_is_not_ours_stays)
{
	const struct timespec two_seconds = { 2, 100000000 };
	struct sockets s;
	int lives[2];
	char file[200];

	folders(&s);
	put_socket(s.registry, "rt.takt.dev-reg.sock", false);
	put_socket(s.registry, "rt.takt.dev-dead-reg.sock", false);
	put_socket(s.registry, "gpu.example.com-reg.sock", false);
	put_socket(s.folder, "dra-dead.sock", false);
	lives[0] = put_socket(s.registry, "rt.takt.dev-lives-reg.sock", true);
	lives[1] = put_socket(s.folder, "dra-lives.sock", true);
	made(file, s.folder, "dra-file.sock");
	close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	nanosleep(&two_seconds, NULL);
	put_socket(s.folder, "dra-new.sock", false);

	sockets_sweep(&s);
	CHECK(!is_there(s.registry, "rt.takt.dev-reg.sock"));
	CHECK(!is_there(s.registry, "rt.takt.dev-dead-reg.sock"));
	CHECK(!is_there(s.folder, "dra-dead.sock"));
	take_away(s.registry, "gpu.example.com-reg.sock");
	take_away(s.registry, "rt.takt.dev-lives-reg.sock");
	take_away(s.folder, "dra-lives.sock");
	take_away(s.folder, "dra-file.sock");
	take_away(s.folder, "dra-new.sock");
	close(lives[0]);
	close(lives[1]);
	folders_end(&s);
}

TEST(folders_that_are_not_there_are_nothing_to_do)
{
	struct sockets s;

	CHECK_EQ(sockets_name("/tmp/takt-no-such", NULL, &s, NULL), 0);
	sockets_sweep(&s);
}
