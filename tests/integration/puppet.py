# SPDX-License-Identifier: Apache-2.0
"""Programs that do as a test tells them (programs/puppet.c), also inside containers, and what the
kernel says of their threads."""

import os
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

from agent import program
from harness import Container
from kernel import (
    SCHED_DEADLINE,
    SCHED_OTHER,
    WAIT_SECONDS,
    Child,
    sched_getattr,
    sched_setattr,
    thread_named,
    threads_of,
    wait_for,
)

CDI_DIR = "/var/run/cdi"
DEVICE = "rt.takt.dev/reservation"
RT_RUNTIME = Path("/proc/sys/kernel/sched_rt_runtime_us")
RT_GROUP = Path("/sys/fs/cgroup/cpu/cpu.rt_runtime_us")


def rt_groups():
    if RT_GROUP.exists():
        return None
    return "no RT groups of the v1 cpu controller here"


class PuppetError(Exception):
    """The puppet could not do it."""


class Puppet:
    """One process. Threads are named; "main" is the first."""

    def __init__(self, connection):
        self._connection = connection
        connection.settimeout(WAIT_SECONDS)
        who = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        self.pid = struct.unpack("3i", who)[0]
        self._expect_hello()

    def _expect_hello(self):
        text = self._connection.recv(8192).decode()
        if text != "hello":
            raise PuppetError(text or "it is gone")

    def tell(self, *words):
        self._connection.send(" ".join(map(str, words)).encode())
        text = self._connection.recv(8192).decode()
        if not text.startswith("ok"):
            raise PuppetError(text.removeprefix("error ") or "it is gone")
        return text[3:]

    def start(self, *names):
        for name in names:
            self.tell("start", name)

    def do(self, thread, *verb):
        return self.tell("do", thread, *verb)

    def exec(self, thread="main"):
        """It becomes its program anew, by that thread."""
        self._connection.send(f"do {thread} exec".encode())
        self._expect_hello()

    def become(self, program):
        """It becomes another copy of its program."""
        self._connection.send(f"do main exec {program}".encode())
        self._expect_hello()

    def quit(self, status=0):
        try:
            self._connection.send(f"quit {status}".encode())
            self._connection.recv(1)
        except OSError:
            pass

    def tid(self, thread):
        """The host's number of that thread, by the name that the kernel has for it."""
        if thread == "main":
            return self.pid
        return thread_named(self.pid, thread)

    def on(self):
        """The tids of its threads that are under SCHED_DEADLINE."""
        return {tid for tid in threads_of(self.pid) if is_on(tid)}

    def close(self):
        self._connection.close()


class Stage:
    """Where puppets come to; all of them end when the test does."""

    def __init__(self, case):
        self._case = case
        self.folder = case.folder()
        self.path = os.path.join(self.folder, "stage")
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(self.path)
        self._listener.listen(64)
        self._listener.settimeout(WAIT_SECONDS)
        case.addCleanup(self._listener.close)

    def next(self):
        """The next puppet that comes; they see its end when the test is over, and end."""
        try:
            puppet = Puppet(self._listener.accept()[0])
        except TimeoutError:
            raise AssertionError(f"no puppet came within {WAIT_SECONDS} s") from None
        self._case.addCleanup(puppet.close)
        return puppet

    def command(self):
        return [program("puppet"), self.path]

    def start(self, *before):
        """A puppet that is started by this test; `before` is put in front of its command."""
        process = subprocess.Popen([*before, *self.command()], stdin=subprocess.DEVNULL)
        self._case.addCleanup(process.wait)
        puppet = self.next()
        puppet.process = process
        return puppet

    def container(self, reservation, options=()):
        """A puppet as the program of a new container that holds the reservation."""
        box = Container(self._case, self.command(), self.options(reservation, *options))
        puppet = self.arrival(box)
        puppet.container = box
        return puppet

    def options(self, reservation, *more):
        return ["--device", f"{DEVICE}={reservation}", "-v", f"{self.folder}:{self.folder}", *more]

    def arrival(self, box):
        self._listener.settimeout(0.05)
        try:
            return wait_for(f"the program of {box.name} begins", lambda: self._came(box))
        finally:
            self._listener.settimeout(WAIT_SECONDS)

    def _came(self, box):
        if box.process.poll() is not None:
            raise AssertionError(f"podman ended: {box.process.communicate()}")
        try:
            puppet = Puppet(self._listener.accept()[0])
        except TimeoutError:
            return None
        self._case.addCleanup(puppet.close)
        return puppet


def is_on(tid):
    """The kernel's word: whether the thread is under SCHED_DEADLINE."""
    try:
        return sched_getattr(tid).policy == SCHED_DEADLINE
    except OSError:
        return False


