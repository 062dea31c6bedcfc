# SPDX-License-Identifier: Apache-2.0
"""A taktd that stands by while another one has the store: it touches nothing, takes over when the
other one ends, however that is, and meanwhile no thread leaves SCHED_DEADLINE."""

import signal

from agent import Agent, takt
from harness import Case, deadline, kernel_admission, root, test, wait_for
from kernel import WAIT_SECONDS, deadline_threads
from puppet import KernelRest, Watcher, is_on
from truth import Program


class Second(Agent):
    """Another taktd on the same socket and folders, which stands by."""

    def __init__(self, case, first):
        super().__init__(case, args=["--standby"])
        self.socket, self.state_dir = first.socket, first.state_dir
        self.cdi_dir, self.run_dir = first.cdi_dir, first.run_dir

    def stand_by(self):
        self.spawn()
        wait_for("it stands by", lambda: "standing by" in self.log())
        return self

    def takes_over(self):
        wait_for("it has taken over", lambda: "ready on" in self.log())


class Standby(Case):
    needs = (root, deadline, kernel_admission)

    def bound(self, agent):
        """A program under a reservation `main`; `idle` is promised and held by nobody."""
        agent.reserve("main", "2ms", "20ms")
        agent.reserve("idle", "1ms", "20ms")
        program = Program(self)
        agent.call("Bind", name="main", pid=program.pid)
        program.go()
        wait_for("it is on", lambda: is_on(program.pid))
        return program

    def takes_over_from(self, end):
        rest = KernelRest(self)
        before = rest.settled()
        first = Agent(self).start()
        program = self.bound(first)
        second = Second(self, first).stand_by()
        self.assertIn(f"standing by: process {first.pid} uses the state folder", second.log())
        watcher = Watcher(lambda: is_on(program.pid))
        end(first)
        second.takes_over()
        listed = second.reservations()
        states = {name: r["state"] for name, r in listed.items()}
        self.assertEqual(states, {"main": "active", "idle": "held"})
        self.assertEqual([t["tid"] for t in listed["main"]["threads"]], [program.pid])
        self.assertEqual([r for r in listed.values() if r.get("trouble")], [])
        self.assertEqual(watcher.stop().seen, [True])
        print(f"# looked {watcher.count} times", flush=True)
        self.assertEqual(second.log().count("standing by"), 1)
        program.end()
        second.release_all()
        self.assertEqual(second.stop(), 0)
        self.assertEqual(list(second.cdi_dir.iterdir()), [])
        self.assertFalse(second.socket.exists())
        rest.expect(before)

    @test
    def it_takes_over_when_the_first_one_ends(self):
        self.takes_over_from(lambda first: self.assertEqual(first.stop(), 0))

    @test
    def it_takes_over_when_the_first_one_is_killed(self):
        self.takes_over_from(Agent.kill9)

    @test
    def of_two_that_stand_by_one_takes_over_and_the_other_stands_by_on(self):
        first = Agent(self).start()
        both = [Second(self, first).stand_by() for _ in range(2)]
        first.stop()
        wait_for("one has taken over", lambda: any("ready on" in s.log() for s in both))
        (next_one,) = (s for s in both if "ready on" in s.log())
        (last,) = (s for s in both if s is not next_one)
        self.assertTrue(last.running())
        self.assertNotIn("ready on", last.log())
        next_one.stop()
        last.takes_over()
        self.assertEqual(last.stop(), 0)

    @test
    def while_it_waits_it_touches_nothing_and_a_signal_ends_it(self):
        first = Agent(self).start()
        program = self.bound(first)
        files = {p: p.stat().st_ino for p in first.folder.rglob("*")}
        for number in (signal.SIGTERM, signal.SIGINT):
            second = Second(self, first).stand_by()
            self.assertEqual([t for t in deadline_threads() if t.pid == second.pid], [])
            shown = takt("ps", socket_path=first.socket)
            self.assertIn("main", shown.stdout, shown.stderr)
            second.process.send_signal(number)
            self.assertEqual(second.process.wait(WAIT_SECONDS), 0)
            self.assertEqual({p: p.stat().st_ino for p in first.folder.rglob("*")}, files)
        self.assertEqual(first.reservations()["main"]["state"], "active")
        self.assertTrue(is_on(program.pid))

    @test
    def without_the_option_a_second_one_is_refused(self):
        first = Agent(self).start()
        second = Second(self, first)
        second.args = []
        second.spawn()
        self.assertEqual(second.process.wait(WAIT_SECONDS), 70)
        self.assertIn(f"process {first.pid} uses the state folder", second.log())
        self.assertNotIn("standing by", second.log())
