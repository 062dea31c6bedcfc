# SPDX-License-Identifier: Apache-2.0
"""Takt as a user installs it on a real node: the image is built here, the chart does the rest, and the
YAML is as small as the one in the README."""

import os
from pathlib import Path

import chart
from agent import Varlink
from chart import NAMESPACE
from cluster import wait_until
from e2e import NODE, NodeCase, test
from harness import MS, SCHED_DEADLINE, connector, deadline, sched_getattr
from images import busybox
from processes import start_time
from programs import source

DRIVER = "rt.takt.dev"
HOOK = "/var/lib/takt/bin/takt-hook"
SYS_NICE, NET_ADMIN = 1 << 23, 1 << 12  # include/uapi/linux/capability.h


def helm_built():
    """Probe: helm is on this machine."""
    folder = source("helm").folder()
    return None if folder.exists() else f"{folder} is missing: run tests/e2e/build helm"


class Node(NodeCase):
    """A cluster on which chart and image can be installed."""

    needs = (*NodeCase.needs, deadline, connector, helm_built)

    def prepare_cluster(self):
        files, links = busybox()
        self.cluster.image(chart.EXAMPLE_IMAGE, files, links, command=("sh",))

    # What is there

    def pods(self):
        return self.cluster.get("pods", namespace=NAMESPACE)

    def slices(self):
        return [s for s in self.cluster.get("resourceslices") if s["spec"]["driver"] == DRIVER]

    def host(self, path):
        return Path(self.cluster.node_path(path))

    def reservations(self):
        with Varlink(self.host("/run/takt/takt.sock")) as door:
            return door.call("List")["reservations"]

    def processes(self, pod, namespace="default"):
        """Container -> the host's pid of its first process."""
        found = {}
        tasks = [line.split() for line in self.cluster.ctr("tasks", "list").splitlines()]
        for status in self.cluster.get("pod", pod, namespace)["status"]["containerStatuses"]:
            name = status["containerID"].removeprefix("containerd://")
            found[status["name"]] = next(int(task[1]) for task in tasks if task[0] == name)
        return found

    # What must come true

    def expect_under(self, pid, runtime, period):
        def under():
            now = sched_getattr(pid)
            return (now.policy, now.runtime, now.period) == (SCHED_DEADLINE, runtime, period)

        wait_until(f"process {pid} is under its reservation", under, 10)

    def expect_nothing_promised(self):
        wait_until("all is released", lambda: not self.reservations(), 30)

    def apply_example(self, name):
        """Applies the file as it is, waits for its pod; it is deleted when the test ends."""
        path = chart.EXAMPLES / f"{name}.yaml"
        delete = ["delete", "--ignore-not-found", "--wait", "--grace-period=1", "-f", str(path)]
        self.addCleanup(self.cluster.kubectl, *delete)
        self.cluster.kubectl("apply", "-f", str(path))
        pod = self._pod_of(path)
        try:
            self.cluster.wait(f"pod/{pod}", "condition=Ready", 60)
        except Exception:
            print(f"# events: {self.cluster.events_of(pod)}", flush=True)
            raise
        return pod

    @staticmethod
    def _pod_of(path):
        document = path.read_text().partition("kind: Pod\n")[2]
        return document.partition("name: ")[2].split()[0]


