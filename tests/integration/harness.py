# SPDX-License-Identifier: Apache-2.0
"""What an integration test needs, all of it from here: the agent and its door (agent.py), the
kernel's truth (kernel.py), containers, and a check after every test that nothing was left.

A test file holds classes derived from Case. A test is a method marked @test whose name is a
sentence; what it needs of the machine it names there, @test(needs=[root, deadline]), or as
`needs` of the class, and it is skipped with the probe's reason where that is not had.
"""

import errno
import functools
import os
import shutil
import socket
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from agent import *  # noqa: F401,F403
from agent import TaktError, program
from kernel import *  # noqa: F401,F403
from kernel import (
    MS,
    SCHED_DEADLINE,
    deadline_threads,
    first_line,
    read_limit,
    sched_setattr,
    wait_for,
)

PROBE_PERIOD_MS = 10

# Probes: None where the machine has it, otherwise the reason to skip


def _probe(function):
    return functools.lru_cache(maxsize=None)(function)


@_probe
def root():
    return None if os.geteuid() == 0 else "needs root"


def error_in_child(function):
    """The errno of the OSError that ends function() in a child; 0: it ends well."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
        except OSError as error:
            os._exit(error.errno)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@_probe
def deadline():
    def take():
        sched_setattr(0, SCHED_DEADLINE, MS // 10, PROBE_PERIOD_MS * MS)

    code = error_in_child(take)
    if code == errno.EBUSY:
        read_limit()  # what a program before has left the kernel with
        code = error_in_child(take)
    # Until then the kernel counts it, and reading the limit would take it off twice.
    time.sleep(PROBE_PERIOD_MS / 1000)
    return None if code == 0 else f"SCHED_DEADLINE is refused here: {os.strerror(code)}"


@_probe
def two_cpus():
    return None if len(os.sched_getaffinity(0)) >= 2 else "needs two CPUs"


@_probe
def kernel_admission():
    text = first_line("/proc/sys/kernel/sched_rt_runtime_us")
    if text == "-1":
        return "sched_rt_runtime_us is -1: the kernel admits everything"
    return None


CN_IDX_PROC, CN_VAL_PROC = 1, 1  # include/uapi/linux/connector.h


@_probe
def connector():
    """The process-event connector lets us listen (include/uapi/linux/cn_proc.h)."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 11) as s:
            s.settimeout(2)
            s.bind((0, CN_IDX_PROC))
            listen = (1).to_bytes(4, "little")
            message = b"".join(n.to_bytes(4, "little") for n in (CN_IDX_PROC, CN_VAL_PROC, 0, 0))
            message += len(listen).to_bytes(2, "little") + bytes(2) + listen
            header = (16 + len(message)).to_bytes(4, "little") + (3).to_bytes(2, "little")
            s.send(header + bytes(10) + message)
            s.recv(4096)
    except OSError as error:
        return f"the process-event connector does not answer: {error}"
    return None


@_probe
def podman():
    for program in ("podman", "runc"):
        if not shutil.which(program):
            return f"{program} is not installed"
    tried = subprocess.run(_podman_run(["true"]), capture_output=True, text=True)
    if tried.returncode:
        return f"podman cannot run a container here: {tried.stderr.strip()[-200:]}"
    return None


@_probe
def systemd():
    """Its tools; that it is the machine's init is not needed."""
    for program in ("systemd-analyze", "systemd-socket-activate"):
        if not shutil.which(program):
            return f"{program} is not installed"
    return None


@_probe
def agent():
    return None if program("taktd") else "taktd is not built"


# Containers


def _podman_run(command, options=()):
    # Where CAP_SYS_RESOURCE is missing, runtimes may not raise limits: ask for ones that fit.
    # The host's own root under an overlay serves as image, so that no registry is needed.
    fixed = "--rm --network none --ulimit nofile=1024:1024 --ulimit nproc=1024:1024".split()
    runtime = ["podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs"]
    return [*runtime, "run", *fixed, *options, "--rootfs", "/:O", *command]


