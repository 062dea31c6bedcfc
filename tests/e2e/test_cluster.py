# SPDX-License-Identifier: Apache-2.0
"""The cluster that the other end-to-end tests stand on: it is a real one, it can be broken and
mended part by part, and it leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from cluster import BUSYBOX, STATE, Kubectl, wait_until
from e2e import NODE, Case, Cluster, NodeCase, built, pod, root, test, wait_for
from machine import SYSCTLS
from programs import cache

COMMAND = [sys.executable, str(Path(__file__).resolve().parent / "cluster")]
DRIVER = "rt.takt.dev"

DEVICE_CLASS = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "DeviceClass",
    "metadata": {"name": DRIVER},
    "spec": {"selectors": [{"cel": {"expression": f"device.driver == '{DRIVER}'"}}]},
}
SLICE = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "ResourceSlice",
    "metadata": {"name": "test-slice"},
    "spec": {
        "driver": DRIVER,
        "nodeName": NODE,
        "pool": {"name": NODE, "generation": 1, "resourceSliceCount": 1},
        "devices": [
            {
                "name": "shared",
                "allowMultipleAllocations": True,
                "capacity": {
                    "bandwidth": {
                        "value": "950000",
                        "requestPolicy": {"default": "0", "validRange": {"min": "0"}},
                    }
                },
            }
        ],
    },
}


def claim(name, bandwidth):
    exactly = {
        "deviceClassName": DRIVER,
        "capacity": {"requests": {"bandwidth": str(bandwidth)}},
    }
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaim",
        "metadata": {"name": name},
        "spec": {"devices": {"requests": [{"name": "rt", "exactly": exactly}]}},
    }


def claiming_pod(name, claim_name):
    made = pod(name, ["sleep", "1000"])
    made["spec"]["resourceClaims"] = [{"name": "rt", "resourceClaimName": claim_name}]
    made["spec"]["containers"][0]["resources"] = {"claims": [{"name": "rt"}]}
    return made


class Node(NodeCase):
    @test
    def the_node_is_ready_and_has_the_versions_that_were_asked_for(self):
        info = self.cluster.get("node", NODE)["status"]["nodeInfo"]
        self.assertEqual(info["kubeletVersion"], f"v{self.cluster.kubernetes}")
        containerd = self.cluster.sources["containerd"].version
        self.assertTrue(info["containerRuntimeVersion"].startswith(f"containerd://{containerd}"))
        self.assertEqual([n for n, pid in self.cluster.status().items() if not pid], [])

    @test
    def a_pod_runs_and_its_logs_and_exec_work(self):
        self.running_pod("speaker", ["sh", "-c", "echo a word; sleep 1000"])
        self.assertEqual(self.logs("speaker"), "a word\n")
        self.assertEqual(self.cluster.kubectl("exec", "speaker", "--", "echo", "b"), "b\n")

    @test
    def a_pod_reaches_the_api_server_at_the_service_address(self):
        script = 'nc -w 5 $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT </dev/null && echo open'
        self.apply(pod("caller", ["sh", "-c", script], restartPolicy="Never"))
        self.cluster.wait("pod/caller", "jsonpath={.status.phase}=Succeeded")
        self.assertEqual(self.logs("caller"), "open\n")

    @test
    def an_image_is_made_of_a_few_files(self):
        files = {"bin/busybox": Path("/usr/bin/busybox"), "etc/word": b"from the image\n"}
        image = self.cluster.image("localhost/word:1", files)
        self.addCleanup(self.cluster.ctr, "images", "remove", image)
        command = ["/bin/busybox", "cat", "/etc/word"]
        self.apply(pod("reader", command, image=image, restartPolicy="Never"))
        self.cluster.wait("pod/reader", "jsonpath={.status.phase}=Succeeded")
        self.assertEqual(self.logs("reader"), "from the image\n")

    @test
    def a_claim_is_allocated_by_the_stock_scheduler_and_waits_for_its_driver(self):
        self.apply(DEVICE_CLASS, SLICE, claim("share", 200000), claiming_pod("waiter", "share"))

        def allocated():
            status = self.cluster.get("resourceclaim", "share").get("status", {})
            return status.get("allocation", {}).get("devices", {}).get("results")

        result = wait_until("the claim is allocated", allocated)[0]
        self.assertEqual((result["driver"], result["device"]), (DRIVER, "shared"))
        self.assertEqual(result["consumedCapacity"], {"bandwidth": "200k"})
        self.assertTrue(result["shareID"])
        sentence = f"DRA driver {DRIVER} is not registered"
        wait_until(
            "the pod waits for the driver",
            lambda: any(sentence in e for e in self.cluster.events_of("waiter")),
        )

    @test
    def a_claim_beyond_the_capacity_is_not_allocated(self):
        self.apply(DEVICE_CLASS, SLICE, claim("large", 950001), claiming_pod("homeless", "large"))
        sentence = "cannot allocate all claims"
        wait_until(
            "the scheduler says so",
            lambda: any(sentence in e for e in self.cluster.events_of("homeless")),
        )
        large = self.cluster.get("resourceclaim", "large")
        self.assertNotIn("allocation", large.get("status", {}))

    @test
    def a_running_pod_survives_a_restart_of_the_kubelet(self):
        process = self.running_pod("steady")
        self.cluster.restart("kubelet")
        self.running_pod("later")
        self.expect_untouched("steady", process)

    @test
    def a_running_pod_survives_a_restart_of_containerd(self):
        process = self.running_pod("steady")
        self.cluster.restart("containerd")
        self.running_pod("later")
        self.expect_untouched("steady", process)
        said = self.cluster.kubectl("exec", "steady", "--", "echo", "still here")
        self.assertEqual(said, "still here\n")

    @test
    def a_running_pod_survives_a_restart_of_the_api_server(self):
        process = self.running_pod("steady")
        self.cluster.kill("kube-apiserver", signal.SIGTERM)
        with self.assertRaises(Kubectl):
            self.cluster.kubectl("get", "pods", "--request-timeout=2s")
        self.cluster.run("kube-apiserver")
        self.running_pod("later")
        self.expect_untouched("steady", process)


# What a cluster changes on a machine.
FOLDERS = ("/etc", "/opt", "/run", "/var/lib", "/var/log", "/var/run/cdi", "/opt/cni", "/etc/cni")


def _output(*words):
    return subprocess.run(words, capture_output=True, text=True).stdout.splitlines()


def _links(kind):
    """The namespaces of that kind that processes are in."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            found.add(os.readlink(entry / "ns" / kind))
        except OSError:
            continue
    return found


