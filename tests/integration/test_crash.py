# SPDX-License-Identifier: Apache-2.0
"""The agent dies by SIGKILL at each of its fault points, in the middle of each operation; after
it is started again, the store, List, the kernel and the CDI folder must say the same, and what
was answered before the end must hold."""

import collections
import os
import subprocess
import time
from pathlib import Path

from harness import Case, TaktError, deadline, kernel_admission, program, root, test, wait_for
from truth import CrashAgent, Program, Round, Truth, state_template

LONG = os.environ.get("TAKT_LONG") == "1"
MANY = 40  # how often a point must be passed to be tried at its middle and its end as well


class Story:
    """Operations one after the other on one agent, and what was answered. `facts` are functions
    that must hold after the next start."""

    def __init__(self, case, agent):
        self.case, self.agent = case, agent
        self.there, self.gone = set(), set()  # acknowledged
        self.on, self.off = {}, {}  # tid: reservation

    def reserve(self, name, **spec):
        self.gone.discard(name)
        self.agent.reserve(name, "2ms", "100ms", **spec)
        self.there.add(name)

    def release(self, name):
        self.there.discard(name)
        self.forget(name)
        self.agent.call("Release", name=name)
        self.gone.add(name)

    def forget(self, name):
        self.on = {tid: of for tid, of in self.on.items() if of != name}

    def bind(self, name, command=("sleep", "1000")):
        program = Program(self.case, command)
        self.agent.call("Bind", name=name, pid=program.pid)
        self.on[program.pid] = name
        program.go()
        self.sees_on(name, program.pid)
        return program

    def sees_on(self, name, tid):
        def on():
            if self.agent.died():
                raise ConnectionError("dead")
            return tid in self.threads(name)

        wait_for(f"{name} has thread {tid}", on)

    def threads(self, name):
        return {t["tid"] for t in self.agent.reservations()[name]["threads"]}

    def attach(self, name, program):
        self.agent.call("Attach", name=name, tids=[program.pid])
        self.off.pop(program.pid, None)
        self.on[program.pid] = name

    def detach(self, name, program):
        self.on.pop(program.pid, None)
        self.agent.call("Detach", name=name, tids=[program.pid])
        self.off[program.pid] = name

    def end(self, name, program):
        self.forget(name)
        program.end()

        def free():
            if self.agent.died():
                raise ConnectionError("dead")
            return self.agent.reservations()[name]["state"] == "held"

        wait_for(f"{name} is free again", free)

    def check(self):
        """All that was answered holds in the agent that runs now."""

        def holds():
            listed = self.agent.reservations()
            threads = {t["tid"]: r["name"] for r in listed.values() for t in r["threads"]}
            return (
                self.there <= listed.keys()
                and not self.gone & listed.keys()
                and all(threads.get(tid) == name for tid, name in self.on.items())
                and not any(tid in threads for tid in self.off)
            )

        wait_for(f"there {self.there}, gone {self.gone}, on {self.on}, off {self.off}", holds, 10)


def live(story):
    """Every operation, each on its own and over another one's state."""
    story.reserve("main")
    story.reserve("all", threads={"all": True}, cores=2)
    story.reserve("hand", threads={"attach": True}, cores=2)
    story.reserve("brief")
    first = story.bind("main")
    story.bind("all", ("sh", "-c", "sleep 1000 & sleep 1000 & wait"))
    one, two = Program(story.case), Program(story.case)
    story.attach("hand", one)
    story.attach("hand", two)
    story.detach("hand", one)
    story.release("brief")
    story.end("main", first)
    run(story)
    story.detach("hand", two)
    story.reserve("held")
    story.bind("held")
    story.release("held")


def run(story):
    """`takt run`, which reserves, binds, starts and releases."""
    env = {**os.environ, "TAKT_SOCKET": str(story.agent.socket)}
    options = ["--name", "run", "--runtime", "2ms", "--period", "100ms"]
    command = [program("takt"), "run", *options, "--", "sleep", "0.05"]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode == 0 and "still promised" not in done.stderr:
        story.gone.add("run")
    if story.agent.died():
        raise ConnectionError("dead")
    story.case.case.assertEqual(done.returncode, 0, done.stderr)


def left_behind(story):
    """What an agent finds that starts after another was killed: a bit of everything."""
    live(story)
    story.bind("main")
    lone = Program(story.case)
    story.reserve("lone", threads={"attach": True})
    story.attach("lone", lone)
    orphan(story)
    ending = Program(story.case)
    story.reserve("ended")
    story.agent.call("Bind", name="ended", pid=ending.pid)
    story.agent.kill9()
    ending.end()


def orphan(story):
    """A process of a program, whose parent has ended."""
    story.reserve("orphan", threads={"all": True}, cores=2)
    story.bind("orphan", ("sh", "-c", "(sleep 1000 &); sleep 1000; true"))
    wait_for("both run", lambda: len(story.threads("orphan")) == 2)
    story.on |= dict.fromkeys(story.threads("orphan"), "orphan")


def after(story):
    """What the second agent of a test does."""
    story.release("lone")
    story.release("main")
    story.agent.stop()


class FaultPoints(Case):
    needs = (root, deadline, kernel_admission)

    def points(self, listing):
        """The points of a run, each as often as it was passed."""
        return collections.Counter(listing.read_text().split())

    def choices(self, points):
        for name, passed in sorted(points.items()):
            times = {1, 2, passed} if passed <= MANY or LONG else {1, 2, passed // 2, passed}
            for n in sorted(t for t in times if 1 <= t <= passed):
                yield f"{name}:{n}"

    def one(self, prepare, steps, fault=None, listing=None):
        """Steps on an agent that dies at `fault`; then a plain agent, and the truth. Returns
        whether it died."""
        with Round(self) as round:
            agent = CrashAgent(round, self.template)
            story = Story(round, agent)
            if prepare:
                agent.start_plain()
                prepare(story)
            try:
                if agent.start_faulty(fault, listing):
                    steps(story)
            except (OSError, TaktError):
                wait_for(f"{fault}: the agent is dead", agent.died, 5)
            died = agent.died()
            if agent.running():
                agent.kill9()
            self.truth.restart(agent)
            story.check()
            agent.release_all()
            wait_for("nothing is left of it", lambda: not self.truth.differences(agent), 10)
            return died

    def every_point(self, prepare, steps):
        self.template = state_template(self)
        self.truth = Truth(self)
        listing = Path(self.folder()) / "points"
        self.assertFalse(self.one(prepare, steps, listing=listing))
        points = self.points(listing)
        tried = missed = 0
        for fault in self.choices(points):
            tried += 1
            with self.subTest(fault=fault):
                began = time.monotonic()
                missed += not self.one(prepare, steps, fault)
        print(f"# {len(points)} fault points, {tried} deaths tried, {missed} not reached again")
        self.truth.all_is_back()
        self.assertLess(missed, 1 + tried // 10)

    @test
    def an_agent_that_dies_in_any_operation_loses_nothing(self):
        self.every_point(None, live)

    @test
    def an_agent_that_dies_while_it_recovers_or_ends_loses_nothing(self):
        self.every_point(left_behind, after)
