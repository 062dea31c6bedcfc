# SPDX-License-Identifier: Apache-2.0
"""Takt as a user installs it on a real node: the image is built here, the chart does the rest, and the
YAML is as small as the one in the README."""

import os
import subprocess
import sys
import time
from pathlib import Path

import chart
from agent import build_folder
from chart import NAMESPACE
from cluster import Kubectl, wait_until
from e2e import NODE, Case, root, test
from harness import MS, podman
from installed import DRIVER, Installed, TaktNode
from processes import start_time
from takt_node import claim, claiming_pod, template

HOOK = "/var/lib/takt/bin/takt-hook"
KUBELET = "/var/lib/kubelet"
DAEMONSET = ("--namespace", NAMESPACE, "daemonset/takt")
POD_SECONDS = 1.5  # between two that are created during an update
SYS_NICE, NET_ADMIN = 1 << 23, 1 << 12  # include/uapi/linux/capability.h


def events_without_net_admin():
    """Whether this kernel tells of process events without CAP_NET_ADMIN, as from 6.6 on."""
    ask = f"import sys; sys.path[:0] = {sys.path}; import harness; sys.exit(harness.connector())"
    words = ["setpriv", "--bounding-set", "-net_admin", "--", sys.executable, "-c", ask]
    return subprocess.run(words, capture_output=True).returncode == 0


