// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include <linux/sched.h>

#include "base/cleanup.h"
#include "cluster/dra/pods.h"

#define UID "5f0c8e8e-3a51-4d7e-9b57-0d6f9f3a7c11"
#define UID_ "5f0c8e8e_3a51_4d7e_9b57_0d6f9f3a7c11"
#define POD_V1 "11:cpuset:/kubepods/besteffort/pod" UID "/"
#define POD_SYSTEMD \
	"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_ ".slice/"

static const char *status_of(const char *cpus)
{
	static char text[256];

	snprintf(text, sizeof(text),
		"Name:\tsleep\nUmask:\t0022\nCpus_allowed:\tf\nCpus_allowed_list:\t%s\n", cpus);
	return text;
}

static struct pods four_cpus(void)
{
	struct pods p = { .n = 0 };

	CHECK_EQ(cpus_parse("0-3", &p.all, NULL), 0);
	return p;
}

TEST(a_pods_process_is_told_by_its_cgroup_of_either_driver)
{
	CHECK(pods_has("12:name=systemd:/\n" POD_V1 "c1\n0::/\n"));
	CHECK(pods_has(POD_SYSTEMD "cri-containerd-c1.scope\n"));
	CHECK(pods_has("0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" UID_
		       ".slice/cri-containerd-c1.scope\n"));
	/* A static pod's uid has no '-'. */
	CHECK(pods_has("0::/kubepods/pod0123456789abcdef0123456789abcdef/c1\n"));
	CHECK(!pods_has("0::/system.slice/containerd.service\n"));
	CHECK(!pods_has("0::/machine.slice/libpod-0123456789abcdef0123456789abcdef.scope\n"));
	CHECK(!pods_has("0::/user.slice/podman\n"));
	CHECK(!pods_has("0::/\n"));
	CHECK(!pods_has(""));
	CHECK(!pods_has("pod" UID));
}

/* In a cgroup namespace what is above the own cgroup's parents is not shown. */
TEST(a_pods_process_is_told_from_within_a_cgroup_namespace_too)
{
	struct pods p = four_cpus();

	pods_see(&p, 7, "0::/../../kubepods-besteffort-pod" UID_ ".slice/cri-containerd-c1.scope\n",
		status_of("0-3"), SCHED_NORMAL);
	CHECK(p.systemd && !p.cgroupfs && !p.v1);
	CHECK_EQ(p.n, 1);
	p = four_cpus();
	pods_see(&p, 7, "0::/../../pod" UID "/c1\n", status_of("0-3"), SCHED_NORMAL);
	CHECK(!p.systemd && p.cgroupfs && !p.v1);
}

TEST(cgroup_v1_is_seen_where_the_pod_is_in_one_of_its_hierarchies)
{
	struct pods p = four_cpus();

	pods_see(&p, 7, "0::/\n" POD_V1 "c1\n", status_of("0-3"), SCHED_NORMAL);
	CHECK(p.v1 && p.cgroupfs);
}

TEST(a_container_is_narrow_when_none_of_its_processes_may_use_all_cpus)
{
	struct pods p = four_cpus();

	pods_see(&p, 7, POD_V1 "c1\n", status_of("2"), SCHED_NORMAL);
	pods_see(&p, 8, POD_V1 "c1/child\n", status_of("1-2"), SCHED_NORMAL);
	CHECK_EQ(p.n, 1);
	CHECK(!p.containers[0].wide);
	CHECK_EQ(p.containers[0].pid, 7);
	CHECK_TEXT(p.containers[0].name, "sleep");
	CHECK_TEXT(p.containers[0].cpus, "2");
	pods_see(&p, 9, POD_V1 "c2\n", status_of("2"), SCHED_NORMAL);
	CHECK_EQ(p.n, 2);
	/* One that chose its CPUs itself is not alone. */
	pods_see(&p, 10, POD_V1 "c2\n", status_of("0-7"), SCHED_NORMAL);
	CHECK(p.containers[1].wide);
	CHECK(!p.containers[0].wide);
}

TEST(a_thread_that_taktd_pinned_makes_no_container_narrow)
{
	struct pods p = four_cpus();

	/* taktd and the runtime set the policy with this flag, always. */
	pods_see(&p, 7, POD_V1 "c1\n", status_of("2"), SCHED_DEADLINE | SCHED_RESET_ON_FORK);
	pods_see(&p, 8, POD_V1 "c1\n", status_of("2"), SCHED_NORMAL);
	CHECK(p.containers[0].wide);
	pods_see(&p, 9, POD_V1 "c2\n", status_of("2"), SCHED_DEADLINE);
	CHECK(p.containers[1].wide);
}

TEST(another_policy_with_the_same_flag_or_a_process_that_has_gone_is_not_taktds)
{
	static const int others[] = { SCHED_RESET_ON_FORK, SCHED_FIFO | SCHED_RESET_ON_FORK, -1 };
	struct pods p = four_cpus();

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		pods_see(&p, 7, POD_V1 "c1\n", status_of("2"), others[i]);
	CHECK(!p.containers[0].wide);
}

TEST(what_is_no_pods_process_or_no_status_adds_nothing)
{
	struct pods p = four_cpus();

	pods_see(&p, 7, "0::/system.slice\n", status_of("2"), SCHED_NORMAL);
	pods_see(&p, 7, POD_V1 "c1\n", "", SCHED_NORMAL);
	pods_see(&p, 7, POD_V1 "c1\n", status_of("x"), SCHED_NORMAL);
	pods_see(&p, 7, POD_V1 "c1\n", status_of("4096"), SCHED_NORMAL);
	CHECK_EQ(p.n, 0);
	CHECK(!p.cgroupfs);
}

TEST(more_containers_than_there_is_room_for_are_passed_over)
{
	struct pods p = four_cpus();
	char cgroup[256];

	for (int i = 0; i < PODS_CONTAINERS_MAX + 9; i++) {
		snprintf(cgroup, sizeof(cgroup), POD_V1 "c%d\n", i);
		pods_see(&p, i + 1, cgroup, status_of("2"), SCHED_NORMAL);
	}
	CHECK_EQ(p.n, PODS_CONTAINERS_MAX);
	CHECK_EQ(p.containers[0].pid, 1);
}