def _our_processes():
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            exe = os.readlink(entry / "exe")
            words = (entry / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
        if exe.startswith(str(cache())) or str(STATE) in words:
            found.add(f"process {entry.name}: {words}")
    return found


def _rules():
    """iptables' rules without the numbers of packets and the time."""
    lines = [*_output("iptables-save"), *_output("ip6tables-save")]
    return {line.split("[")[0] for line in lines if not line.startswith("#")}


def traces():
    """Everything that a cluster could leave on the machine, as a set of sentences."""
    found = _our_processes()
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        found.add(f"mount {line.split()[4]}")
    for kind in ("net", "mnt"):
        found.update(f"namespace {link}" for link in _links(kind))
    for what in ("link", "addr", "route"):
        for entry in json.loads("".join(_output("ip", "-j", what, "show")) or "[]"):
            keys = ("ifname", "dst", "dev")
            addresses = [a.get("local") for a in entry.get("addr_info", ())]
            found.add(f"{what} {[entry.get(k) for k in keys]} {addresses}")
    found.update(f"rule {line}" for line in _rules())
    for folder in map(Path, FOLDERS):
        if folder.is_dir():
            found.update(f"file {path}" for path in folder.iterdir())
    for name in SYSCTLS:
        found.add(f"{name} = {Path('/proc/sys', name).read_text().strip()}")
    return found


class Down(Case):
    """The case itself looks for cgroups that were not there before."""

    needs = (root, built)

    def setUp(self):
        super().setUp()
        self.before = traces()

    def expect_no_trace(self):
        left = []

        def clean():
            now = traces()
            gone = {what for what in self.before - now if not what.startswith("namespace")}
            left[:] = [*sorted(now - self.before), *(f"gone: {what}" for what in sorted(gone))]
            return not left

        try:
            wait_for("the machine is as it was", clean, seconds=60)
        except AssertionError:
            raise AssertionError("the cluster changed: " + "; ".join(left)) from None

    @test
    def after_down_nothing_of_a_cluster_with_running_pods_is_left(self):
        cluster = Cluster(self).start()
        cluster.apply(pod("first", ["sleep", "1000"]), pod("second", ["sleep", "1000"]))
        cluster.wait("pod/first", "condition=Ready")
        cluster.wait("pod/second", "condition=Ready")
        self.assertTrue(traces() - self.before)
        cluster.down()
        self.expect_no_trace()

    @test
    def after_down_nothing_of_a_start_that_was_killed_is_left(self):
        for part in ("etcd", "kube-apiserver", "kubelet"):
            with self.subTest(killed_at=part):
                self.addCleanup(Cluster().down)
                up = subprocess.Popen([*COMMAND, "up"], stdout=subprocess.DEVNULL)
                pid_file = STATE / "pid" / part
                wait_for(f"{part} starts", pid_file.exists, seconds=300)
                up.kill()
                up.wait()
                subprocess.run([*COMMAND, "down"], check=True)
                self.expect_no_trace()

    @test
    def a_second_cluster_is_refused_and_the_first_goes_on(self):
        cluster = Cluster(self).start()
        second = subprocess.run([*COMMAND, "up"], capture_output=True, text=True)
        self.assertEqual(second.returncode, 1)
        self.assertIn("a cluster is there already", second.stderr)
        self.assertEqual([n for n, pid in cluster.status().items() if not pid], [])
        cluster.apply(pod("later", ["sleep", "1000"], image=BUSYBOX))
        cluster.wait("pod/later", "condition=Ready")