class Installed(Node):
    def prepare_cluster(self):
        super().prepare_cluster()
        chart.install(self.cluster)

    @test
    def one_pod_runs_on_the_node_with_two_containers_and_its_slice_is_published(self):
        (pod,) = self.pods()
        status = pod["status"]["containerStatuses"]
        self.assertEqual({s["name"]: s["ready"] for s in status}, {"taktd": True, "takt-dra": True})
        self.assertEqual([s["restartCount"] for s in status], [0, 0])
        wait_until("its slice is published", self.slices, 20)
        (one,) = self.slices()
        self.assertEqual(one["spec"]["nodeName"], NODE)
        self.assertTrue(os.access(self.host(HOOK), os.X_OK))

    @test
    def no_container_is_privileged_and_takt_dra_has_no_capability_at_all(self):
        (pod,) = self.pods()
        wanted = {"taktd": SYS_NICE | NET_ADMIN, "takt-dra": 0}
        for name, pid in self.processes(pod["metadata"]["name"], NAMESPACE).items():
            text = Path(f"/proc/{pid}/status").read_text()
            status = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
            for held in ("CapPrm", "CapEff", "CapBnd"):
                self.assertEqual(int(status[held], 16), wanted[name], f"{name} {held}")
            self.assertEqual(status["NoNewPrivs"], "1", name)
            self.assertEqual(status["Seccomp"], "2", name)

    @test
    def the_small_yaml_runs_a_pod_under_sched_deadline_until_it_ends(self):
        pod = self.apply_example("template")
        pid = self.processes(pod)["main"]
        self.expect_under(pid, 4 * MS, 20 * MS)
        (resv,) = self.reservations()
        self.assertEqual((resv["state"], resv["guarantee"]), ("active", "hard"))
        self.cluster.kubectl("delete", "pod", pod, "--grace-period=1")
        self.expect_nothing_promised()
        self.assertIsNone(start_time(pid))

    @test
    def a_claim_by_name_serves_the_next_pod_too(self):
        pod = self.apply_example("claim")
        self.expect_under(self.processes(pod)["main"], 2 * MS, 20 * MS)
        self.cluster.kubectl("delete", "pod", pod, "--grace-period=1")
        pod = self.apply_example("claim")
        self.expect_under(self.processes(pod)["main"], 2 * MS, 20 * MS)

    @test
    def two_containers_have_reservations_of_their_own_out_of_one_claim(self):
        processes = self.processes(self.apply_example("two-containers"))
        self.expect_under(processes["left"], 2 * MS, 50 * MS)
        self.expect_under(processes["right"], 3 * MS, 50 * MS)

    @test
    def two_containers_share_one_claim(self):
        for pid in self.processes(self.apply_example("shared-claim")).values():
            self.expect_under(pid, 2 * MS, 20 * MS)

    @test
    def two_threads_of_a_container_hold_two_cores(self):
        pid = self.processes(self.apply_example("multi-core"))["main"]
        self.expect_under(pid, 2 * MS, 20 * MS)
        (resv,) = self.reservations()
        self.assertEqual((resv["cores"], len(resv["threads"])), (2, 2))

    @test
    def a_soft_claim_runs(self):
        pid = self.processes(self.apply_example("soft"))["main"]
        self.expect_under(pid, 2500000, 10 * MS)
        self.assertEqual([r["guarantee"] for r in self.reservations()], ["soft"])

    @test
    def a_running_pod_keeps_its_reservation_while_the_daemonset_is_replaced(self):
        pod = self.apply_example("template")
        pid = self.processes(pod)["main"]
        self.expect_under(pid, 4 * MS, 20 * MS)
        began, (old,) = start_time(pid), self.pods()
        words = ["--namespace", NAMESPACE, "daemonset/takt"]
        self.cluster.kubectl("rollout", "restart", *words)
        self.cluster.kubectl("rollout", "status", "--timeout=90s", *words)
        (new,) = self.pods()
        self.assertNotEqual(new["metadata"]["uid"], old["metadata"]["uid"])
        self.assertEqual([s["restartCount"] for s in new["status"]["containerStatuses"]], [0, 0])
        self.assertEqual(start_time(pid), began)
        self.expect_under(pid, 4 * MS, 20 * MS)
        self.assertEqual([r["state"] for r in self.reservations()], ["active"])
        self.assertTrue(os.access(self.host(HOOK), os.X_OK))


class Uninstalled(Node):
    @test
    def nothing_is_left_where_takt_was_installed_used_and_uninstalled(self):
        before = {k: self.cluster.get(k) for k in ("deviceclasses", "clusterroles")}
        chart.install(self.cluster)
        self.addCleanup(self.cluster.kubectl, "delete", "namespace", NAMESPACE)
        pod = self.apply_example("template")
        self.expect_under(self.processes(pod)["main"], 4 * MS, 20 * MS)
        self.cluster.kubectl("delete", "pod", pod, "--grace-period=1")
        self.expect_nothing_promised()
        chart.uninstall(self.cluster)
        # The kubelet takes the slices away when no plugin was there for 30 s.
        wait_until("the slices are gone", lambda: not self.slices(), 60)
        wait_until("the pod is gone", lambda: not self.pods(), 30)
        for kind, objects in before.items():
            names = {o["metadata"]["name"] for o in self.cluster.get(kind)}
            self.assertEqual(names, {o["metadata"]["name"] for o in objects})
        policies = [
            *self.cluster.get("validatingadmissionpolicies"),
            *self.cluster.get("validatingadmissionpolicybindings"),
            *self.cluster.get("mutatingadmissionpolicies"),
            *self.cluster.get("mutatingadmissionpolicybindings"),
        ]
        self.assertEqual([p["metadata"]["name"] for p in policies if DRIVER in str(p)], [])
        plugins = "/var/lib/kubelet/plugins"
        left = {
            *self.host("/run/cdi").glob("*"),
            *self.host("/run/takt").rglob("*.sock"),
            *self.host(f"{plugins}_registry").glob("*"),
            *self.host(plugins).rglob("*.sock"),
            *self.host(HOOK).parent.glob("*"),
        }
        self.assertEqual(left, set())
