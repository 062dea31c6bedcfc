# SPDX-License-Identifier: Apache-2.0
"""Peers that are not friends: processes of other users, and what the agent spends on them."""

import json
import os
import socket
from pathlib import Path

from agent import TaktError, Varlink, program
from kernel import first_line, in_child

NOBODY = 65534
GROUP = "nogroup"  # of nobody; the agent of a test takes it for the group `takt`
PATIENCE = 60  # seconds that an honest client waits for an answer


def become(uid, gid):
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def as_user(case, uid, gid, function):
    """What function() returns in a process of that user; raises its OSError."""

    def run():
        become(uid, gid)
        return function()

    return in_child(case, run)


def reachable(agent):
    """The folder of a test is root's alone; the real one is /run/takt, which is not."""
    os.chmod(agent.folder, 0o755)
    return agent


def call(path, method, **parameters):
    """["ok", parameters], or ["error", name, reason], or ["closed"]."""
    try:
        with Varlink(path, PATIENCE) as door:
            return ["ok", door.call(method, **parameters)]
    except TaktError as error:
        return ["error", error.name, error.reason]
    except (ConnectionResetError, BrokenPipeError, ConnectionError) as error:
        if isinstance(error, ConnectionRefusedError):
            raise
        return ["closed"]


def open_files(agent):
    return len(os.listdir(f"/proc/{agent.pid}/fd"))


def sanitized():
    """A build whose memory says nothing."""
    return b"__asan_init" in Path(program("taktd")).read_bytes()


def memory_kib(agent, key="VmRSS"):
    for line in Path(f"/proc/{agent.pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    raise AssertionError(f"no {key} of {agent.pid}: {first_line(f'/proc/{agent.pid}/comm')}")


def raw(path, seconds=PATIENCE):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        s.connect(str(path))  # with a time limit it would not wait where the queue is full
    except OSError:
        s.close()
        raise
    s.settimeout(seconds)
    return s


def message(method, **parameters):
    return json.dumps({"method": method, "parameters": parameters}).encode() + b"\0"


def closed(s, seconds=PATIENCE):
    """Whether the other side hangs up; what it says before is thrown away."""
    s.settimeout(seconds)
    try:
        while s.recv(65536):
            pass
    except socket.timeout:
        return False
    except ConnectionError:
        pass
    return True
