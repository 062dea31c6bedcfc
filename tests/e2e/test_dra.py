# SPDX-License-Identifier: Apache-2.0
"""Claims on a real node: the stock scheduler allocates, the real kubelet and containerd start the
pod, and its program runs under SCHED_DEADLINE."""

import os
import signal
import time

from cluster import wait_until
from e2e import NODE, test
from harness import MS
from takt_node import DRIVER, SLICES, Programs, TaktCase, claim, claiming_pod, grpcurl_built


class Claims(TaktCase):
    @test(needs=[grpcurl_built])
    def both_versions_answer_the_same_and_an_unknown_claim_fails_in_its_own_entry(self):
        process = self.start("camera", runtime="4ms", period="20ms")
        uid = self.claim_uid("camera-rt")
        known = {"namespace": "default", "uid": uid, "name": "camera-rt"}
        unknown = {"namespace": "default", "uid": "no-uid", "name": "nobody-rt"}
        self.expect_under(process[0], 4 * MS, 20 * MS)
        held = set(self.takt.reservations())
        answers = {}
        for version in ("v1", "v1beta1"):
            answers[version] = self.call_dra(version, "NodePrepareResources", known, unknown)
            self.assertEqual(set(answers[version]), {uid, "no-uid"})
            refused = answers[version]["no-uid"]
            self.assertEqual(refused["devices"], [])
            self.assertIn("nobody-rt", refused["error"])
            self.assertEqual(answers[version][uid]["error"], "")
        [device] = answers["v1"][uid]["devices"]
        self.assertEqual(device["requestNames"], ["rt"])
        self.assertEqual(device["cdiDeviceIds"], [f"{DRIVER}/reservation=camera-rt.{uid}"])
        allocation = self.cluster.get("resourceclaim", "camera-rt")["status"]["allocation"]
        [result] = allocation["devices"]["results"]
        self.assertEqual(device.pop("shareId"), result["shareID"])
        self.assertEqual(device["deviceName"], result["device"])
        self.assertEqual(answers["v1beta1"][uid]["devices"], [device])
        self.assertEqual(set(self.takt.reservations()), held)
        self.expect_under(process[0], 4 * MS, 20 * MS)
        self.expect_untouched("camera", process)
        self.cluster.delete("pod/camera")
        self.expect_nothing_promised()
        again = self.call_dra("v1beta1", "NodeUnprepareResources", known, unknown)
        self.assertEqual(again, {uid: {"error": ""}, "no-uid": {"error": ""}})

    @test(needs=[grpcurl_built])
    def a_claim_that_is_unprepared_while_its_pod_runs_keeps_its_promise(self):
        """As a kubelet does for a pod that never ran, beside one that does."""
        process = self.start("camera", runtime="4ms", period="20ms")
        self.expect_under(process[0], 4 * MS, 20 * MS)
        known = {"namespace": "default", "uid": self.claim_uid("camera-rt"), "name": "camera-rt"}
        files = self.cdi_files()
        with self.always_under(process[0], 4 * MS, 20 * MS):
            answer = self.call_dra("v1", "NodeUnprepareResources", known)
            self.assertIn("is held by container", answer[known["uid"]]["error"])
        self.assertEqual(self.cdi_files(), files)
        self.expect_untouched("camera", process)
        self.cluster.delete("pod/camera")
        self.expect_nothing_promised()

    @test
    def a_pod_with_a_claim_runs_under_sched_deadline_and_gives_back_when_it_ends(self):
        process = self.start("camera", runtime="4ms", period="20ms")
        self.expect_under(process[0], 4 * MS, 20 * MS)
        uid = self.cluster.get("resourceclaim", "camera-rt")["metadata"]["uid"]
        name = f"camera-rt.{uid}"
        wait_until("it is active", lambda: self.takt.reservations()[name]["state"] == "active")
        self.assertEqual(self.takt.reservations()[name]["guarantee"], "soft")
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
        )
        self.assertEqual(self.takt.reservations(), {})

    @test
    def a_slice_that_is_taken_away_comes_back(self):
        before = self.takt.slice()["metadata"]["uid"]
        self.cluster.kubectl("delete", f"{SLICES}/{NODE}-{DRIVER}")
        begun = time.monotonic()
        after = wait_until("there is a slice", self.takt.slice)
        print(f"# it was there again after {time.monotonic() - begun:.1f} s", flush=True)
        self.assertNotEqual(after["metadata"]["uid"], before)

    @test
    def the_second_of_two_takt_dra_serves_beside_the_first_and_goes_on_when_that_is_killed(self):
        registry = self.cluster.node_path("/var/lib/kubelet/plugins_registry")
        service = self.cluster.node_path(f"/var/lib/kubelet/plugins/{DRIVER}")
        log = self.cluster.state / "logs" / "takt-dra.log"
        before, words = self.takt.slice()["metadata"]["uid"], "registered with the kubelet"
        times = log.read_text().count(words)
        second = Programs(self)
        second.start_dra_unregistered("--instance", "second")
        wait_until("it is registered", lambda: log.read_text().count(words) > times)
        self.assertEqual(len(list(registry.iterdir())), 2)
        first_pod = self.start("camera", runtime="4ms", period="20ms")
        self.expect_under(first_pod[0], 4 * MS, 20 * MS)
        with self.always_under(first_pod[0], 4 * MS, 20 * MS):
            self.takt.stop("takt-dra", signal.SIGKILL)
            wait_until(
                "its sockets are gone",
                lambda: len(list(registry.iterdir())) == 1
                and [p.name for p in service.iterdir()] == ["dra-second.sock"],
            )
            self.assertEqual(self.takt.slice()["metadata"]["uid"], before)
            self.start("later", runtime="2ms", period="10ms")
        self.expect_untouched("camera", first_pod)
        self.cluster.kubectl("delete", f"{SLICES}/{NODE}-{DRIVER}")
        wait_until("the second publishes", self.takt.slice)
        self.cluster.delete("pod/camera", "pod/later")
        self.expect_nothing_promised()

    @test
    def a_running_pod_keeps_its_reservation_while_takt_dra_and_the_kubelet_start_anew(self):
        process = self.start("camera", runtime="4ms", period="20ms")
        with self.always_under(process[0], 4 * MS, 20 * MS):
            self.takt.stop("takt-dra", signal.SIGKILL)
            self.cluster.restart("kubelet")
            self.takt.start_dra()
            self.start("later", runtime="2ms", period="10ms")
        self.expect_untouched("camera", process)
        self.cluster.delete("pod/camera")
        self.cluster.delete("pod/later")
        self.expect_nothing_promised()
