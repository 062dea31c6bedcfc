#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What taktd costs on this machine: a table beside the figures to beat. Asserts nothing."""

import argparse
import json
import os
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))
from agent import Agent, program  # noqa: E402

RESERVES = 100
EXECS = 200
PAUSE = 0.05  # seconds between two program starts; without one taktd needs more than it reserved
HOOKS = 100
IDLE_SECONDS = 10


class Ground:
    """What Agent needs of a test case: a folder, and an end."""

    def __init__(self):
        self.agents, self.cleanups = [], []

    def folder(self, under=None):
        made = tempfile.TemporaryDirectory(prefix="takt-bench-", dir=under)
        self.cleanups.append(made.cleanup)
        return made.name

    def addCleanup(self, function, *args):
        self.cleanups.append(lambda: function(*args))

    def end(self):
        for clean in reversed(self.cleanups):
            clean()


def quantile(values, q):
    return sorted(values)[min(len(values) - 1, int(q * len(values)))]


def timed(function):
    begun = time.monotonic()
    function()
    return time.monotonic() - begun


def row(what, measured, limit):
    print(f"{what:<58} {measured:<34} {limit}")


def bench_reserve(agent):
    """Side by side, in turns: one SQLite commit with fsync on the disk of taktd's, and a Reserve."""
    plain = sqlite3.connect(agent.folder / "plain.db", isolation_level=None)
    plain.execute("PRAGMA journal_mode=WAL")
    plain.execute("PRAGMA synchronous=FULL")
    plain.execute("CREATE TABLE t (name TEXT, document TEXT)")
    commits, reserves, releases = [], [], []
    with agent.connect() as door:

        def reserve(name):
            spec = {"runtime": "1ms", "period": "100ms"}
            door.call(
                "Reserve",
                document={
                    "apiVersion": "rt.takt.dev/v1alpha1",
                    "kind": "Reservation",
                    "metadata": {"name": name},
                    "spec": spec,
                },
            )

        for i in range(RESERVES):
            commits.append(
                timed(lambda: plain.execute("INSERT INTO t VALUES (?, ?)", (f"r{i}", "x" * 300)))
            )
            reserves.append(timed(lambda: reserve(f"bench-{i}")))
            releases.append(timed(lambda: door.call("Release", name=f"bench-{i}")))
    commit, reserve_s, release = map(statistics.median, (commits, reserves, releases))
    row("one fsync'd SQLite commit, median", f"{commit * 1e3:.2f} ms", "")
    row("reserve, median", f"{reserve_s * 1e3:.2f} ms = {reserve_s / commit:.2f} commits", "<= 3")
    row("release, median", f"{release * 1e3:.2f} ms = {release / commit:.2f} commits", "")


class Untraceable(Exception):
    """What the kernel would have to be built with."""


class Trace:
    """The kernel's own record of two moments, in an ftrace instance of our own: a program's exec
    (sched_process_exec), and taktd's sched_setattr(2) on it coming back."""

    ROOT = Path("/sys/kernel/tracing")
    EVENTS = ("sched/sched_process_exec", "syscalls/sys_enter_sched_setattr",
              "syscalls/sys_exit_sched_setattr")
    LINE = re.compile(r"-(\d+)\s+\[\d+\]\s+\S+\s+(\d+)\.(\d{6}): (\w+)(.*)")

    def __init__(self):
        if not (self.ROOT / "events").exists():
            subprocess.run(["mount", "-t", "tracefs", "none", self.ROOT], capture_output=True)
        missing = [e for e in self.EVENTS if not (self.ROOT / "events" / e).exists()]
        if missing:
            raise Untraceable(
                f"the kernel does not trace {missing[0]}: CONFIG_FTRACE_SYSCALLS is needed"
            )
        self.folder = self.ROOT / f"instances/takt-bench-{os.getpid()}"
        self.folder.mkdir()
        (self.folder / "trace_clock").write_text("mono")
        for event in self.EVENTS:
            (self.folder / "events" / event / "enable").write_text("1")

    def until_reserved(self, pid):
        """Microseconds from the exec of pid until its policy was set; forgets what came before."""
        began, callers, found = None, set(), None
        for line in (self.folder / "trace").read_text().splitlines():
            if not (match := self.LINE.search(line)):
                continue
            thread, at = int(match[1]), int(match[2]) * 1000000 + int(match[3])
            if match[4] == "sched_process_exec" and thread == pid:
                began, found = at, None
            elif asked := re.match(r"\(pid: (\w+),", match[5]):
                (callers.add if int(asked[1], 16) == pid else callers.discard)(thread)
            elif match[5] == " -> 0x0" and thread in callers and began and found is None:
                found = at - began
        (self.folder / "trace").write_text("")
        return found

    def end(self):
        self.folder.rmdir()


def run_probe(agent, trace):
    """Until the kernel had it under its reservation, in us; None where the program never was."""
    command = [program("takt"), "--socket", str(agent.socket), "run", "-q", "2ms", "-p", "20ms"]
    done = subprocess.run([*command, "--", program("exec_probe")], capture_output=True, text=True)
    return None if done.returncode else trace.until_reserved(int(done.stdout))


