// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include "base/cleanup.h"
#include "cluster/dra/checks.h"

enum { KUBELET, RUNTIME, NRI, DRIVER, MANAGER };

static struct checks_facts all_well(void)
{
	return (struct checks_facts){ .registered = true,
		.connected = true,
		.kubelet = "v1.36.3",
		.runtime = "containerd://2.3.7",
		.nri_used = true,
		.nri_connected = true,
		.nri_scheduler = true,
		.nri_path = "/var/run/nri/nri.sock",
		.nri_name = "containerd",
		.nri_version = "v2.3.7" };
}

static struct pods one_container(void)
{
	struct pods p = { .cgroupfs = true, .v1 = true, .n = 1 };

	CHECK_EQ(cpus_parse("0-1", &p.all, NULL), 0);
	p.containers[0] =
		(struct pods_container){ .wide = true, .pid = 7, .name = "sleep", .cpus = "0-1" };
	return p;
}

static struct checks_line lines[CHECKS_LINES];

/* That line, as it is; each that is not ok has a mend. */
static const struct checks_line *line(int i, const struct checks_facts *f, const struct pods *p)
{
	checks_lines(f, p, lines);
	for (size_t k = 0; k < CHECKS_LINES; k++)
		CHECK((lines[k].status == CHECK_OK) == (lines[k].mend == NULL));
	return &lines[i];
}

static void expect(const struct checks_line *l, enum check_status status, const char *words)
{
	CHECK_EQ(l->status, status);
	if (!strstr(l->detail, words))
		fail_msg("not in \"%s\": %s", l->detail, words);
}

TEST(every_line_is_ok_where_all_is_well)
{
	static const char *const names[] = { "kubelet", "runtimes", "nri", "cgroup-driver",
		"cpu-manager" };
	struct checks_facts f = all_well();
	struct pods p = one_container();

	for (int i = 0; i < CHECKS_LINES; i++) {
		CHECK_TEXT(line(i, &f, &p)->name, names[i]);
		CHECK_EQ(lines[i].status, CHECK_OK);
	}
	expect(&lines[KUBELET], CHECK_OK, "v1.36.3");
	expect(&lines[RUNTIME], CHECK_OK, "containerd://2.3.7");
	expect(&lines[NRI], CHECK_OK, "containerd v2.3.7");
	expect(&lines[DRIVER], CHECK_OK, "cgroupfs, on cgroup v1");
	expect(&lines[MANAGER], CHECK_OK, "(0-1)");
}

TEST(the_kubelet_line_says_why_it_does_not_take_takt_dra)
{
	struct checks_facts f = all_well();
	struct pods p = one_container();

	f.one_claim = true;
	expect(line(KUBELET, &f, &p), CHECK_LIMITED, "one claim takes a whole one");
	f.connected = false;
	expect(line(KUBELET, &f, &p), CHECK_NO, "not connected any more");
	f.registered = false;
	expect(line(KUBELET, &f, &p), CHECK_NO, "no kubelet has registered takt-dra");
	f.refused = "a plugin of that name is there";
	expect(line(KUBELET, &f, &p), CHECK_NO, "a plugin of that name is there");
}

TEST(the_runtime_is_judged_by_its_version)
{
	static const struct {
		const char *version;
		enum check_status status;
	} rows[] = {
		{ "containerd://2.0.0", CHECK_OK },
		{ "containerd://2.3.7-rc.1", CHECK_OK },
		{ "containerd://1.7.27", CHECK_LIMITED },
		{ "containerd://1.6.36", CHECK_NO },
		{ "containerd://x", CHECK_NO },
		{ "cri-o://1.35.0", CHECK_OK },
		{ "cri-o://1.26.0", CHECK_OK },
		{ "cri-o://1.25.9", CHECK_NO },
		{ "docker://28.0.1", CHECK_LIMITED },
		{ "", CHECK_LIMITED },
	};
	struct checks_facts f = all_well();
	struct pods p = one_container();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		strcpy(f.runtime, rows[i].version);
		expect(line(RUNTIME, &f, &p), rows[i].status, rows[i].version);
	}
	strcpy(f.runtime, "containerd://1.7.27");
	CHECK(strstr(line(RUNTIME, &f, &p)->mend, "enable_cdi = true"));
	f.runtime[0] = '\0';
	strcpy(f.node_why, "nodes is forbidden");
	expect(line(RUNTIME, &f, &p), CHECK_LIMITED, "nodes is forbidden");
}

