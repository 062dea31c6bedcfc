# SPDX-License-Identifier: Apache-2.0
"""Claims on a real node: the stock scheduler allocates, the real kubelet and containerd start the
pod, and its program runs under SCHED_DEADLINE."""

import os
import signal
import subprocess
import time

from agent import Varlink, program
from cluster import wait_until
from e2e import NODE, NodeCase, pod, test
from harness import MS, SCHED_DEADLINE, connector, deadline, sched_getattr

DRIVER = "rt.takt.dev"
SLICES = "resourceslices.resource.k8s.io"
DEVICE_CLASS = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "DeviceClass",
    "metadata": {"name": DRIVER},
    "spec": {
        "selectors": [{"cel": {"expression": f"device.driver == '{DRIVER}'"}}],
        "config": [{"opaque": {"driver": DRIVER, "parameters": {"guarantee": "soft"}}}],
    },
}


def claim(name, bandwidth, **parameters):
    exactly = {
        "deviceClassName": DRIVER,
        "capacity": {"requests": {"bandwidth": str(bandwidth)}},
    }
    config = {"opaque": {"driver": DRIVER, "parameters": parameters}}
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaim",
        "metadata": {"name": name},
        "spec": {"devices": {"requests": [{"name": "rt", "exactly": exactly}], "config": [config]}},
    }


def claiming_pod(name, claim_name):
    made = pod(name, ["sleep", "1000"])
    made["spec"]["resourceClaims"] = [{"name": "rt", "resourceClaimName": claim_name}]
    made["spec"]["containers"][0]["resources"] = {"claims": [{"name": "rt"}]}
    return made


class Programs:
    """taktd and takt-dra on the node, with its mounts."""

    def __init__(self, case):
        self.case, self.cluster = case, case.cluster
        self.folder = self.cluster.state / "takt"
        self.folder.mkdir(exist_ok=True)
        self.socket = self.folder / "takt.sock"
        self.running = {}
        case.addCleanup(self.end)

    def start(self, name, *words):
        command = self.cluster.inside([program(name), "--socket", self.socket, *words])
        log = open(self.cluster.state / "logs" / f"{name}.log", "a")
        self.running[name] = subprocess.Popen(command, stdout=log, stderr=log)
        log.close()

    def start_taktd(self):
        hook = program("takt-hook")
        self.start("taktd", "--state-dir", self.folder / "state", "--hook", hook)
        wait_until("taktd answers", self.socket.exists, 20)

    def start_dra(self):
        self.start("takt-dra", "--node", NODE, "--kubeconfig", self.cluster.kubeconfig)
        wait_until("its slice is published", self.slice, 20)

    def stop(self, name, number=signal.SIGTERM):
        self.running[name].send_signal(number)
        self.running.pop(name).wait(20)

    def end(self):
        for name in ("takt-dra", "taktd"):
            if name in self.running:
                self.stop(name)
        self.cluster.delete(f"{SLICES}/{NODE}-{DRIVER}")

    def slice(self):
        found = [s for s in self.cluster.get(SLICES) if s["spec"]["driver"] == DRIVER]
        return found[0] if found else None

    def reservations(self):
        with Varlink(self.socket) as door:
            return {r["name"]: r for r in door.call("List")["reservations"]}


class Claims(NodeCase):
    needs = (*NodeCase.needs, deadline, connector)

    def setUp(self):
        super().setUp()
        self.takt = Programs(self)
        self.takt.start_taktd()
        self.takt.start_dra()
        self.apply(DEVICE_CLASS)

    def start(self, name, bandwidth=200000, **parameters):
        """A pod with a claim of its own, and the pid of its program."""
        self.apply(claim(f"{name}-rt", bandwidth, **parameters), claiming_pod(name, f"{name}-rt"))
        self.cluster.wait(f"pod/{name}", "condition=Ready")
        return self.process_of(name)

    def expect_under(self, pid, runtime, period):
        def under():
            now = sched_getattr(pid)
            return (now.policy, now.runtime, now.period) == (SCHED_DEADLINE, runtime, period)

        wait_until("the program is under its reservation", under, 5)

    def expect_nothing_promised(self):
        wait_until("all is released", lambda: not self.takt.reservations(), 20)

    @test
    def a_pod_with_a_claim_runs_under_sched_deadline_and_gives_back_when_it_ends(self):
        process = self.start("camera", runtime="4ms", period="20ms")
        self.expect_under(process[0], 4 * MS, 20 * MS)
        uid = self.cluster.get("resourceclaim", "camera-rt")["metadata"]["uid"]
        resv = self.takt.reservations()[f"camera-rt.{uid}"]
        self.assertEqual((resv["state"], resv["guarantee"]), ("active", "soft"))
        self.cluster.delete("pod/camera")
        self.expect_nothing_promised()
        self.assertFalse(os.path.exists(f"/proc/{process[0]}"))

    @test
    def a_claim_whose_parameters_need_more_than_it_asked_for_says_so_on_the_pod(self):
        self.apply(claim("greedy", 100000, runtime="4ms", period="20ms"))
        self.apply(claiming_pod("greedy", "greedy"))
        wait_until(
            "the pod tells why",
            lambda: any("need 200000 millionths" in e for e in self.cluster.events_of("greedy")),
            60,
        )
        self.assertEqual(self.takt.reservations(), {})

    @test
    def a_slice_that_is_taken_away_comes_back(self):
        before = self.takt.slice()["metadata"]["uid"]
        self.cluster.kubectl("delete", f"{SLICES}/{NODE}-{DRIVER}")
        begun = time.monotonic()
        after = wait_until("there is a slice", self.takt.slice, 10)
        print(f"# it was there again after {time.monotonic() - begun:.1f} s", flush=True)
        self.assertNotEqual(after["metadata"]["uid"], before)

    @test
    def a_running_pod_keeps_its_reservation_while_takt_dra_and_the_kubelet_start_anew(self):
        process = self.start("camera", runtime="4ms", period="20ms")
        self.takt.stop("takt-dra", signal.SIGKILL)
        self.cluster.restart("kubelet")
        self.expect_under(process[0], 4 * MS, 20 * MS)
        self.takt.start_dra()
        self.start("later", runtime="2ms", period="10ms")
        self.expect_untouched("camera", process)
        self.cluster.delete("pod/camera")
        self.cluster.delete("pod/later")
        self.expect_nothing_promised()
