# SPDX-License-Identifier: Apache-2.0
"""What must be the same after every crash: the store, the agent's List, the kernel's deadline
threads and bandwidth, and the CDI folder. Used by the tests that kill the agent or fill its disk.
"""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from agent import Agent, program
from kernel import (
    SCHED_DEADLINE,
    SCHED_OTHER,
    SECOND,
    deadline_threads,
    first_line,
    in_child,
    read_limit,
    sched_getattr,
    sched_setattr,
    wait_for,
)

ONE_CPU = 1 << 20  # the kernel's unit of bandwidth
UNIT_PERIOD = ONE_CPU * 1000  # ns: with this period, 1000 ns of runtime are one unit
MARK = "TAKT_TEST"  # in the environment of all that a test starts
# For rounding, and for what the kernel still counts of a taktd that looked what it may do (three
# times 50 us in a second); far below one reservation of a test.
SLACK = 256
FIRST_SECONDS = 3  # before what is left is measured anew, which takes longer


def as_promised(runtime, period):
    """A server's bandwidth as Takt counts and holds it: rounded up."""
    return -(-runtime * ONE_CPU // period)


def as_running(runtime, period):
    """A thread's bandwidth as the kernel counts it: rounded down (to_ratio())."""
    return runtime * ONE_CPU // period


def _shrink(tid):
    """To next to nothing. The kernel refuses that where its sum is wrong, which it is when its limit
    was read before a thread that had ended was taken off (src/node/kernel/limit.h)."""
    try:
        sched_setattr(tid, SCHED_DEADLINE, 1024, 4 * UNIT_PERIOD)
    except OSError:
        read_limit()
        sched_setattr(tid, SCHED_DEADLINE, 1024, 4 * UNIT_PERIOD)


def _take_all():
    """All that the kernel still gives, taken by sleeping threads and given back at once."""
    done, tids, taken = threading.Event(), [], 0

    def sleep():
        tids.append(threading.get_native_id())
        done.wait()

    sleepers = [threading.Thread(target=sleep) for _ in range(os.cpu_count())]
    for sleeper in sleepers:
        sleeper.start()
    while len(tids) < len(sleepers):
        pass
    for tid in tids:
        low, high = 1, ONE_CPU + 1  # two units are the kernel's least
        while high - low > 1:
            middle = (low + high) // 2
            try:
                sched_setattr(tid, SCHED_DEADLINE, middle * 1000, UNIT_PERIOD)
                low = middle
            except OSError:
                high = middle
        taken += low if low > 1 else 0
    for tid in tids:
        # The kernel gives back late what a thread had last: so little that it counts as none.
        if sched_getattr(tid).policy == SCHED_DEADLINE:
            _shrink(tid)
        sched_setattr(tid, SCHED_OTHER)
    done.set()
    return taken


def bandwidth_left(case):
    """What is left for other programs, in units of 1/2^20 CPU, but for SLACK."""
    return in_child(case, _take_all)


def bandwidth_soon(case):
    """The same, a few periods of taktd's own thread after the agent was killed."""
    seen = [bandwidth_left(case)]

    def settled():
        time.sleep(0.05)
        seen.append(bandwidth_left(case))
        return len(seen) > 3 and max(seen[-4:]) - min(seen[-4:]) <= SLACK

    wait_for("other programs neither take nor give back bandwidth", settled)
    return seen[-1]


def bandwidth_at_rest(case):
    """The same, once what ended threads held has come back (a period later at most), and the
    kernel's sum is right."""
    seen = []
    time.sleep(UNIT_PERIOD / SECOND)
    read_limit()

    def at_rest():
        seen.append(bandwidth_left(case))
        time.sleep(UNIT_PERIOD / SECOND)
        return abs(bandwidth_left(case) - seen[-1]) <= SLACK

    wait_for("other programs neither take nor give back bandwidth", at_rest)
    return seen[-1]


def state_template(case):
    """A state folder in which the once-a-boot measurement is written down already."""
    agent = Agent(case).start()
    agent.stop()
    return agent.state_dir


class CrashAgent(Agent):
    """An agent that may die by a fault point, on a copy of a state folder."""

    def __init__(self, case, template=None, **options):
        super().__init__(case, **options)
        self.faulty, self.mkdirs = False, True
        if template:
            shutil.copytree(template, self.state_dir)

    def command(self):
        command = super().command()
        command[0] = program("taktd-faults" if self.faulty else "taktd")
        return command

    def spawn(self):
        if self.mkdirs:
            return super().spawn()
        with open(self.log_path, "a") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log)
        return self

    def start_faulty(self, fault=None, listing=None):
        """Whether it came up; it may die before."""
        self.faulty, self.env = True, {}
        if fault:
            self.env["TAKT_FAULT"] = fault
        if listing:
            self.env["TAKT_FAULT_LIST"] = str(listing)
        self.spawn()
        return wait_for("taktd answers, or is dead", self._up_or_dead) == "up"

    def start_plain(self):
        self.faulty, self.env = False, {}
        return self.start()

    def _up_or_dead(self):
        if self.process.poll() is not None:
            if self.process.returncode != -signal.SIGKILL:
                raise AssertionError(f"taktd ended by itself:\n{self.log()}")
            return "dead"
        try:
            return "up" if self.call("List") else None
        except (FileNotFoundError, ConnectionError):
            return None

    def died(self):
        return self.process.poll() == -signal.SIGKILL


