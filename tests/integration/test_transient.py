# SPDX-License-Identifier: Apache-2.0
"""Transient reservations: they end by themselves, and never while somebody still needs them."""

import os
import signal
import subprocess

from harness import (
    Agent,
    Case,
    agent,
    connector,
    deadline,
    kernel_admission,
    program,
    root,
    test,
    wait_for,
)
from puppet import recount, settled
from truth import SLACK, bandwidth_at_rest


def document(name):
    return {
        "apiVersion": "rt.takt.dev/v1alpha1",
        "kind": "Reservation",
        "metadata": {"name": name},
        "spec": {"runtime": "10ms", "period": "100ms"},
    }


class Transient(Case):
    needs = (root, deadline, kernel_admission, connector, agent)

    def setUp(self):
        super().setUp()
        self.agent = Agent(self).start()

    def reserve(self, name, transient=True):
        """Returns the connection that owns it."""
        door = self.agent.connect()
        self.addCleanup(door.close)
        door.call("Reserve", document=document(name), transient=transient)
        return door

    def bind(self, name):
        process = subprocess.Popen(["sleep", "1000"])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.agent.call("Bind", name=name, pid=process.pid)
        return process

    def end(self, process):
        process.kill()
        process.wait()

    def names(self):
        return set(self.agent.reservations())

    def expect_gone(self, *left):
        wait_for("it is released", lambda: self.names() == set(left))
        self.assertEqual(
            {p.stem.split("_", 1)[1] for p in self.agent.cdi_dir.iterdir()}, set(left)
        )

    @test
    def it_ends_with_its_connection_and_others_stay(self):
        settled()
        recount()
        before = bandwidth_at_rest(self)
        self.reserve("plain", transient=False).close()
        self.reserve("other")
        self.reserve("brief").close()
        self.expect_gone("plain", "other")
        self.assertIn("nobody holds it", self.agent.call("History", name="brief")["changes"][-1]["why"])
        self.agent.release_all()
        self.assertAlmostEqual(bandwidth_at_rest(self), before, delta=SLACK)

    @test
    def it_ends_with_the_program_that_holds_it_once_the_connection_is_closed(self):
        door = self.reserve("brief")
        process = self.bind("brief")
        door.close()
        self.assertEqual(self.names(), {"brief"})
        self.end(process)
        self.expect_gone()

    @test
    def it_outlives_its_program_while_the_connection_is_open(self):
        door = self.reserve("brief")
        self.end(self.bind("brief"))
        wait_for("it is held", lambda: self.agent.reservations()["brief"]["state"] == "held")
        self.assertEqual(self.bind("brief").poll(), None)
        door.call("Release", name="brief")
        self.expect_gone()

    @test
    def it_belongs_to_the_connection_that_asked_last(self):
        first = self.reserve("brief")
        second = self.reserve("brief")
        first.close()
        self.agent.call("Node")
        self.assertEqual(self.names(), {"brief"})
        second.close()
        self.expect_gone()

    @test
    def a_lasting_promise_is_never_given_for_a_transient_one(self):
        self.reserve("brief")
        self.refused("Exists", self.reserve, "brief", transient=False)
        self.reserve("plain", transient=False)
        self.refused("Exists", self.reserve, "plain")

    @test
    def a_connection_that_closes_before_its_answer_leaves_nothing(self):
        for n in range(30):
            with self.agent.connect() as door:
                door.send("Reserve", document=document(f"brief-{n}"), transient=True)
        wait_for("they are released", lambda: not self.names())

    @test
    def after_the_death_of_taktd_those_that_nobody_holds_are_gone(self):
        self.reserve("plain", transient=False)
        self.reserve("brief")
        self.reserve("held")
        process = self.bind("held")
        self.agent.kill9()
        self.agent.start()
        self.expect_gone("plain", "held")
        self.end(process)
        self.expect_gone("plain")

    @test
    def a_run_that_was_killed_before_its_program_began_leaves_nothing(self):
        for _ in range(20):
            run = subprocess.Popen(
                [program("takt"), "run", "-q", "1ms", "-p", "100ms", "sleep", "0.05"],
                env={**os.environ, "TAKT_SOCKET": str(self.agent.socket)},
            )
            wait_for("it is reserved", lambda: self.names() or run.poll() is not None)
            run.send_signal(signal.SIGKILL)
            run.wait()
        wait_for("nothing is left", lambda: not self.names())
