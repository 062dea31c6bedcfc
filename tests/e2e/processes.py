# SPDX-License-Identifier: Apache-2.0
"""Processes that outlive who started them: begun in sessions of their own, known by a file with pid
and start time, so that whoever comes later ends exactly them. Used by cluster.py."""

import ctypes
import os
import select
import signal
from pathlib import Path

# The environment variable by which also what our processes start is known as ours: containerd's
# shims have no pid file. Containers do not inherit it.
MARK = "TAKT_E2E_STATE"
CLONE_NEWNS = 0x00020000  # include/uapi/linux/sched.h
END_SECONDS = 60

_libc = ctypes.CDLL(None, use_errno=True)


class ProcessError(Exception):
    """The sentence that says which process did not do what."""


def start_time(pid):
    """Clock ticks since boot at which the process began (proc(5), field 22 of stat); None where it
    has ended, even if nobody has waited for it yet."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in "ZX" else int(fields[18])


class Handle:
    """A process by its pidfd, so that no number that was given anew is ever signalled."""

    def __init__(self, pid, began):
        self.pid = pid
        self._fd = os.pidfd_open(pid)
        if start_time(pid) != began:
            os.close(self._fd)
            raise ProcessLookupError

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self._fd)

    def send(self, number):
        try:
            signal.pidfd_send_signal(self._fd, number)
        except ProcessLookupError:
            pass

    def wait(self, seconds=END_SECONDS):
        """Whether it has ended within that time."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))


def end(pids):
    """Kills those processes, pids with start times, and waits until they have ended."""
    handles = []
    for pid, began in pids:
        try:
            handles.append(Handle(pid, began))
        except OSError:
            continue
    for handle in handles:
        handle.send(signal.SIGKILL)
    for handle in handles:
        with handle:
            if not handle.wait():
                raise ProcessError(f"process {handle.pid} does not end after SIGKILL")


class Processes:
    """The named processes of one state folder: pid/NAME, logs/NAME.log."""

    def __init__(self, state):
        self.state = Path(state)
        self.pids, self.logs = self.state / "pid", self.state / "logs"

    def start(self, name, argv, env, mounts_of=None):
        """Starts argv in a session of its own and returns once it has become the program.
        env: all variables that it gets besides our mark.
        mounts_of: the pid of a process whose mount namespace it joins."""
        if self.find(name):
            raise ProcessError(f"{name} runs already")
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.setsid()
                if os.fork() == 0:
                    self._become(name, argv, env, mounts_of)
            except BaseException as error:
                os.write(write, str(error).encode() or b"unknown")
            finally:
                os._exit(0)
        os.close(write)
        os.waitpid(child, 0)
        with os.fdopen(read) as pipe:
            refused = pipe.read()
        if refused:
            raise ProcessError(f"{name} could not be started: {refused}")

    def _become(self, name, argv, env, mounts_of):
        log = os.open(self.logs / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        null = os.open("/dev/null", os.O_RDONLY)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        if mounts_of:
            self._join(mounts_of)
        # The file comes before the program: no program of ours is without its file.
        part = self.pids / f".{name}"
        part.write_text(f"{os.getpid()} {start_time(os.getpid())}\n")
        part.rename(self.pids / name)
        for number in range(1, signal.NSIG):
            if number not in (signal.SIGKILL, signal.SIGSTOP, 32, 33):
                signal.signal(number, signal.SIG_DFL)
        os.chdir("/")
        os.execvpe(argv[0], [str(word) for word in argv], {**env, MARK: str(self.state)})

    @staticmethod
    def _join(pid):
        fd = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        if _libc.setns(fd, CLONE_NEWNS) < 0:
            code = ctypes.get_errno()
            raise OSError(code, f"joining the mounts of {pid}: {os.strerror(code)}")

    def names(self):
        """All that were started and not yet stopped, whether they still run or not."""
        try:
            return sorted(f.name for f in self.pids.iterdir() if not f.name.startswith("."))
        except OSError:
            return []

    def find(self, name):
        """(pid, start time) of the process while it runs, or None."""
        try:
            pid, began = map(int, (self.pids / name).read_text().split())
        except (OSError, ValueError):
            return None
        return (pid, began) if start_time(pid) == began else None

    def stop(self, name, number=signal.SIGKILL, seconds=END_SECONDS):
        """Signals it, waits for its end, kills it where it has not ended by then."""
        found = self.find(name)
        if found:
            try:
                with Handle(*found) as handle:
                    handle.send(number)
                    if not handle.wait(seconds):
                        end([found])
            except ProcessLookupError:
                pass
        (self.pids / name).unlink(missing_ok=True)

    def marked(self):
        """(pid, start time) of every process that has our mark in its environment."""
        mark, found = f"{MARK}={self.state}".encode(), []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            began = start_time(entry.name)
            try:
                words = (entry / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if began is not None and mark in words:
                found.append((int(entry.name), began))
        return found

    def end_all(self):
        """Kills all of them and all that they started under our mark."""
        for name in self.names():
            self.stop(name)
        while found := self.marked():
            end(found)

    def last_lines(self, name, count):
        try:
            return (self.logs / f"{name}.log").read_text(errors="replace").splitlines()[-count:]
        except OSError:
            return []
