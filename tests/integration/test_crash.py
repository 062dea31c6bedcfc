# SPDX-License-Identifier: Apache-2.0
"""The agent dies by SIGKILL at each of its fault points, in the middle of each operation; after
it is started again, the store, List, the kernel and the CDI folder must say the same, and what
was answered before the end must hold."""

import collections
import os
import subprocess
from pathlib import Path

from harness import Case, TaktError, deadline, kernel_admission, program, root, test, wait_for
from truth import CrashAgent, Program, Round, Truth, state_template

LONG = os.environ.get("TAKT_LONG") == "1"


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

    def check(self, fault):
        """All that was answered holds in the agent that runs now."""
        found = []

        def holds():
            listed = self.agent.reservations()
            threads = {t["tid"]: r["name"] for r in listed.values() for t in r["threads"]}
            found[:] = [f"{name} is lost" for name in self.there - listed.keys()]
            found[:] += [f"{name} is there again" for name in self.gone & listed.keys()]
            found[:] += [f"{t} of {n} is off" for t, n in self.on.items() if threads.get(t) != n]
            found[:] += [f"{t} of {n} is on" for t, n in self.off.items() if t in threads]
            found[:] += [f"{n}: {r['trouble']}" for n, r in listed.items() if r.get("trouble")]
            return not found

        try:
            wait_for("what was answered holds", holds)
        except AssertionError:
            raise AssertionError(f"{fault}: {'; '.join(found)}; {self.agent.log()}") from None


def live(story):
    """Every operation, each on its own and over another one's state."""
    story.reserve("main")
    story.reserve("all", threads={"all": True}, cores=3)
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


def parent_of(pid):
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return None


def orphan(story):
    """A process of a program, whose parent has ended."""
    story.reserve("orphan", threads={"all": True}, cores=3)
    program = story.bind("orphan", ("sh", "-c", "(sleep 1000 &); sleep 1000; true"))

    def settled():
        """The shell and its two children, one of them without its parent."""
        tids = story.threads("orphan")
        children = tids - {program.pid}
        parents = {parent_of(t) for t in children}
        orphaned = parents - {program.pid, None} and not parents & (children | {None})
        return len(tids) == 3 and orphaned

    wait_for("all of it runs", settled)
    story.on |= dict.fromkeys(story.threads("orphan"), "orphan")


def after(story):
    """What the second agent of a test does."""
    story.release("lone")
    story.release("main")
    story.agent.stop()


class FaultPoints(Case):
    needs = (root, deadline, kernel_admission)

    def choices(self, points):
        for name, passed in sorted(points.items()):
            times = {1, 2, passed, *([passed // 2] if LONG else [])}
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
                wait_for(f"{fault}: the agent is dead", agent.died)
            died = agent.died()
            if agent.running():
                agent.kill9()
            self.truth.restart(agent)
            story.check(fault)
            agent.release_all()
            self.assertIsNone(self.truth.wait(agent, 60), f"{fault}: after all was released")
            return died

    def every_point(self, prepare, steps):
        self.template = state_template(self)
        self.truth = Truth(self)
        listing = Path(self.folder()) / "points"
        self.assertFalse(self.one(prepare, steps, listing=listing))
        points = collections.Counter(listing.read_text().split())
        faults = list(self.choices(points))
        print(f"# {len(points)} fault points, {len(faults)} deaths", flush=True)
        missed = [fault for fault in faults if not self.dies(prepare, steps, fault)]
        print(f"# not reached again: {missed}", flush=True)
        self.truth.all_is_back()
        self.assertLess(len(missed), 1 + len(faults) // 10)

    def dies(self, prepare, steps, fault):
        with self.subTest(fault=fault):
            return self.one(prepare, steps, fault)
        return True  # it failed, and was told of

    @test
    def an_agent_that_dies_in_any_operation_loses_nothing(self):
        self.every_point(None, live)

    @test
    def an_agent_that_dies_while_it_recovers_or_ends_loses_nothing(self):
        self.every_point(left_behind, after)
