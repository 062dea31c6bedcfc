# SPDX-License-Identifier: Apache-2.0
"""takt-dra as a plugin of the real containerd: who may use a reservation, from which instruction on
it holds, and what is left when the plugin, the runtime or their connection is away."""

import os
import re
import signal
import time

import takt_node
from agent import Varlink, program, takt
from cluster import wait_until
from e2e import NODE, NodeCase, pod, test
from harness import MS, SCHED_DEADLINE, connector, deadline, sched_getattr
from lossy import LossyRuntime
from takt_node import DEVICE_CLASS, claim

IMAGE = "localhost/first:1"
RUNTIME, PERIOD = 4 * MS, 20 * MS
BANDWIDTH = 200000
COMPARED_SECONDS = 4  # after it has connected, takt-dra compares once what the runtime told of
FIRST_LINE = f"policy={SCHED_DEADLINE} runtime={RUNTIME} period={PERIOD}"


class Programs(takt_node.Programs):
    """takt-dra's log is a test's own, and its NRI socket may be another."""

    def start_dra(self, *words):
        self.log_from = len(self._log())
        self.start("takt-dra", "--node", NODE, "--kubeconfig", self.cluster.kubeconfig, *words)
        wait_until("its slice is published", self.slice)

    def _log(self):
        path = self.cluster.state / "logs" / "takt-dra.log"
        return path.read_text() if path.exists() else ""

    def wait_log(self, words):
        """Until what the running takt-dra has logged has them; returns all of it."""
        wait_until(f"takt-dra says {words!r}", lambda: words in self._log()[self.log_from :])
        return self._log()[self.log_from :]

    def pid(self):
        """Of takt-dra itself, not of nsenter: that becomes it."""
        return self.running["takt-dra"].pid