class Image(Case):
    needs = (root, podman)

    def run_in(self, image, *command):
        limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]
        words = ["podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs", "run", "--rm"]
        words += ["--network", "none", "--read-only", "--cap-drop", "all", *limits]
        done = subprocess.run([*words, image, *command], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    @test
    def podman_takes_it_too_and_every_program_in_it_starts(self):
        name, tar = f"localhost/takt-test-{os.getpid()}:1", Path(self.folder(), "takt.tar")
        build = [chart.ROOT / "tools" / "build-image", "--build", build_folder(), "--name", name]
        subprocess.run([*build, tar], check=True, capture_output=True)
        self.assertLess(tar.stat().st_size, 20 << 20)
        self.addCleanup(subprocess.run, ["podman", "rmi", name], capture_output=True)
        subprocess.run(["podman", "load", "--input", tar], check=True, capture_output=True)
        for program in ("sbin/taktd", "sbin/takt-dra", "bin/takt", "libexec/takt/takt-hook"):
            with self.subTest(program):
                shown = self.run_in(name, f"/usr/{program}", "--version")
                self.assertTrue(shown.startswith(Path(program).name), shown)


class Use(Installed):
    @test
    def one_pod_runs_on_the_node_with_two_containers_and_its_slice_is_published(self):
        (pod,) = self.pods()
        status = pod["status"]["containerStatuses"]
        self.assertEqual({s["name"]: s["ready"] for s in status}, {"taktd": True, "takt-dra": True})
        self.assertEqual([s["restartCount"] for s in status], [0, 0])
        wait_until("its slice is published", self.slices)
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
        wait_until("it is active", lambda: self.reservations()[0]["state"] == "active")
        (resv,) = self.reservations()
        self.assertEqual(resv["guarantee"], "hard")
        self.cluster.kubectl("delete", "pod", pod, "--grace-period=1")
        self.expect_nothing_promised()
        self.assertIsNone(start_time(pid))
        (own,) = self.pods()
        words = ["--namespace", NAMESPACE, own["metadata"]["name"], "--container=takt-dra"]
        self.assertNotIn("forbidden", self.cluster.kubectl("logs", *words))

    @test
    def a_claim_that_means_no_reservation_is_refused_when_it_is_applied(self):
        longer = claim("longer", 200000, runtime="30ms", period="20ms")
        with self.assertRaisesRegex(Kubectl, "denied request: .*runtime"):
            self.apply(longer)

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
        wait_until(
            "both are under it", lambda: [len(r["threads"]) for r in self.reservations()] == [2]
        )
        (resv,) = self.reservations()
        self.assertEqual(resv["cores"], 2)

    @test
    def a_soft_claim_runs(self):
        pid = self.processes(self.apply_example("soft"))["main"]
        self.expect_under(pid, 2500000, 10 * MS)
        self.assertEqual([r["guarantee"] for r in self.reservations()], ["soft"])


class Replacement(TaktNode):
    """Each test installs and uninstalls, and taktd has the one capability that it needs."""

    def install(self):
        self.addCleanup(self.cluster.kubectl, "delete", "namespace", NAMESPACE)
        needs_net_admin = str(not events_without_net_admin()).lower()
        print(f"# CAP_NET_ADMIN for taktd: {needs_net_admin}", flush=True)
        chart.install(self.cluster, "--set", f"taktd.netAdmin={needs_net_admin}")

    @test
    def a_running_pod_keeps_its_reservation_while_the_daemonset_is_replaced(self):
        self.install()
        self.addCleanup(chart.uninstall, self.cluster)
        pod = self.apply_example("template")
        pid = self.processes(pod)["main"]
        self.expect_under(pid, 4 * MS, 20 * MS)
        began, (old,) = start_time(pid), self.pods()
        (slice_before,) = wait_until("its slice is published", self.slices)
        with self.always_under(pid, 4 * MS, 20 * MS):
            self.cluster.kubectl("rollout", "restart", *DAEMONSET)
            self.expect_updated(old)
        self.assertEqual(start_time(pid), began)
        self.expect_under(pid, 4 * MS, 20 * MS)
        self.assertEqual([r["state"] for r in self.reservations()], ["active"])
        (slice_after,) = self.slices()
        self.assertEqual(slice_after["metadata"]["uid"], slice_before["metadata"]["uid"])

    @test
    def pods_that_are_created_all_through_an_update_start(self):
        self.install()
        self.addCleanup(chart.uninstall, self.cluster)
        (old,) = self.pods()
        wait_until("its slice is published", self.slices)
        self.apply(template("rt", 20000, runtime="1ms", period="50ms", guarantee="soft"))
        self.cluster.kubectl("rollout", "restart", *DAEMONSET)
        names = self.pods_while_there_is(old)
        for name in names:
            self.cluster.wait(f"pod/{name}", "condition=Ready")
            self.expect_under(self.processes(name)["main"], MS, 50 * MS)
        print(f"# {len(names)} pods, restarts of their containers: {self.restarts(names)}")
        self.expect_updated(old)
        self.assertEqual(len(self.reservations()), len(names))
        self.cluster.kubectl("delete", "pod", "--grace-period=1", *names)
        self.expect_nothing_promised()

    def pods_while_there_is(self, old):
        """Creates pods with a claim each until that one has gone, and one more; their names."""
        names, last = [], False
        while not last:
            last = old["metadata"]["uid"] not in {p["metadata"]["uid"] for p in self.pods()}
            names.append(f"pod-{len(names)}")
            self.apply(claiming_pod(names[-1], "rt", source="resourceClaimTemplateName"))
            time.sleep(POD_SECONDS)
        return names

    def restarts(self, names):
        found = [self.cluster.containers_of(n)[0] for n in names]
        return [s["restartCount"] for s in found]

    def expect_updated(self, old):
        """One new pod has taken over from that one, of which nothing is left."""
        self.cluster.kubectl("rollout", "status", "--timeout=300s", *DAEMONSET)
        wait_until("the old pod is gone", lambda: len(self.pods()) == 1)
        (new,) = self.pods()
        uid = new["metadata"]["uid"]
        self.assertNotEqual(uid, old["metadata"]["uid"])
        self.assertEqual([s["restartCount"] for s in new["status"]["containerStatuses"]], [0, 0])
        sockets = {p.name for p in self.host(f"{KUBELET}/plugins_registry").iterdir()}
        self.assertEqual(sockets, {f"{DRIVER}-{uid}-reg.sock"})
        sockets = {p.name for p in self.host(f"{KUBELET}/plugins/{DRIVER}").iterdir()}
        self.assertEqual(sockets, {f"dra-{uid}.sock"})
        self.assertTrue(os.access(self.host(HOOK), os.X_OK))
        self.assertEqual(len(self.slices()), 1)

    @test
    def nothing_is_left_where_takt_was_installed_used_and_uninstalled(self):
        before = {k: self.cluster.get(k) for k in ("deviceclasses", "clusterroles")}
        self.install()
        pod = self.apply_example("template")
        self.expect_under(self.processes(pod)["main"], 4 * MS, 20 * MS)
        self.cluster.kubectl("delete", "pod", pod, "--grace-period=1")
        self.expect_nothing_promised()
        chart.uninstall(self.cluster)
        # The kubelet takes the slices away when no plugin was there for 30 s.
        wait_until("the slices are gone", lambda: not self.slices())
        wait_until("the pod is gone", lambda: not self.pods())
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
        plugins = f"{KUBELET}/plugins"
        left = {
            *self.host("/run/cdi").glob("*"),
            *self.host("/run/takt").rglob("*.sock"),
            *self.host(f"{plugins}_registry").glob("*"),
            *self.host(plugins).rglob("*.sock"),
            *self.host(HOOK).parent.glob("*"),
        }
        self.assertEqual(left, set())
