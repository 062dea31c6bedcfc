# SPDX-License-Identifier: Apache-2.0
"""Claims while the parts of the node end and begin again: before a prepare, in it and after it."""

import os
import signal
import time

from cluster import wait_until
from e2e import test
from harness import MS
from processes import start_time
from takt_node import TaktCase, claim, claiming_pod

BOUND_SECONDS = 1  # after the scheduler's word the kubelet asks for the claim within this time


class Kills(TaktCase):
    def apply_pod(self, name):
        self.apply(claim(f"{name}-rt", 200000, runtime="4ms", period="20ms"))
        self.apply(claiming_pod(name, f"{name}-rt"))

    def expect_running(self, name):
        """Ready, and under its reservation; returns its process."""
        self.cluster.wait(f"pod/{name}", "condition=Ready", 240)
        process = self.process_of(name)
        self.expect_under(process[0], 4 * MS, 20 * MS)
        return process

    def expect_all_given_back(self, *names):
        self.cluster.delete(*(f"pod/{name}" for name in names))
        self.expect_nothing_promised()

    def end(self, part):
        if part in self.takt.running:
            self.takt.stop(part, signal.SIGKILL)
        else:
            self.cluster.kill(part)

    def begin(self, part):
        if part in ("taktd", "takt-dra"):
            self.takt.start_again(part)
        else:
            self.cluster.run(part)

    def before(self, part):
        self.end(part)
        self.apply_pod("late")
        time.sleep(BOUND_SECONDS)
        self.begin(part)
        self.expect_running("late")
        self.expect_all_given_back("late")

    def during(self, part):
        """taktd does not answer while the part ends: takt-dra waits for it, the kubelet too."""
        self.apply_pod("there")
        process = self.expect_running("there")
        with self.always_under(process[0], 4 * MS, 20 * MS):
            self.prepare_without(part)
            self.expect_running("late")
        self.expect_untouched("there", process)
        self.expect_all_given_back("there", "late")

    def prepare_without(self, part):
        self.takt.send("taktd", signal.SIGSTOP)
        try:
            before = self.takt.unread("takt-dra")
            self.apply_pod("late")
            self.wait_for_prepare("late-rt")
            wait_until("takt-dra asks taktd", lambda: self.takt.unread("takt-dra") > before)
            self.assertTrue(self.prepare_is_under_way(self.claim_uid("late-rt")))
            self.end(part)
        finally:
            if "taktd" in self.takt.running:
                self.takt.send("taktd", signal.SIGCONT)
        self.begin(part)

    def after(self, part):
        self.apply_pod("there")
        process = self.expect_running("there")
        with self.always_under(process[0], 4 * MS, 20 * MS):
            self.end(part)
            self.begin(part)
            self.apply_pod("next")
            self.expect_running("next")
        self.expect_untouched("there", process)
        self.expect_all_given_back("there", "next")

    @test
    def a_pod_starts_when_taktd_was_killed_before(self):
        self.before("taktd")

    @test
    def a_pod_starts_when_takt_dra_was_killed_before(self):
        self.before("takt-dra")

    @test
    def a_pod_starts_when_the_kubelet_was_killed_before(self):
        self.before("kubelet")

    @test
    def a_pod_starts_when_containerd_was_killed_before(self):
        self.before("containerd")

    @test
    def a_pod_starts_when_taktd_is_killed_while_it_prepares(self):
        self.during("taktd")

    @test
    def a_pod_starts_when_takt_dra_is_killed_while_it_prepares(self):
        self.during("takt-dra")

    @test
    def a_pod_starts_when_the_kubelet_is_killed_while_it_prepares(self):
        self.during("kubelet")

    @test
    def a_pod_starts_when_containerd_is_killed_while_it_prepares(self):
        self.during("containerd")

    @test
    def a_running_pod_keeps_its_reservation_when_taktd_is_killed(self):
        self.after("taktd")

    @test
    def a_running_pod_keeps_its_reservation_when_takt_dra_is_killed(self):
        self.after("takt-dra")

    @test
    def a_running_pod_keeps_its_reservation_when_the_kubelet_is_killed(self):
        self.after("kubelet")

    @test
    def a_running_pod_keeps_its_reservation_when_containerd_is_killed(self):
        self.after("containerd")

    def dying_at(self, point, act):
        """taktd ends there, in what is done meanwhile, and is begun again."""
        self.takt.stop("taktd", signal.SIGKILL)
        self.takt.start_taktd(point)
        act()
        ended = self.takt.running["taktd"].poll
        wait_until(f"taktd has died at {point}", lambda: ended() is not None)
        self.takt.start_taktd()

    def promised(self, name):
        return [r for r in self.takt.reservations() if r.startswith(f"{name}-rt.")]

    def start_although_taktd_dies_at(self, *points):
        for number, point in enumerate(points):
            name = f"late{number}"
            self.dying_at(point, lambda name=name: self.apply_pod(name))
            self.expect_running(name)
            self.cluster.delete(f"pod/{name}")
            wait_until("it is released", lambda name=name: not self.promised(name))

    @test
    def a_pod_starts_when_taktd_dies_at_any_step_of_its_promise(self):
        self.apply_pod("there")
        process = self.expect_running("there")
        with self.always_under(process[0], 4 * MS, 20 * MS):
            self.start_although_taktd_dies_at(
                "reserve.held", "commit.reserve.stored", "commit.reserve.cdi", "reserve.reply"
            )
        self.expect_untouched("there", process)
        self.expect_all_given_back("there")

    @test
    def a_pod_starts_when_taktd_dies_at_any_step_of_its_containers_start(self):
        self.start_although_taktd_dies_at("bind.prepared", "bind.tied", "bind.reply")
        self.expect_nothing_promised()

    @test
    def nothing_is_left_of_a_pod_when_taktd_dies_at_any_step_of_its_end(self):
        points = "unbind.begin", "release.stopped", "commit.release.stored", "release.reply"
        for number, point in enumerate(points):
            name = f"camera{number}"
            self.apply_pod(name)
            self.expect_running(name)
            self.dying_at(point, lambda name=name: self.cluster.delete(f"pod/{name}"))
            self.expect_nothing_promised()

    def prepare_with_the_api_server_away(self, leave, come_back, seconds):
        before = self.prepare_failures()
        self.takt.send("takt-dra", signal.SIGSTOP)
        self.apply_pod("late")
        self.wait_for_prepare("late-rt")  # until then the kubelet needs the API server
        leave()
        try:
            self.takt.send("takt-dra", signal.SIGCONT)
            time.sleep(seconds)
        finally:
            come_back()
        self.expect_running("late")
        self.assertEqual(self.prepare_failures(), before)
        self.expect_all_given_back("late")

    @test
    def a_pod_starts_when_the_api_server_did_not_answer_in_its_prepare(self):
        api = self.cluster.pid("kube-apiserver")
        self.prepare_with_the_api_server_away(
            lambda: os.kill(api, signal.SIGSTOP),
            lambda: os.kill(api, signal.SIGCONT),
            12,  # longer than one call of the API server may take
        )

    @test
    def a_pod_starts_when_the_api_server_was_killed_in_its_prepare(self):
        self.prepare_with_the_api_server_away(
            lambda: self.cluster.kill("kube-apiserver"),
            lambda: self.cluster.run("kube-apiserver"),
            2,  # until it runs again connections are refused
        )

    @test
    def a_taktd_that_stays_away_is_named_in_time_and_the_kubelets_next_try_works(self):
        before = self.prepare_failures()
        self.takt.stop("taktd", signal.SIGKILL)
        self.apply_pod("late")
        wait_until(
            "the pod tells why",
            lambda: any("taktd does not answer at" in e for e in self.cluster.events_of("late")),
        )
        self.assertGreater(self.prepare_failures(), before)
        self.takt.start_taktd()
        self.expect_running("late")
        self.expect_all_given_back("late")

    @test
    def a_pod_that_goes_while_taktd_is_away_gives_back_when_it_is_there_again(self):
        self.apply_pod("camera")
        self.expect_running("camera")
        self.takt.stop("taktd", signal.SIGKILL)
        self.cluster.kubectl("delete", "pod/camera", "--wait=false")
        time.sleep(BOUND_SECONDS)
        self.takt.start_taktd()
        self.expect_nothing_promised()

    @test
    def a_claim_that_goes_by_force_while_takt_dra_is_away_is_released_when_it_begins(self):
        self.apply_pod("camera")
        process = self.expect_running("camera")
        with self.always_under(process[0], 4 * MS, 20 * MS):
            self.takt.stop("takt-dra", signal.SIGKILL)
            self.cluster.kill("kubelet")
            self.cluster.kubectl("delete", "pod/camera", "--force", "--grace-period=0")
            self.cluster.delete("resourceclaim/camera-rt")
            self.assertEqual(len(self.takt.reservations()), 1)
            self.takt.start_dra()
            time.sleep(2)  # it looks half a second after it began
        self.takt.kill_process(process[0])
        self.expect_nothing_promised()
        self.cluster.run("kubelet")

    @test
    def a_socket_that_was_left_over_does_no_harm(self):
        self.takt.stop("takt-dra", signal.SIGKILL)
        folder = self.cluster.node_path("/var/lib/kubelet/plugins_registry")
        self.assertTrue((folder / "rt.takt.dev-reg.sock").exists())
        self.takt.start_dra()
        self.apply_pod("late")
        self.expect_running("late")
        self.expect_all_given_back("late")

    @test
    def after_a_reboot_the_pod_is_guaranteed_again(self):
        """What was in /run is gone, the boot has another id, and taktd's store is still there."""
        self.apply_pod("camera")
        process = self.expect_running("camera")
        held = set(self.takt.reservations())
        for part in ("takt-dra", "taktd"):
            self.takt.stop(part, signal.SIGKILL)
        self.cluster.power_off()
        self.assertIsNone(start_time(process[0]))
        self.assertEqual(self.cdi_files(), set())
        self.assertFalse(self.takt.socket.exists())
        self.cluster.power_on()
        self.takt.start_taktd()
        self.takt.start_dra()
        wait_until("it runs again", lambda: self.restarted("camera"), 240)
        again = self.expect_running("camera")
        self.assertNotEqual(again, process)
        self.assertEqual(set(self.takt.reservations()), held)
        self.expect_all_given_back("camera")

    def restarted(self, name):
        [one] = self.cluster.containers_of(name)
        return one["restartCount"] >= 1 and "running" in one["state"]