class Round(contextlib.ExitStack):
    """A part of a case, of which there are many: its agents and programs end with it."""

    def __init__(self, case):
        super().__init__()
        self.case, self.agents = case, case.agents

    def addCleanup(self, function, *args):
        self.callback(function, *args)

    def folder(self):
        return self.enter_context(tempfile.TemporaryDirectory(prefix="takt-"))

    def __exit__(self, *details):
        try:
            return super().__exit__(*details)
        finally:
            if details[0] is None:
                self.agents.clear()


class Program:
    """A process to be bound, which becomes `command` by go()."""

    def __init__(self, case, command=("sleep", "1000")):
        self.process = subprocess.Popen(
            ["sh", "-c", 'read go; exec "$@"', "sh", *command],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self.pid = self.process.pid
        # Started means: it is the shell now, not a copy of this program.
        wait_for("the shell runs", lambda: first_line(f"/proc/{self.pid}/comm") == "sh")
        self.gone = False
        case.addCleanup(self.end)

    def go(self):
        if not self.gone and not self.process.stdin.closed:
            self.process.stdin.write(b"\n")
            self.process.stdin.close()

    def end(self):
        """Ends it with all the processes that it started."""
        if self.gone:
            return
        self.gone = True
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        if not self.process.stdin.closed:
            self.process.stdin.close()
        self.process.wait()


class Stored:
    """The store as another program reads it: from a copy, as taktd keeps its own locked."""

    def __init__(self, agent):
        with tempfile.TemporaryDirectory(prefix="takt-") as copy:
            with agent.still():
                for part in agent.state_dir.glob("takt.db*"):
                    shutil.copy(part, copy)
            db = sqlite3.connect(Path(copy) / "takt.db")
            try:
                if db.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
                    raise AssertionError("the store is damaged")
                rows = db.execute(
                    "SELECT r.name, b.pid FROM reservation r"
                    " LEFT JOIN binding b ON b.reservation = r.id"
                ).fetchall()
                self.pids = dict(rows)
                self.threads = db.execute(
                    "SELECT r.name, t.tid FROM thread t JOIN reservation r ON r.id = t.reservation"
                ).fetchall()
            finally:
                db.close()


def _ours(pid):
    """A process that this test started, or one of its processes."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return f"{MARK}={os.getpid()}".encode() in environment


class Truth:
    """Compares everything with everything; made before the agent of the test runs."""

    def __init__(self, case):
        self.case = case
        self.sums = []  # of the first restarts; the kernel may count too little for a while
        os.environ[MARK] = str(os.getpid())

    def restart(self, agent):
        """Starts the agent, which is dead, and waits until all agree; fails with the difference
        that lasts."""
        self._measure(bandwidth_soon)
        if len(self.sums) < 10:
            self.sums.append(self.sum_dead)
        agent.start_plain()
        lasting = self.wait(agent, FIRST_SECONDS)
        # What ended lately gives back late, and then the measured sum was too low; and the kernel
        # counts anew when anybody makes a cpuset.
        for _ in range(3):
            if lasting is None:
                return
            agent.kill9()
            self._measure(bandwidth_at_rest)
            agent.start_plain()
            lasting = self.wait(agent)
        if lasting:
            raise AssertionError(lasting)

    def _running(self, agent=None):
        """Bandwidth of deadline threads that are not the agent's."""
        threads = [t for t in deadline_threads() if not agent or t.pid != agent.pid]
        return sum(as_running(t.runtime, t.period) for t in threads)

    def _measure(self, measure):
        """What is left and running while no agent is there; not more, where others come."""
        before = self._running()
        self.sum_dead = measure(self.case) + min(before, self._running())

    def wait(self, agent, seconds=10):
        """None, or what does not agree."""
        differences = []

        def agree():
            differences[:] = self.differences(agent)
            return not differences

        try:
            wait_for("store, List, kernel and CDI folder agree", agree, seconds)
        except AssertionError:
            return "; ".join(differences)
        return None

    def all_is_back(self):
        """Since the first restarts the machine lost nothing of what agents and programs held."""

        def back():
            self._measure(bandwidth_at_rest)
            return self.sum_dead >= min(self.sums) - SLACK

        wait_for(f"all {min(self.sums)} units of bandwidth are back", back)

    def differences(self, agent):
        listed = agent.reservations()
        found = []
        found += self._store(agent, listed)
        found += self._threads(agent, listed)
        found += self._cdi(agent, listed)
        return found or self._bandwidth(agent, listed)

    def _store(self, agent, listed):
        stored = Stored(agent)
        found = []
        if set(stored.pids) != set(listed):
            found.append(f"store has {sorted(stored.pids)}, List has {sorted(listed)}")
        for name, pid in stored.pids.items():
            state = listed.get(name, {}).get("state")
            if bool(pid) != (state in ("bound", "active")):
                found.append(f"{name}: store has process {pid}, List says {state}")
        for name, tid in stored.threads:
            if tid not in {t["tid"] for t in listed.get(name, {}).get("threads", [])}:
                found.append(f"{name}: thread {tid} is attached in the store, not in List")
        return found

    def _threads(self, agent, listed):
        told = {t["tid"]: r for r in listed.values() for t in r["threads"]}
        seen = {t.tid: t for t in deadline_threads() if t.pid != agent.pid and _ours(t.pid)}
        found = []
        for tid in told.keys() - seen.keys():
            if told[tid]["placement"] != "group":
                found.append(f"{told[tid]['name']}: thread {tid} is not under SCHED_DEADLINE")
        for tid in seen.keys() - told.keys():
            found.append(f"{seen[tid]} runs under SCHED_DEADLINE and nobody promised it")
        for tid in seen.keys() & told.keys():
            want = [told[tid][key] for key in ("runtimeNs", "deadlineNs", "periodNs")]
            have = [seen[tid].runtime, seen[tid].deadline, seen[tid].period]
            if want != have:
                found.append(f"{told[tid]['name']}: {seen[tid]}, promised {want}")
        return found

    def _cdi(self, agent, listed):
        files = {p.name for p in agent.cdi_dir.iterdir()}
        wanted = {f"rt.takt.dev-reservation_{name}.json" for name in listed}
        return [] if files == wanted else [f"CDI folder has {files}, wanted {wanted}"]

    def _bandwidth(self, agent, listed):
        """Placeholders carry what does not run: by their parameters and by what is left."""
        idle = 0
        for r in listed.values():
            on = len(r["threads"]) if r["placement"] == "shared" else 0
            idle += (r["cores"] - on) * as_promised(r["runtimeNs"], r["periodNs"])
        its = [t for t in deadline_threads() if t.pid == agent.pid]
        ours = {t.tid: as_running(t.runtime, t.period) for t in its}
        own = ours.pop(agent.pid, 0)
        left = bandwidth_left(self.case)
        wanted = self.sum_dead - self._running(agent) - own - idle
        found = []
        if abs(sum(ours.values()) - idle) > len(ours):
            found.append(f"placeholders hold {ours}, promised and not running is {idle}")
        if abs(left - wanted) > SLACK:
            found.append(f"{left} units of bandwidth are left, not {wanted}")
        return found