class Nri(NodeCase):
    needs = (*NodeCase.needs, deadline, connector)

    def setUp(self):
        super().setUp()
        self.takt = Programs(self)
        self.takt.start_taktd()
        self.apply(DEVICE_CLASS)
        self.addCleanup(self.expect_nothing_promised)
        self.cluster.image(IMAGE, {"bin/first": program("first")}, command=("/bin/first",))

    def expect_nothing_promised(self):
        """The kubelet unprepares a while after the pod has gone from the API, by takt-dra."""
        wait_until("all is released", lambda: not self.takt.reservations())

    def with_nri(self):
        self.takt.start_dra()
        self.takt.wait_log("NRI: connected")

    def claiming(self, name, claim_name, command=("/bin/first",), **spec):
        made = pod(name, command, image=IMAGE, **spec)
        made["spec"]["resourceClaims"] = [{"name": "rt", "resourceClaimName": claim_name}]
        made["spec"]["containers"][0]["resources"] = {"claims": [{"name": "rt"}]}
        return made

    def start(self, name, command=("/bin/first",), **spec):
        """A pod with a claim of its own, when its program runs; returns its process."""
        self.apply(claim(f"{name}-rt", BANDWIDTH, runtime="4ms", period="20ms"))
        self.apply(self.claiming(name, f"{name}-rt", command, **spec))
        self.cluster.wait(f"pod/{name}", "condition=Ready")
        return self.process_of(name)

    def resv(self, name):
        found = self.cluster.get("resourceclaim", f"{name}-rt")["metadata"]["uid"]
        return self.takt.reservations()[f"{name}-rt.{found}"]

    def said(self, name):
        return self.logs(name).splitlines()

    def expect_under(self, pid):
        def under():
            now = sched_getattr(pid)
            return (now.policy, now.runtime, now.period) == (SCHED_DEADLINE, RUNTIME, PERIOD)

        wait_until("the program is under its reservation", under)

    def expect_named(self, name, via):
        wait_until(
            "taktd knows the pod",
            lambda: self.resv(name).get("container") == f"default/{name}/main",
        )
        self.assertEqual(self.resv(name)["via"], via)

    def restarted(self, name, before):
        """The process of the container that came after that one."""

        def new():
            status = self.cluster.containers_of(name)[0]
            return status["restartCount"] > before and "running" in status["state"]

        wait_until("the container is there again", new)
        return self.process_of(name)

    @test
    def the_program_is_under_its_reservation_from_its_first_instruction(self):
        self.with_nri()
        process = self.start("camera")
        self.assertEqual(self.said("camera"), [FIRST_LINE])
        self.expect_under(process[0])
        self.expect_named("camera", "nri")
        text = takt("ps", socket_path=self.takt.socket).stdout
        self.assertIn("default/camera/main", text)
        self.assertEqual(self.takt_node()["foreignPpm"], 0)

    def takt_node(self):
        with Varlink(self.takt.socket) as door:
            return door.call("Node")

    @test
    def a_full_node_does_not_refuse_the_runtime(self):
        self.with_nri()
        document = {
            "apiVersion": "rt.takt.dev/v1alpha1",
            "kind": "Reservation",
            "metadata": {"name": "filler"},
            "spec": {
                "runtime": "15ms",
                "period": "20ms",
                "cores": os.cpu_count(),
                "guarantee": "soft",
            },
        }
        with Varlink(self.takt.socket) as door:
            door.call("Reserve", document=document)
            self.addCleanup(self.release, "filler")
        process = self.start("camera")
        self.assertEqual(self.said("camera"), [FIRST_LINE])
        self.expect_under(process[0])
        self.expect_named("camera", "nri")

    def release(self, name):
        with Varlink(self.takt.socket) as door:
            door.call("Release", name=name)

    @test
    def a_container_that_its_restart_policy_starts_again_is_under_it_again(self):
        self.with_nri()
        os.kill(self.start("camera")[0], signal.SIGKILL)
        process = self.restarted("camera", 0)
        self.assertEqual(self.said("camera"), [FIRST_LINE])
        self.expect_under(process[0])
        self.expect_named("camera", "nri")

    @test
    def pods_keep_their_reservation_while_containerd_starts_anew_and_the_next_has_it_too(self):
        self.with_nri()
        process = self.start("camera")
        with self.always_under(process[0], RUNTIME, PERIOD):
            self.cluster.kill("containerd")
            self.takt.wait_log("the runtime has ended")
            self.cluster.run("containerd")
            self.takt.wait_log("NRI: connected; 1 containers")
            self.start("later")
        self.assertEqual(self.said("later"), [FIRST_LINE])
        self.expect_named("later", "nri")
        self.expect_untouched("camera", process)
        self.expect_named("camera", "nri")

    @test
    def a_container_that_ran_before_takt_dra_is_found_and_named(self):
        self.takt.start_dra("--nri-socket", "none")
        process = self.start("camera")
        self.expect_under(process[0])
        self.assertEqual(self.resv("camera")["via"], "hook")
        self.takt.stop("takt-dra", signal.SIGKILL)
        self.with_nri()
        self.expect_named("camera", "hook")
        self.expect_untouched("camera", process)
        self.expect_under(process[0])

    @test
    def a_pod_goes_on_while_takt_dra_is_killed_and_its_containers_start_again(self):
        self.with_nri()
        self.start("camera")
        self.takt.stop("takt-dra", signal.SIGKILL)
        os.kill(self.process_of("camera")[0], signal.SIGKILL)
        process = self.restarted("camera", 0)
        self.expect_under(process[0])
        self.assertEqual(self.resv("camera")["via"], "hook")
        self.with_nri()
        self.expect_named("camera", "hook")

    @test
    def a_variable_set_by_hand_gets_nothing_and_is_not_believed(self):
        self.with_nri()
        process = self.start("camera")
        stolen = self.resv("camera")["name"]
        for name, value in (("thief", stolen), ("dreamer", "camera")):
            liar = pod(name, ("/bin/first",), image=IMAGE)
            liar["spec"]["containers"][0]["env"] = [{"name": "TAKT_RESERVATION", "value": value}]
            self.apply(liar)
            wait_until(
                f"the {name} is told why it does not start",
                lambda: any(re.search("takt: reservation", e) for e in self.events(name)),
            )
        self.assertTrue(any("not reserved for this pod" in e for e in self.events("thief")))
        self.assertTrue(any("of no claim" in e for e in self.events("dreamer")))
        self.expect_under(process[0])
        self.expect_named("camera", "nri")
        self.expect_untouched("camera", process)

    def events(self, name):
        return self.cluster.events_of(name)

    @test
    def a_pod_without_a_claim_is_left_alone(self):
        self.with_nri()
        self.apply(pod("plain", ("/bin/first",), image=IMAGE))
        self.cluster.wait("pod/plain", "condition=Ready")
        self.assertRegex(self.said("plain")[0], "^policy=0 ")

    @test
    def a_plugin_that_hangs_longer_than_the_runtime_waits_leaves_the_hook(self):
        self.with_nri()
        self.start("camera")
        os.kill(self.takt.pid(), signal.SIGSTOP)
        self.addCleanup(self.wake)
        os.kill(self.process_of("camera")[0], signal.SIGKILL)
        process = self.restarted("camera", 0)
        self.expect_under(process[0])
        self.assertEqual(self.resv("camera")["via"], "hook")
        self.wake()
        self.expect_named("camera", "hook")
        self.start("later")
        self.assertEqual(self.said("later"), [FIRST_LINE])
        self.expect_named("later", "nri")

    @test
    def a_container_that_the_runtime_never_told_of_is_missed_and_gets_its_name(self):
        socket = self.takt.folder / "lossy.sock"
        lossy = LossyRuntime(self, socket, self.cluster.node_path("/run/nri/nri.sock"))
        self.takt.start_dra("--nri-socket", socket)
        self.takt.wait_log("NRI: connected")
        self.start("camera")
        time.sleep(COMPARED_SECONDS)
        lossy.losing = True
        os.kill(self.process_of("camera")[0], signal.SIGKILL)
        process = self.restarted("camera", 0)
        self.expect_under(process[0])
        self.assertEqual(self.resv("camera")["via"], "hook")
        lossy.losing = False
        self.assertGreater(lossy.lost, 0)
        log = self.takt.wait_log("NRI: connected")
        self.assertNotIn("the runtime has not told of", log)
        self.assertNotEqual(self.resv("camera").get("container"), "default/camera/main")
        self.start("later")
        self.takt.wait_log("the runtime has not told of")
        self.expect_named("camera", "hook")
        self.expect_named("later", "nri")
        self.assertEqual(self.process_of("camera"), process)
        self.expect_under(process[0])

    def wake(self):
        if "takt-dra" in self.takt.running:
            os.kill(self.takt.pid(), signal.SIGCONT)

    @test
    def without_a_socket_the_hook_does_it_and_takt_dra_says_so(self):
        self.takt.start_dra("--nri-socket", "/run/nri/no.sock")
        log = self.takt.wait_log("until then containers are bound by the hook alone")
        self.assertIn("/run/nri/no.sock: no such file or directory", log)
        process = self.start("camera")
        self.expect_under(process[0])
        self.assertEqual(self.resv("camera")["via"], "hook")

    @test
    def answers_to_the_runtime_are_quick(self):
        self.with_nri()
        for number in range(3):
            self.start(f"camera-{number}")
        os.kill(self.takt.pid(), signal.SIGUSR1)
        log = self.takt.wait_log("answers: p50")
        print("# " + [line for line in log.splitlines() if "answers: p50" in line][-1])
        self.assertGreater(int(re.search(r"NRI: (\d+) answers", log)[1]), 10)

    @test
    def two_plugins_at_a_time_do_not_stand_in_each_others_way(self):
        """As in a rolling update; the second one has prepared nothing."""
        self.with_nri()
        folder = self.takt.folder / "kubelet"
        for part in ("plugins", "plugins_registry"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        other = Programs(self)
        other.start_dra("--kubelet-dir", folder)
        other.wait_log("NRI: connected")
        self.start("camera")
        self.assertEqual(self.said("camera"), [FIRST_LINE])
        self.expect_named("camera", "nri")

    @test
    def a_pod_that_comes_to_a_shared_claim_later_is_known(self):
        self.come_later(claim("camera-rt", BANDWIDTH, runtime="4ms", period="20ms"))

    @test
    def a_pod_that_comes_later_to_a_claim_which_an_operator_owns_is_known(self):
        operator = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "operator"}}
        self.apply(operator)
        uid = self.cluster.get("configmap", "operator")["metadata"]["uid"]
        owned = claim("camera-rt", BANDWIDTH, runtime="4ms", period="20ms")
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "operator", "uid": uid}
        owned["metadata"]["ownerReferences"] = [owner]
        self.come_later(owned)

    def come_later(self, shared):
        """It waits for the one server without disturbing who has it."""
        self.with_nri()
        self.apply(shared)
        self.apply(self.claiming("first", "camera-rt"))
        self.cluster.wait("pod/first", "condition=Ready")
        process = self.process_of("first")
        self.apply(self.claiming("second", "camera-rt"))
        self.cluster.wait("pod/second", "condition=Ready")
        self.assertRegex(self.said("second")[0], "^policy=0 ")
        names = ["default/first/main", "default/second/main"]
        wait_until(
            "taktd knows both",
            lambda: [r["containers"] for r in self.takt.reservations().values()] == [names],
        )
        self.expect_under(process[0])
        self.cluster.delete("pod/first")
        self.expect_under(self.process_of("second")[0])


