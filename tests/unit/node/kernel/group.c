// SPDX-License-Identifier: Apache-2.0
#include "test.h"
#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/model/units.h"
#include "node/kernel/kern.h"

static const char *path_of(const char *group, const char *file)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s%s/%s", root, group, file);
	return path;
}

static void write_number(const char *group, const char *file, int64_t number)
{
	FILE *f = fopen(path_of(group, file), "w");

	assert_non_null(f);
	fprintf(f, "%lld", (long long)number);
	fclose(f);
}

static int64_t runtime_of(const char *group)
{
	FILE *f = fopen(path_of(group, "cpu.rt_runtime_us"), "r");
	long long number = -1;

	assert_non_null(f);
	CHECK_EQ(fscanf(f, "%lld", &number), 1);
	fclose(f);
	return number;
}

static void new_group(const char *group)
{
	CHECK_EQ(mkdir(path_of(group, ""), 0755), 0);
	write_number(group, "cpu.rt_period_us", 1000000);
	write_number(group, "cpu.rt_runtime_us", 0);
}

/* /pods/pod/main, as the files of the v1 cpu controller are. */
static void new_groups(void)
{
	new_root();
	new_group("/pods");
	new_group("/pods/pod");
	new_group("/pods/pod/main");
}

/* Reads as 0, and cannot be written: what a kernel without room for a share does. */
static void refuse_more(const char *group)
{
	char path[256];

	snprintf(path, sizeof(path), "%s", path_of(group, "cpu.rt_runtime_us"));
	CHECK_EQ(unlink(path), 0);
	CHECK_EQ(symlink("/dev/full", path), 0);
}

static const struct kern_container main_container = {
	.cgroup = "/pods/pod/main",
	.dl = { 20 * NSEC_PER_MSEC, 1000 * NSEC_PER_MSEC, 1000 * NSEC_PER_MSEC },
	.cores = 1,
};

TEST(a_share_is_given_to_all_levels_and_taken_back_from_all)
{
	struct kern *k;

	new_groups();
	CHECK_EQ(kern_group_create(&k, root, NULL), 0);
	CHECK_EQ(k->ops->bind(k, &main_container, NULL), 0);
	CHECK_EQ(runtime_of("/pods"), 20000);
	CHECK_EQ(runtime_of("/pods/pod"), 20000);
	CHECK_EQ(runtime_of("/pods/pod/main"), 20000);
	CHECK(k->ops->unbind(k, &main_container));
	CHECK_EQ(runtime_of("/pods"), 0);
	CHECK_EQ(runtime_of("/pods/pod"), 0);
	CHECK_EQ(runtime_of("/pods/pod/main"), 0);
	kern_destroy(k);
}

TEST(a_share_that_finds_no_room_half_way_leaves_none_behind)
{
	struct err err = ERR_NULL;
	struct kern *k;

	new_groups();
	refuse_more("/pods/pod");
	CHECK_EQ(kern_group_create(&k, root, NULL), 0);
	CHECK_EQ(k->ops->bind(k, &main_container, &err), -ENOTSUP);
	CHECK(strstr(err.text, "/pods/pod/main"));
	CHECK_EQ(runtime_of("/pods"), 0);
	CHECK_EQ(runtime_of("/pods/pod/main"), 0);
	kern_destroy(k);
}
