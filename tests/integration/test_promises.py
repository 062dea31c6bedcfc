# SPDX-License-Identifier: Apache-2.0
"""A yes means yes: random reservations beside another program that takes and gives back deadline
bandwidth all the time, and the responses of real programs against the promised bound."""

import json
import os
import random
import re
import subprocess
import time
from pathlib import Path

from harness import *  # noqa: F401,F403
from harness import (
    MS,
    SCHED_DEADLINE,
    Agent,
    Case,
    Child,
    TaktError,
    agent,
    connector,
    deadline,
    root,
    sched_getattr,
    sched_setattr,
    spin,
    test,
    thread_named,
    threads_of,
    wait_for,
)
from puppet import recount, settled
from rt_app import jobs_in
from taken import Taken
from truth import SLACK, bandwidth_at_rest

LONG = os.environ.get("TAKT_LONG") == "1"
STEPS = 5000 if LONG else 1500
SLEEPERS = 6
SECONDS = 520 if LONG else 5  # of measured jobs: 100 of rt-app, 500 of cyclictest in each


class RtApp:
    """About 0.5 ms of work every 10 ms; its log is its own word."""

    def __init__(self, case):
        self._folder = Path(case.folder())
        config = {
            "global": {
                "duration": SECONDS + 3,
                "calibration": "CPU0",
                "logdir": str(self._folder),
                "log_basename": "rt-app",
            },
            "tasks": {
                "control": {
                    "loop": -1,
                    "run": 500,
                    "timer": {"ref": "unique", "period": 10_000, "mode": "absolute"},
                }
            },
        }
        path = self._folder / "rt-app.json"
        path.write_text(json.dumps(config))
        self._process = subprocess.Popen(
            ["rt-app", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        case.addCleanup(self._process.wait)
        case.addCleanup(self._process.kill)
        self.tid = wait_for(
            "rt-app has its thread", lambda: thread_named(self._process.pid, "control"), 60
        )

    def begin(self):
        """Jobs that are released from now on count."""
        self._since = time.monotonic_ns() // 1000 + 10_000

    def jobs(self):
        """(end, response) of each in ns, when it is done."""
        self._process.wait(SECONDS + 60)
        jobs = []
        for row in jobs_in(self._folder / "rt-app-control-0.log"):
            # src/client/cli/report_log.c says where these come from.
            if row["c_period"] and row["start"] > self._since:
                jobs.append((row["end"] * 1000, (row["c_period"] - row["slack"]) * 1000))
        return jobs


class Cyclictest:
    """Next to no work every millisecond; it prints the worst time from its timer to its run."""

    def __init__(self, case):
        command = [
            "cyclictest", "--quiet", "--policy=other", "--interval=2000",
            f"--loops={SECONDS * 500}", "--threads=1", "--default-system",
        ]  # fmt: skip
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        case.addCleanup(self._process.wait)
        case.addCleanup(self._process.kill)
        wait_for("cyclictest has its thread", lambda: len(threads_of(self._process.pid)) == 2)
        self.tid = max(threads_of(self._process.pid))
        os.sched_setaffinity(self.tid, range(os.cpu_count()))  # it pins its threads

    def worst(self):
        out, _ = self._process.communicate(timeout=3 * SECONDS + 30)
        return int(re.search(r"Max:\s*(\d+)", out).group(1)) * 1000


def take_and_give_back(case):
    """Another program: tries a random share, keeps it a moment, gives it back; for ever."""

    def loop(say):
        say(True)
        rng = random.Random(os.getpid())
        while True:
            period = rng.choice((10, 20, 50, 100)) * MS
            try:
                sched_setattr(0, SCHED_DEADLINE, int(period * rng.uniform(0.02, 0.5)), period)
                time.sleep(rng.uniform(0.0005, 0.01))
                sched_setattr(0, 0)
            except OSError:
                time.sleep(0.0005)

    child = Child(case, loop)
    child.hear()
    return child


class Walk:
    """Random steps, and what must be true after each."""

    def __init__(self, case, agent, rng):
        self.case, self.agent, self.rng = case, agent, rng
        self.door = agent.connect()
        self.held, self.attached = {}, {}
        self.alone = False  # no other program takes deadline bandwidth
        self.yes = self.no = self.ran = 0
        self.sleepers = [subprocess.Popen(["sleep", "1000"]) for _ in range(SLEEPERS)]
        for s in self.sleepers:
            case.addCleanup(s.wait)
            case.addCleanup(s.kill)

    def reserve(self, number):
        period = self.rng.choice((5, 10, 20, 40, 100)) * MS
        runtime = max(100_000, int(period * self.rng.uniform(0.01, 0.6)))
        name = f"walk-{number}"
        spec = {
            "runtime": f"{runtime}ns",
            "period": f"{period}ns",
            "guarantee": self.rng.choice(("hard", "soft")),
            "threads": {"attach": True},
        }
        document = {
            "apiVersion": "rt.takt.dev/v1alpha1",
            "kind": "Reservation",
            "metadata": {"name": name},
            "spec": spec,
        }
        try:
            self.door.call("Reserve", document=document)
        except TaktError as error:
            self.case.assertEqual(error.name, "DoesNotFit", error.reason)
            if self.alone:  # else admission said yes, and the kernel EBUSY
                self.case.assertNotRegex(error.reason, "other programs|kernel grants less")
            self.no += 1
            return
        self.yes += 1
        self.held[name] = (runtime, period)

    def run(self):
        """A promise is for running: the thread must really come under it."""
        free = [s.pid for s in self.sleepers if s.pid not in self.attached.values()]
        idle = [n for n in self.held if n not in self.attached]
        if not free or not idle:
            return
        name, pid = self.rng.choice(idle), self.rng.choice(free)
        self.door.call("Attach", name=name, tids=[pid])
        attr = sched_getattr(pid)
        self.case.assertEqual(
            (attr.policy, attr.runtime, attr.period),
            (SCHED_DEADLINE, *self.held[name]),
        )
        self.attached[name] = pid
        self.ran += 1

    def detach(self):
        if self.attached:
            name = self.rng.choice(list(self.attached))
            pid = self.attached.pop(name)
            self.door.call("Detach", name=name, tids=[pid])
            self.case.assertNotEqual(sched_getattr(pid).policy, SCHED_DEADLINE)

    def release(self):
        if self.held:
            name = self.rng.choice(list(self.held))
            self.door.call("Release", name=name)
            del self.held[name]
            pid = self.attached.pop(name, None)
            if pid:
                self.case.assertNotEqual(sched_getattr(pid).policy, SCHED_DEADLINE)

    def step(self, number):
        choice = self.rng.random()
        if choice < 0.4:
            self.reserve(number)
        elif choice < 0.6:
            self.run()
        elif choice < 0.7:
            self.detach()
        else:
            self.release()

    def end(self):
        while self.held:
            self.release()
        self.door.close()


class Promises(Case):
    needs = (root, deadline, connector, agent)

    @test
    def a_yes_never_meets_ebusy_while_another_program_takes_and_gives_back(self):
        settled()
        recount()  # whatever tests before this one left the kernel with
        before = bandwidth_at_rest(self)
        seed = int(os.environ.get("TAKT_SEED", time.time_ns() % 1_000_000))
        taktd = Agent(self).start()
        other = take_and_give_back(self)
        walk = Walk(self, taktd, random.Random(seed))
        for number in range(STEPS):
            walk.step(number)
        other.end()
        walk.alone = True
        for number in range(STEPS, STEPS + STEPS // 3):
            walk.step(number)
        walk.end()
        print(
            f"# seed {seed}: {STEPS + STEPS // 3} steps, {walk.yes} yes, {walk.no} no, "
            f"{walk.ran} threads came under their reservation",
            flush=True,
        )
        # That what is hard is not proven beside the other program is told, and is no refusal.
        refused = [line for line in taktd.log().splitlines() if "is not under it" in line]
        self.assertEqual(refused, [])
        self.assertEqual(taktd.stop(), 0)
        self.assertAlmostEqual(bandwidth_at_rest(self), before, delta=SLACK)

    @test
    def responses_stay_below_the_bound_beside_neighbours_that_never_yield(self):
        taktd = Agent(self).start()
        for name, runtime in (("rt-app", "2.5ms"), ("cyclictest", "1ms")):
            self.assertEqual(taktd.reserve(name, runtime, "10ms")["boundNs"], 10 * MS)
        taktd.reserve("hog", "500us", "10ms", threads={"all": True})
        worker = RtApp(self)
        taktd.call("Attach", name="rt-app", tids=[worker.tid])
        with Taken() as taken:
            # The load comes last: cyclictest counts from its start.
            latency = Cyclictest(self)
            taktd.call("Attach", name="cyclictest", tids=[latency.tid])
            taken.watch(worker.tid)
            taken.watch(latency.tid)
            for _ in range(2 * os.cpu_count()):
                spin(self)
            taktd.call("Attach", name="hog", tids=[spin(self).pid])
            worker.begin()
            jobs, latest = worker.jobs(), latency.worst()
        print(
            f"# rt-app: {len(jobs)} jobs, worst response {max(r for _, r in jobs) / MS:.3f} ms; "
            f"cyclictest: {SECONDS * 500} jobs, {latest / MS:.3f} ms; promised 10 ms",
            flush=True,
        )
        self.assertGreater(len(jobs), 0)
        for end, response in jobs:
            if response > 10 * MS:
                release, budget = end - response, (2.5 * MS, 10 * MS)
                self.assertTrue(taken.explains(worker.tid, release, response, *budget))
        if latest > 10 * MS:
            self.assertTrue(taken.explains_worst(latency.tid, latest, MS, 10 * MS))