class Container:
    """A podman container that runs `command` in the background, until end()."""

    def __init__(self, case, command, options=()):
        self.name = f"takt-test-{os.getpid()}-{len(case.containers)}"
        case.containers.append(self)
        case.addCleanup(self.end)
        self.process = subprocess.Popen(
            _podman_run(command, ["--name", self.name, *options]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def pid(self):
        """The host's pid of its first process, once it runs."""
        return wait_for(f"container {self.name} runs", self._pid)

    def _pid(self):
        if self.process.poll() is not None:
            out, err = self.process.communicate()
            raise AssertionError(f"podman ended with {self.process.returncode}: {out}{err}")
        shown = subprocess.run(
            ["podman", "inspect", "--format", "{{.State.Pid}}", self.name],
            capture_output=True,
            text=True,
        )
        return int(shown.stdout or 0) if shown.returncode == 0 else 0

    def wait(self, seconds=60):
        """Waits for its end; returns (status, stdout, stderr)."""
        out, err = self.process.communicate(timeout=seconds)
        return self.process.returncode, out, err

    def end(self):
        subprocess.run(["podman", "rm", "--force", "--time", "0", self.name], capture_output=True)
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


# The case


def test(function=None, *, needs=()):
    """Marks a method as a test; its name is a sentence."""

    def mark(method):
        method.is_test = True
        method.needs = tuple(needs)
        return method

    return mark(function) if function else mark


CDI_FOLDERS = ("/etc/cdi", "/var/run/cdi")
# podman's own, made once and kept for all its containers.
KEPT_CGROUPS = ("libpod_parent", "libpod_parent/conmon", "machine.slice")


def _cgroups():
    base = "/sys/fs/cgroup"
    found = {os.path.relpath(folder, base) for folder, _, _ in os.walk(base)}
    ours = (c for c in found if "takt" in c or "libpod" in c)
    return {c for c in ours if not c.endswith(KEPT_CGROUPS)}


class Machine:
    """What a test may leave as it found it: deadline threads, CDI files, cgroups."""

    def __init__(self):
        self.threads = {t.tid: t for t in deadline_threads()}
        self.files = {f for d in CDI_FOLDERS for f in Path(d).glob("*")}
        self.cgroups = _cgroups()

    def added_since(self, before):
        threads = [repr(t) for tid, t in self.threads.items() if tid not in before.threads]
        files = [str(f) for f in self.files - before.files]
        return threads + files + sorted(self.cgroups - before.cgroups)


class Case(unittest.TestCase):
    """A group of tests. After each, nothing may be left that was not there before."""

    needs = ()
    left_seconds = 60  # what ends may take so long to be gone

    def setUp(self):
        method = getattr(self, self._testMethodName)
        for probe in (*self.needs, *method.needs):
            reason = probe()
            if reason:
                self.skipTest(reason)
        self.agents, self.containers = [], []
        self.addCleanup(self._show_logs)
        self.addCleanup(self._nothing_left_since, Machine())

    def run(self, result=None):
        try:
            return super().run(result)
        except KeyboardInterrupt:  # unittest leaves without the cleanups
            self.doCleanups()
            raise

    def _nothing_left_since(self, before):
        left = None

        def clean():
            nonlocal left
            left = Machine().added_since(before)
            return not left

        try:
            wait_for("the machine is as it was", clean, self.left_seconds)
        except AssertionError:
            raise AssertionError(f"the test left on the machine: {', '.join(left)}") from None

    def _show_logs(self):
        for number, taktd in enumerate(self.agents):
            for line in taktd.last_log if not self._outcome.success else ():
                print(f"# taktd {number}: {line}", flush=True)

    def folder(self):
        """A new folder that goes when the test ends. Short, as socket paths must be."""
        made = tempfile.TemporaryDirectory(prefix="takt-")
        self.addCleanup(made.cleanup)
        return made.name

    def refused(self, error_name, call, *args, **parameters):
        """call(...) must be answered by that error; returns the TaktError."""
        with self.assertRaises(TaktError) as caught:
            call(*args, **parameters)
        self.assertEqual(caught.exception.name, error_name, caught.exception.reason)
        return caught.exception

    def denied(self, code, call, *args, **parameters):
        """call(...) must end in an OSError with that errno."""
        with self.assertRaises(OSError) as caught:
            call(*args, **parameters)
        self.assertEqual(caught.exception.errno, code, caught.exception)


def cases(module, words=()):
    """The unittest suite of a module's tests, of which the name has one of the words."""
    suite = unittest.TestSuite()
    for value in vars(module).values():
        if not (isinstance(value, type) and issubclass(value, Case) and value is not Case):
            continue
        for name, member in vars(value).items():
            if getattr(member, "is_test", False) and (
                not words or any(w in name.replace("_", " ") for w in words)
            ):
                suite.addTest(value(name))
    return suite