def bench_exec(agent, loaded, pause, what):
    load = None
    try:
        trace = Trace()
    except Untraceable as why:
        row(f"exec until under its reservation, {what}", "not measured", str(why))
        return
    if loaded:
        n = 3 * os.cpu_count()
        load = subprocess.Popen(
            ["stress-ng", "--quiet", "--cpu", str(n)], stdout=subprocess.DEVNULL
        )
        time.sleep(0.5)
    found = []
    try:
        for _ in range(EXECS):
            found.append(run_probe(agent, trace))
            time.sleep(pause)
    finally:
        trace.end()
        if load:
            load.terminate()
            load.wait()
    good = [us for us in found if us is not None]
    row(
        f"exec until under its reservation, {what}",
        f"median {quantile(good, 0.5)} us, p99 {quantile(good, 0.99)} us, max {max(good)} us",
        "p99 <= 1000 us" if loaded and pause else "",
    )
    if len(good) < len(found):
        row("  never under it", f"{len(found) - len(good)} of {len(found)}", "0")


def bench_hook(agent):
    """A process that waits stands for a container's init; the hook's whole life is timed."""
    hook, true = program("takt-hook"), []
    times = []
    agent.reserve("hooked", "1ms", "100ms")
    for _ in range(HOOKS):
        child = subprocess.Popen(["sleep", "60"])
        state = json.dumps({"ociVersion": "1.0.2", "id": "bench", "status": "creating",
                            "pid": child.pid, "bundle": "/"})
        command = [hook, "bind", "--socket", str(agent.socket), "--reservation", "hooked"]
        begun = time.monotonic()
        subprocess.run(command, input=state, text=True, check=True)
        times.append(time.monotonic() - begun)
        true.append(timed(lambda: subprocess.run(["true"], input=state, text=True, check=True)))
        child.kill()
        child.wait()
        while agent.call("List", name="hooked")["reservations"][0]["state"] != "held":
            time.sleep(0.001)
    agent.call("Release", name="hooked")
    hook_s, true_s = statistics.median(times), statistics.median(true)
    row("hook, median, beside running `true`",
        f"{hook_s * 1e3:.2f} ms, {true_s * 1e3:.2f} ms: adds {(hook_s - true_s) * 1e3:.2f} ms",
        "<= 3 ms")
    stripped = agent.folder / "hook"
    subprocess.run(["strip", "-o", stripped, hook], check=True)
    row("takt-hook, static, stripped", f"{stripped.stat().st_size / 1024:.0f} KiB", "<= 1024 KiB")


def cpu_ns(pid):
    return sum(
        int((task / "schedstat").read_text().split()[0])
        for task in Path(f"/proc/{pid}/task").iterdir()
    )


def idle_share(agent):
    """Of a CPU, as a percentage, while nothing changes."""
    time.sleep(1)
    before = cpu_ns(agent.pid)
    time.sleep(IDLE_SECONDS)
    return 100 * (cpu_ns(agent.pid) - before) / (IDLE_SECONDS * 1e9)


def bench_idle(agent):
    for i in range(100):
        agent.reserve(f"idle-{i}", "100us", "100ms", guarantee="soft")
    used = idle_share(agent)
    status = Path(f"/proc/{agent.pid}/status").read_text()
    rss = next(int(x.split()[1]) for x in status.splitlines() if x.startswith("VmRSS"))
    row("taktd with 100 reservations, resident", f"{rss / 1024:.1f} MiB", "<= 8 MiB")
    row(f"taktd with 100 reservations, idle for {IDLE_SECONDS} s",
        f"{used:.4f} % of a CPU", "<= 0.1 %")
    sleepers = [subprocess.Popen(["sleep", "1000"]) for _ in range(100)]
    for i, sleeper in enumerate(sleepers):
        agent.call("Attach", name=f"idle-{i}", tids=[sleeper.pid])
    row("  while a sleeping thread runs under each", f"{idle_share(agent):.4f} % of a CPU", "<= 0.1 %")
    for sleeper in sleepers:
        sleeper.kill()
        sleeper.wait()
    agent.release_all()


def main():
    argparse.ArgumentParser(description=__doc__).parse_args()
    ground = Ground()
    try:
        agent = Agent(ground)
        # Where systemd has /run: what need not outlive a boot is in memory, promises are on the disk.
        agent.cdi_dir, agent.run_dir = (Path(ground.folder("/dev/shm")) for _ in range(2))
        agent.start()
        row("what", "measured", "to hold")
        bench_reserve(agent)
        bench_hook(agent)
        bench_exec(agent, False, PAUSE, "idle machine")
        bench_exec(agent, True, PAUSE, "every CPU overloaded")
        bench_exec(agent, True, 0, "overloaded, no pause between")
        bench_idle(agent)
    finally:
        ground.end()


if __name__ == "__main__":
    main()
