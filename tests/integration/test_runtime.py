# SPDX-License-Identifier: Apache-2.0
"""A container runtime that puts the first thread under the reservation itself, between the hook
and exec (process.scheduler of the OCI runtime spec). Each test is such a runtime; a puppet is its
init."""

from harness import (
    MS,
    SCHED_DEADLINE,
    SECOND,
    Agent,
    Case,
    agent,
    connector,
    deadline,
    kernel_admission,
    root,
    sched_getattr,
    sched_setattr,
    take_bandwidth,
    test,
    wait_for,
)
from puppet import Stage, is_on, settled

RUNTIME, PERIOD = 100 * MS, 1 * SECOND
RESET_ON_FORK = 1  # sched_setattr(2)


class Runtime(Case):
    needs = (root, deadline, kernel_admission, connector, agent)

    def setUp(self):
        super().setUp()
        self.agent = Agent(self).start()
        self.stage = Stage(self)

    def bound(self, **more):
        """The init of a container whose hook has called Bind."""
        self.agent.reserve("r", "100ms", "1s")
        return self.bind(**more)

    def bind(self, via="nri", **more):
        init = self.stage.start()
        self.agent.call("Bind", name="r", pid=init.pid, container="c0ffee", via=via, **more)
        return init

    def set_policy(self, init):
        """What runc does at the end of its init."""
        sched_setattr(init.pid, SCHED_DEADLINE, RUNTIME, PERIOD, flags=RESET_ON_FORK)

    def told(self):
        return self.agent.reservations()["r"]

    def expect_under(self, init):
        def under():
            told = self.told()
            return told["state"] == "active" and [t["tid"] for t in told["threads"]] == [init.pid]

        wait_for("its first thread is under it", under)
        now = sched_getattr(init.pid)
        self.assertEqual(
            (now.policy, now.runtime, now.period), (SCHED_DEADLINE, RUNTIME, PERIOD)
        )

    def take_the_rest(self):
        """Other programs hold what the kernel grants, but for less than the reservation."""
        share = SECOND // 2
        while share > 50 * MS:
            try:
                take_bandwidth(self, share, SECOND)
            except OSError:
                share //= 2

    @test
    def where_there_is_room_for_both_the_thread_is_left_to_the_runtime_and_taken_over(self):
        init = self.bound()
        self.assertFalse(is_on(init.pid))
        self.assertEqual(self.told()["state"], "bound")
        self.set_policy(init)
        init.exec()
        self.expect_under(init)
        self.assertEqual(self.told()["via"], "nri")
        self.assertEqual(self.agent.call("Node")["foreignPpm"], 0)

    @test
    def on_a_full_machine_the_runtime_is_not_refused(self):
        self.agent.reserve("r", "100ms", "1s")
        self.take_the_rest()
        init = self.bind()
        self.assertTrue(is_on(init.pid), "it is under it before the hook has its answer")
        self.set_policy(init)
        init.exec()
        self.expect_under(init)
        self.assertEqual(self.told()["via"], "nri")

    @test
    def the_thread_is_no_strangers_while_the_runtime_has_it(self):
        init = self.bound()
        self.set_policy(init)
        self.assertEqual(self.agent.call("Node")["foreignPpm"], 0)
        self.expect_under(init)

    @test
    def who_asks_for_room_meanwhile_does_not_take_it_from_the_runtime(self):
        init = self.bound()
        self.agent.reserve("other", "50ms", "1s")
        self.take_the_rest()
        self.set_policy(init)
        init.exec()
        self.expect_under(init)

    @test
    def many_containers_that_begin_together_are_all_let_in(self):
        inits = []
        for number in range(6):
            self.agent.reserve(f"r{number}", "100ms", "1s", guarantee="soft")
        self.take_the_rest()
        for number in range(6):
            inits.append(self.stage.start())
            self.agent.call("Bind", name=f"r{number}", pid=inits[-1].pid, container="c", via="nri")
        for init in inits:
            self.set_policy(init)
            init.exec()
        for number, init in enumerate(inits):
            wait_for(
                "it is under it",
                lambda n=number, i=init: [
                    t["tid"] for t in self.agent.reservations()[f"r{n}"]["threads"]
                ]
                == [i.pid],
            )
            self.assertEqual(self.agent.reservations()[f"r{number}"]["via"], "nri")

    @test
    def who_shares_the_reservation_does_not_take_the_server_that_is_awaited(self):
        document = self.agent.reserve("model", "100ms", "1s")["document"]
        document["metadata"]["name"] = "r"
        self.agent.call("Release", name="model")
        self.agent.call("Reserve", document=document, shareable=True)
        init, other = self.bind(), self.stage.start()
        self.agent.call("Bind", name="r", pid=other.pid, container="decaf", via="hook")
        other.exec()
        self.set_policy(init)
        init.exec()
        self.expect_under(init)
        self.assertFalse(is_on(other.pid))
        init.quit()
        init.process.wait()
        self.expect_under(other)

    @test
    def a_runtime_that_does_not_keep_its_word_is_found_out(self):
        init = self.bound()
        init.exec()
        self.expect_under(init)
        self.assertEqual(self.told()["via"], "hook")

    @test
    def an_init_that_dies_gives_everything_back(self):
        for early in (False, True):
            init = self.bound() if not early else self.bind()
            if early:
                self.agent.call("Node")
            else:
                self.set_policy(init)
            init.quit()
            init.process.wait()
            wait_for("it is held again", lambda: self.told()["state"] == "held")
            self.assertEqual(self.told()["trouble"] if "trouble" in self.told() else None, None)
        self.assertEqual(self.agent.call("Node")["foreignPpm"], 0)

    @test
    def a_runtime_that_goes_on_while_taktd_is_killed_is_taken_over(self):
        settled()  # the test before may have filled the machine
        init = self.bound()
        self.agent.kill9()
        self.set_policy(init)
        init.exec()
        self.agent.start()
        self.expect_under(init)
        self.assertEqual((self.told()["container"], self.told()["via"]), ("c0ffee", "nri"))

    @test
    def an_init_at_which_taktd_was_killed_is_under_it_when_taktd_is_back(self):
        init = self.bound()
        self.agent.kill9()
        self.agent.start()
        self.assertTrue(is_on(init.pid))
        self.set_policy(init)
        init.exec()
        self.expect_under(init)

    @test
    def a_container_that_is_found_running_is_bound_as_it_is(self):
        self.agent.reserve("r", "100ms", "1s")
        init = self.stage.start()
        init.exec()
        name = "default/camera/main"
        for _ in range(2):
            self.agent.call(
                "Bind", name="r", pid=init.pid, container=name, via="nri", running=True
            )
        self.expect_under(init)
        self.assertEqual((self.told()["container"], self.told()["via"]), (name, "nri"))

    @test
    def a_bound_container_gets_the_name_of_its_pod_and_keeps_it(self):
        init = self.bound(**{})
        self.set_policy(init)
        init.exec()
        self.expect_under(init)
        name = "default/camera/main"
        self.agent.call("Bind", name="r", pid=init.pid, container=name, via="nri", running=True)
        self.agent.call("Bind", name="r", pid=init.pid, container="c0ffee", via="hook")
        self.assertEqual((self.told()["container"], self.told()["via"]), (name, "nri"))
        self.agent.stop()
        self.agent.start()
        self.assertEqual((self.told()["container"], self.told()["via"]), (name, "nri"))
        self.expect_under(init)

    @test
    def a_program_whose_exec_was_not_seen_is_put_in_when_somebody_says_that_it_runs(self):
        self.agent.reserve("r", "100ms", "1s")
        init = self.stage.start()
        init.exec()
        self.agent.call("Bind", name="r", pid=init.pid, container="c0ffee", via="hook")
        self.assertFalse(is_on(init.pid))
        self.agent.call("Bind", name="r", pid=init.pid, via="nri", running=True)
        self.expect_under(init)
