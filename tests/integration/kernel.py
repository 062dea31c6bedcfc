# SPDX-License-Identifier: Apache-2.0
"""The kernel's own truth about deadline threads, and children that stand for other programs."""

import ctypes
import json
import os
import platform
import signal
import time
from pathlib import Path

MS = 1_000_000
SECOND = 1_000_000_000
WAIT_SECONDS = 60

SCHED_OTHER, SCHED_FIFO, SCHED_DEADLINE = 0, 1, 6
RESET_ON_FORK = 0x01  # SCHED_FLAG_RESET_ON_FORK, include/uapi/linux/sched.h
# sched_setattr and sched_getattr have no wrapper in Debian 12's libc: arch/*/syscall tables.
SETATTR, GETATTR = {"x86_64": (314, 315), "aarch64": (274, 275)}[platform.machine()]

PR_SET_PDEATHSIG = 1  # prctl(2)

_libc = ctypes.CDLL(None, use_errno=True)


class SchedAttr(ctypes.Structure):
    """struct sched_attr of sched_setattr(2), in its first version."""

    _fields_ = [
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    ]


def _syscall(*args):
    if _libc.syscall(*args) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def sched_setattr(tid, policy, runtime=0, period=0, deadline=0, flags=0):
    """Times in ns; deadline 0 is the period; tid 0 is the calling thread."""
    attr = SchedAttr(ctypes.sizeof(SchedAttr), policy, flags, 0, 0)
    if policy == SCHED_DEADLINE:
        attr.runtime, attr.period, attr.deadline = runtime, period, deadline or period
    _syscall(SETATTR, tid, ctypes.byref(attr), 0)


def sched_getattr(tid):
    attr = SchedAttr()
    _syscall(GETATTR, tid, ctypes.byref(attr), ctypes.sizeof(attr), 0)
    return attr


def first_line(path):
    try:
        return Path(path).read_text().splitlines()[0]
    except (OSError, IndexError):
        return ""


class DeadlineThread:
    """A thread under SCHED_DEADLINE, as the kernel tells it; times in ns."""

    def __init__(self, pid, tid, attr):
        self.pid, self.tid, self.comm = pid, tid, first_line(f"/proc/{tid}/comm")
        self.runtime, self.deadline, self.period = attr.runtime, attr.deadline, attr.period
        self.flags = attr.flags

    def __repr__(self):
        times = f"{self.runtime}/{self.deadline}/{self.period} ns"
        return f"{self.comm}({self.tid} of {self.pid}, {times})"


def _numbers_in(folder):
    """The numeric names in a folder of /proc; none where it has gone meanwhile."""
    try:
        return [int(name) for name in os.listdir(folder) if name.isdigit()]
    except OSError:
        return []


def threads_of(pid):
    return _numbers_in(f"/proc/{pid}/task")


def deadline_threads():
    """Every thread of the machine that is under SCHED_DEADLINE, but the kernel's own."""
    found = []
    for pid in _numbers_in("/proc"):
        for tid in threads_of(pid):
            try:
                attr = sched_getattr(tid)
            except OSError:
                continue
            if attr.policy == SCHED_DEADLINE and os.path.exists(f"/proc/{pid}/exe"):
                found.append(DeadlineThread(pid, tid, attr))
    return found


def thread_named(pid, name):
    """The tid of the process's thread of that name, or None."""
    for tid in threads_of(pid):
        if first_line(f"/proc/{pid}/task/{tid}/comm") == name:
            return tid
    return None


def wait_for(what, condition, seconds=WAIT_SECONDS):
    """Waits until condition() is true and returns its value; fails as `what` otherwise."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.01)


def read_limit():
    """Makes the kernel add up its deadline threads anew (Linux 6.15 and later)."""
    return int(first_line("/proc/sys/kernel/sched_rt_runtime_us"))


# Children that stand for other programs


class Child:
    """function(say) in a process of its own; say(object) sends to the parent, which reads it by
    hear(). Ended by end(), and by the case at the latest."""

    def __init__(self, case, function):
        read, write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._be(write, function)
        os.close(write)
        self._lines = os.fdopen(read)
        case.addCleanup(self.end)

    @staticmethod
    def _be(write, function):
        try:
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            function(lambda value: os.write(write, (json.dumps(value) + "\n").encode()))
        except OSError as error:
            os.write(write, (json.dumps({"errno": error.errno}) + "\n").encode())
        finally:
            os._exit(0)

    def hear(self):
        """The next object that the child sends; an OSError that ended it is raised here."""
        line = self._lines.readline()
        if not line:
            raise AssertionError("the child ended without a word")
        value = json.loads(line)
        if isinstance(value, dict) and "errno" in value:
            raise OSError(value["errno"], os.strerror(value["errno"]))
        return value

    def end(self):
        if self.pid is None:
            return
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self._lines.close()
        self.pid = None


def in_child(case, function):
    """What function() returns, called in a process of its own; raises its OSError."""
    child = Child(case, lambda say: say({"value": function()}))
    try:
        return child.hear()["value"]
    finally:
        child.end()


def take_bandwidth(case, runtime, period):
    """Another program that holds deadline bandwidth until its end(); OSError as it was refused."""

    def hold(say):
        sched_setattr(0, SCHED_DEADLINE, runtime, period)
        say(True)
        while True:
            signal.pause()

    child = Child(case, hold)
    child.hear()
    return child


def spin(case, cpu=None):
    """A program that never yields."""

    def burn(say):
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})
        say(True)
        while True:
            pass

    child = Child(case, burn)
    child.hear()
    return child


def work_periodically(case, work, period):
    """A program that computes for `work` ns of CPU time in every `period` ns."""

    def jobs(say):
        say(True)
        release = time.monotonic_ns()
        while True:
            done = time.thread_time_ns() + work
            while time.thread_time_ns() < done:
                pass
            release += period
            time.sleep(max(0, release - time.monotonic_ns()) / SECOND)

    child = Child(case, jobs)
    child.hear()
    return child
