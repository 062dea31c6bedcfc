# SPDX-License-Identifier: Apache-2.0
"""A CPU for each server, where the administrator runs sched_rt_runtime_us = -1: the kernel admits
everything then, and what Takt says is all that there is."""

import contextlib
import os
import signal

from harness import (
    MS,
    SCHED_DEADLINE,
    Agent,
    Case,
    Container,
    TaktError,
    agent,
    connector,
    deadline,
    kernel_admission,
    podman,
    root,
    sched_getattr,
    test,
    two_cpus,
    wait_for,
)
from kernel import Child, sched_setattr
from puppet import (
    CDI_DIR,
    RT_RUNTIME,
    Stage,
    Watcher,
    is_on,
    recount,
    remove_device,
    rt_groups,
    write_limit,
)
from truth import CrashAgent


class Pinned(Case):
    """The administrator's setting that Takt never makes is made here, and always taken back."""

    needs = (root, deadline, kernel_admission, connector, agent, podman, two_cpus)

    def setUp(self):
        super().setUp()
        self.before = RT_RUNTIME.read_text()
        self.addCleanup(self.restore)
        write_limit("-1")
        self.name = f"test-{os.getpid()}"
        self.addCleanup(remove_device, self.name)
        self.agent = Agent(self, cdi_dir=CDI_DIR).start()
        self.stage = Stage(self)

    def restore(self):
        write_limit(self.before)
        recount()

    @test
    def each_server_has_a_cpu_and_admission_is_exact_for_it(self):
        node = self.agent.call("Node")
        self.assertEqual(node["placements"], ["group"] * (rt_groups() is None) + ["pinned"])
        taken = 0
        while True:
            try:
                resv = self.agent.reserve(f"{self.name}-{taken}", "30ms", "100ms")
            except Exception as refused:
                self.assertEqual(refused.name, "DoesNotFit")
                break
            self.assertEqual(resv["placement"], "pinned")
            self.assertLessEqual(resv["boundNs"], 100 * MS)
            taken += 1
        # Three on each CPU are 0.9 of it; 4 ms of throttle granularity for each other one, and
        # the agent's own, decide between two and three.
        self.assertGreaterEqual(taken, 2 * node["cpus"])
        self.assertLessEqual(taken, 3 * node["cpus"])

    @test
    def a_container_runs_pinned_and_is_unpinned_when_released(self):
        all_cpus = os.sched_getaffinity(0)
        self.agent.reserve(self.name, "30ms", "100ms", cores=2, threads={"all": True})
        puppet = self.stage.container(self.name)
        puppet.start("a")
        wait_for("both threads are under it", lambda: len(puppet.on()) == 2)
        masks = [os.sched_getaffinity(tid) for tid in puppet.on()]
        self.assertTrue(all(len(m) == 1 for m in masks), masks)
        self.assertEqual(len(set.union(*masks)), 2)
        watcher = Watcher(lambda: len(puppet.on()))
        self.agent.kill9()
        self.agent.start()
        self.assertEqual(watcher.stop().seen, [2])
        self.assertEqual(len(self.agent.reservations()[self.name]["threads"]), 2)
        self.agent.call("Release", name=self.name)
        self.assertEqual(puppet.on(), set())
        for tid in (puppet.pid, puppet.tid("a")):
            self.assertEqual(os.sched_getaffinity(tid), all_cpus)

    @test
    def what_a_pinned_thread_starts_is_not_pinned(self):
        all_cpus = os.sched_getaffinity(0)
        self.agent.reserve(self.name, "30ms", "100ms")
        puppet = self.stage.container(self.name)
        wait_for("its thread is under it", lambda: is_on(puppet.pid))
        puppet.start("a")
        puppet.do("main", "fork")
        child = self.stage.next()
        for tid in (puppet.tid("a"), child.pid):
            wait_for("it may use all CPUs", lambda t=tid: os.sched_getaffinity(t) == all_cpus)
        self.assertEqual(len(os.sched_getaffinity(puppet.pid)), 1)

    @test
    def a_container_that_may_not_use_the_promised_cpu_does_not_start(self):
        cpus = sorted(os.sched_getaffinity(0))
        self.agent.reserve(self.name, "30ms", "100ms")
        wrong = self.stage.options(self.name, "--cpuset-cpus", str(cpus[1]))
        status, _, err = Container(self, ["true"], wrong).wait()
        self.assertNotEqual(status, 0, err)
        self.assertIn(f"promised on CPU {cpus[0]}, and the container may use CPUs {cpus[1]}", err)
        puppet = self.stage.container(self.name, ["--cpuset-cpus", str(cpus[0])])
        wait_for("its thread is under it", lambda: is_on(puppet.pid))
        self.assertEqual(os.sched_getaffinity(puppet.pid), {cpus[0]})

    @test
    def a_document_names_the_cpus_of_its_servers(self):
        cpus = sorted(os.sched_getaffinity(0))
        last = cpus[-1]
        resv = self.agent.reserve(
            self.name, "30ms", "100ms", placement="pinned", cpus=str(last), threads={"main": True}
        )
        self.assertEqual(resv["cpus"], [last])
        held = {c["cpu"]: c["promisedPpm"] for c in self.agent.call("Node")["topology"]}
        self.assertGreaterEqual(held[last], 300000)
        self.assertLess(held[cpus[0]], 300000)
        puppet = self.stage.container(self.name)
        wait_for("its thread is under it", lambda: is_on(puppet.pid))
        self.assertEqual(os.sched_getaffinity(puppet.pid), {last})
        self.agent.kill9()
        self.agent.start()
        self.assertEqual(self.agent.reservations()[self.name]["cpus"], [last])

    @test
    def cpus_that_are_full_or_not_there_are_refused_though_others_are_free(self):
        cpus = sorted(os.sched_getaffinity(0))
        on_last = {"placement": "pinned", "cpus": str(cpus[-1])}
        self.agent.reserve(self.name, "80ms", "100ms", **on_last)
        full = self.refused(
            "DoesNotFit", self.agent.reserve, f"{self.name}-2", "80ms", "100ms", **on_last
        )
        self.assertIn("asked", full.reason)
        on_last["cpus"] = "1000"
        missing = self.refused(
            "DoesNotFit", self.agent.reserve, f"{self.name}-2", "1ms", "100ms", **on_last
        )
        self.assertIn("spec.cpus names CPUs 1000, and this machine has", missing.reason)

    @test
    def it_says_when_the_administrator_takes_the_setting_back(self):
        with self.agent.connect() as door:
            changes = door.watch()
            write_limit(self.before)
            self.assertEqual(next(c for c in changes if c["what"] == "machine")["name"], "")
        found = {c["name"]: c for c in self.agent.call("Node")["checks"]}["ceiling"]
        self.assertEqual(found["status"], "no")
        self.assertIn("was -1 when taktd started", found["detail"])

    @test
    def placement_shared_is_refused_with_the_reason(self):
        refused = self.refused(
            "DoesNotFit", self.agent.reserve, self.name, "2ms", "100ms", placement="shared"
        )
        self.assertIn("sched_rt_runtime_us is -1", refused.reason)

    def waiting(self):
        """The pid of a program that may use every CPU and waits."""
        return Child(self, lambda say: (say(True), signal.pause())).pid

    def pin(self, name, runtime, period, cpu):
        return self.agent.reserve(name, runtime, period, placement="pinned", cpus=str(cpu))

    def on_cpu(self, pid):
        wait_for("it is under its reservation", lambda: is_on(pid))
        [cpu] = os.sched_getaffinity(pid)
        return cpu

    @test
    def threads_attached_by_hand_go_to_the_cpus_that_were_promised(self):
        cpus = sorted(os.sched_getaffinity(0))
        self.pin("one", "10ms", "100ms", cpus[-1])
        alone = self.waiting()
        self.agent.call("Attach", name="one", tids=[alone])
        self.assertEqual(self.on_cpu(alone), cpus[-1])
        resv = self.agent.reserve("two", "10ms", "100ms", cores=2)
        first, second, third = (self.waiting() for _ in range(3))
        for pid in (first, second):
            self.agent.call("Attach", name="two", tids=[pid])
        self.assertEqual({self.on_cpu(first), self.on_cpu(second)}, set(resv["cpus"]))
        free = self.on_cpu(first)
        self.agent.call("Detach", name="two", tids=[first])
        self.agent.call("Attach", name="two", tids=[third])
        self.assertEqual(self.on_cpu(third), free)
        before = self.on_cpu(second), self.on_cpu(third)
        self.agent.kill9()
        self.agent.start()
        self.assertEqual(len(self.agent.reservations()["two"]["threads"]), 2)
        self.assertEqual((self.on_cpu(second), self.on_cpu(third)), before)

    @test
    def a_thread_is_whole_again_after_an_agent_that_died_while_it_moved_it(self):
        everywhere, last = os.sched_getaffinity(0), max(os.sched_getaffinity(0))
        self.agent.stop()
        agent = CrashAgent(self)
        for fault in ("pinned.moved", "thread.is-on", "thread.off", "thread.is-off"):
            with self.subTest(fault):
                agent.start_faulty(fault)
                agent.reserve("one", "10ms", "100ms", placement="pinned", cpus=str(last))
                pid = self.waiting()
                with contextlib.suppress(OSError, TaktError):
                    agent.call("Attach", name="one", tids=[pid])
                    agent.call("Detach", name="one", tids=[pid])
                wait_for("the agent is dead", agent.died)
                agent.start_plain()
                self.assertEqual(self.on_cpu(pid), last)
                agent.call("Release", name="one")
                self.assertFalse(is_on(pid))
                self.assertEqual(os.sched_getaffinity(pid), everywhere)
                agent.stop()

    @test
    def a_restart_leaves_every_promise_on_its_cpu(self):
        """By first fit in the order in which they were made, the last one would have no room."""
        for name, share in (("a", 55), ("b", 25), ("c", 45), ("d", 35)):
            self.agent.reserve(name, f"{share * 10}ms", "1s", guarantee="soft")
        self.agent.call("Release", name="a")
        self.agent.reserve("e", "550ms", "1s", guarantee="soft")
        before = {n: r["cpus"] for n, r in self.agent.reservations().items()}
        self.agent.kill9()
        self.agent.start()
        after = self.agent.reservations()
        self.assertEqual({n: r["cpus"] for n, r in after.items()}, before)
        self.assertFalse([r["trouble"] for r in after.values() if "trouble" in r])

    @test
    def taktd_itself_is_counted_on_every_cpu_that_it_may_run_on(self):
        wait_for("it has its reservation", lambda: is_on(self.agent.pid))
        self.assertEqual(os.sched_getaffinity(self.agent.pid), os.sched_getaffinity(0))
        own = sched_getattr(self.agent.pid)
        for cpu in self.agent.call("Node")["topology"]:
            self.assertAlmostEqual(cpu["ownPpm"], own.runtime * 1e6 / own.period, delta=2)
            self.assertEqual(cpu["promisedPpm"], cpu["ownPpm"])

    @test
    def deadline_threads_of_other_programs_are_counted_where_they_may_run(self):
        cpus = sorted(os.sched_getaffinity(0))

        def on_last():
            os.sched_setaffinity(0, {cpus[-1]})
            sched_setattr(0, SCHED_DEADLINE, 50 * MS, 100 * MS)

        other = Child(self, lambda say: (on_last(), say(True), signal.pause()))
        other.hear()
        wanted = {"guarantee": "soft", "placement": "pinned", "cpus": str(cpus[-1])}
        self.refused("DoesNotFit", self.agent.reserve, self.name, "50ms", "100ms", **wanted)
        node = self.agent.call("Node")
        self.assertEqual(node["topology"][-1]["foreignPpm"], 500000)
        self.assertEqual(node["topology"][0]["foreignPpm"], 0)
        found = {c["name"]: c for c in node["checks"]}["other-deadline"]
        self.assertIn(str(other.pid), found["detail"])
        other.end()
        self.agent.reserve(self.name, "50ms", "100ms", **wanted)

    @test
    def fair_threads_keep_a_tenth_of_each_cpu(self):
        """The kernel's fair server would run before reservations if they had less than 5 %. Another
        twentieth is taktd's own."""
        cpu = max(os.sched_getaffinity(0))
        self.refused("DoesNotFit", self.pin, self.name, "10ms", "10ms", cpu)
        self.refused("DoesNotFit", self.pin, self.name, "86ms", "100ms", cpu)
        self.pin(self.name, "84ms", "100ms", cpu)

    @test
    def a_refusal_says_how_many_servers_have_room(self):
        cpus = len(os.sched_getaffinity(0))
        refused = self.refused(
            "DoesNotFit", self.agent.reserve, self.name, "1ms", "100ms", cores=cpus + 1
        )
        self.assertIn(
            f"{cpus + 1} servers need a CPU each, and {cpus} have room: no other CPU", refused.reason
        )
        self.pin("first", "80ms", "100ms", max(os.sched_getaffinity(0)))
        refused = self.refused(
            "DoesNotFit", self.agent.reserve, self.name, "50ms", "100ms", cores=cpus
        )
        self.assertIn(f"and {cpus - 1} ha", refused.reason)
        self.assertIn("asked", refused.reason)