class Watcher:
    """Looks at something over and over, from a thread of its own, until stop(): `seen` are the
    different values in their order, `count` is how often it looked."""

    def __init__(self, look):
        self.seen, self.count, self._look = [], 0, look
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        last = False
        while not last:
            last = self._stop.is_set()  # and once more after that
            value = self._look()
            self.count += 1
            if not self.seen or self.seen[-1] != value:
                self.seen.append(value)
            time.sleep(0)

    def stop(self):
        self._stop.set()
        self._thread.join()
        return self


# What the kernel still gives

HOLD_PERIOD = (1 << 20) * 1000  # a runtime of N us is N / 2^20 of a CPU (kernel/sched/core.c)
HOLD_LEAST = 2


def settled():
    """Waits until the kernel counts no thread any more that has ended. It does so up to a period
    after, and a placeholder's period is the longest: a second."""
    time.sleep(1.2)


def recount():
    """Has the kernel count its deadline threads anew, as it does whenever a cpuset of cgroup v1
    comes or goes (kernel/cgroup/cpuset.c, dl_rebuild_rd_accounting): it then forgets threads that
    have just ended, and takes them off later all the same, so that its sum is too low until the
    next time. A container's end is such a moment."""
    base = Path("/sys/fs/cgroup/cpuset")
    if not (base / "cpuset.cpus").exists():
        return
    group = base / f"takt-test-{os.getpid()}"
    group.mkdir()
    try:
        (group / "cpuset.cpus").write_text((base / "cpuset.cpus").read_text())
    finally:
        group.rmdir()


class KernelRest:
    """Programs that sleep, to which the kernel gives all that is left of SCHED_DEADLINE. What they
    keep in between is the least there is, as the kernel takes back at once only what shrinks."""

    def __init__(self, case):
        self._children = [Child(case, self._sleep) for _ in range(os.cpu_count() + 1)]
        for child in self._children:
            child.hear()
            case.addCleanup(self._let_go, child)
            self._give(child, HOLD_LEAST)

    @staticmethod
    def _sleep(say):
        say(True)
        time.sleep(600)

    @staticmethod
    def _let_go(child):
        """With 2 us in each second, it would take minutes to die."""
        sched_setattr(child.pid, SCHED_OTHER)

    @staticmethod
    def _give(child, units):
        try:
            sched_setattr(child.pid, SCHED_DEADLINE, units * 1000, HOLD_PERIOD)
        except OSError:
            return False
        return True

    def _fill(self, child):
        low, high = HOLD_LEAST, 1 << 20
        while low < high:
            middle = (low + high + 1) // 2
            if self._give(child, middle):
                low = middle
            else:
                high = middle - 1
        return low

    def units(self):
        """All that other programs could get right now, in 2^-20 of a CPU: taken to the last unit,
        and given back."""
        taken = sum(self._fill(child) for child in self._children)
        for child in self._children:
            self._give(child, HOLD_LEAST)
        return taken

    def settled(self):
        """units(), when what ended before is no longer counted."""
        settled()
        recount()
        time.sleep(1)  # a cpuset that went is counted without a moment later
        return self.units()

    def expect(self, units):
        """So much is free, at last. The kernel rounds down what a thread has (to_ratio() in
        kernel/sched/core.c), a placeholder holds what is rounded up: one unit for each thread."""
        seen = []

        def as_expected():
            recount()
            time.sleep(0.3)
            seen.append(self.units())
            return abs(seen[-1] - units) <= 2

        try:
            wait_for(f"{units} of 2^20 are free", as_expected)
        except AssertionError as error:
            raise AssertionError(f"{error}; {sorted(set(seen))} were") from None


def remove_device(name):
    """The CDI file of a reservation, where its agent could not remove it."""
    Path(CDI_DIR, f"rt.takt.dev-reservation_{name}.json").unlink(missing_ok=True)


def q20(runtime, period):
    """A server's bandwidth as Takt counts it: rounded up."""
    return -(-(runtime << 20) // period)


def rt_shares():
    """The RT runtime and period of every group of the v1 cpu controller."""
    base, found = Path("/sys/fs/cgroup/cpu"), {}
    for file in base.rglob("cpu.rt_runtime_us"):
        try:
            period = (file.parent / "cpu.rt_period_us").read_text()
            found[str(file.parent.relative_to(base))] = (int(file.read_text()), int(period))
        except OSError:
            continue
    return found


def write_limit(value):
    """The administrator's sysctl, and the root RT group of cgroup v1, which must be within it; the
    kernel refuses while what has just ended is still counted."""
    settled()

    def written():
        try:
            if value.strip() != "-1" and RT_GROUP.exists():
                if int(RT_GROUP.read_text()) > int(value):
                    RT_GROUP.write_text(value)
            RT_RUNTIME.write_text(value)
            if value.strip() != "-1" and RT_GROUP.exists():
                RT_GROUP.write_text(value)
        except OSError:
            recount()
            return False
        return RT_RUNTIME.read_text().strip() == value.strip()

    wait_for(f"sched_rt_runtime_us is {value}", written)