TEST(the_nri_line_says_what_is_lost_without_it)
{
	struct checks_facts f = all_well();
	struct pods p = one_container();

	f.nri_scheduler = false;
	expect(line(NRI, &f, &p), CHECK_LIMITED, "as soon as it has begun");
	f.nri_connected = false;
	f.nri_why = "no such file or directory";
	expect(line(NRI, &f, &p), CHECK_LIMITED, "/var/run/nri/nri.sock: no such file");
	f.nri_used = false;
	expect(line(NRI, &f, &p), CHECK_LIMITED, "not used");
}

TEST(the_cgroup_driver_is_what_the_cgroups_of_pods_are_named_by)
{
	struct checks_facts f = all_well();
	struct pods p = one_container();

	p.systemd = true;
	expect(line(DRIVER, &f, &p), CHECK_LIMITED, "both drivers");
	p.cgroupfs = p.v1 = false;
	expect(line(DRIVER, &f, &p), CHECK_OK, "systemd, on cgroup v2");
	p.systemd = false;
	expect(line(DRIVER, &f, &p), CHECK_LIMITED, "not known yet");
}

TEST(containers_with_a_part_of_the_cpus_are_named_and_counted)
{
	struct checks_facts f = all_well();
	struct pods p = one_container();

	p.n = PODS_CONTAINERS_MAX;
	for (int i = 1; i < PODS_CONTAINERS_MAX; i++)
		p.containers[i] =
			(struct pods_container){ .pid = i, .name = "db\x1b[31m", .cpus = "1" };
	expect(line(MANAGER, &f, &p), CHECK_LIMITED, "511 of 512 containers");
	expect(&lines[MANAGER], CHECK_LIMITED, "db?[31m(4) CPUs 1;");
	CHECK(!strstr(lines[MANAGER].detail, "(5)"));
	CHECK(strstr(lines[MANAGER].mend, "cpuManagerPolicy: none"));
}

TEST(a_node_object_tells_the_versions)
{
	cleanup_json json_t *node = json_pack("{s:{s:{s:s, s:s}}}", "status", "nodeInfo",
		"kubeletVersion", "v1.35.4", "containerRuntimeVersion", "cri-o://1.35.1");
	cleanup_json json_t *none = json_object();
	struct checks_facts f = { .registered = true };

	checks_read_node(none, &f);
	CHECK_TEXT(f.kubelet, "");
	checks_read_node(node, &f);
	checks_read_node(none, &f);
	CHECK_TEXT(f.kubelet, "v1.35.4");
	CHECK_TEXT(f.runtime, "cri-o://1.35.1");
}

TEST(lines_are_told_with_a_mend_only_where_there_is_one)
{
	struct checks_facts f = all_well();
	struct pods p = one_container();
	cleanup_json json_t *told = NULL;

	f.nri_used = false;
	line(0, &f, &p);
	told = checks_encode(lines, CHECKS_LINES);
	CHECK_EQ(json_array_size(told), CHECKS_LINES);
	CHECK(!json_object_get(json_array_get(told, KUBELET), "mend"));
	CHECK_TEXT(
		json_string_value(json_object_get(json_array_get(told, NRI), "status")), "limited");
	CHECK_TEXT(json_string_value(json_object_get(json_array_get(told, NRI), "mend")),
		"start takt-dra without --nri-socket none");
}
