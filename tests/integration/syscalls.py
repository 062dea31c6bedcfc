# SPDX-License-Identifier: Apache-2.0
"""Becomes a program under the SystemCallFilter of a systemd unit, systemd.exec(5), where systemd
does not run: `syscalls.py UNIT COMMAND...`. What the filter leaves out fails as the unit says, and
so does every call that systemd does not know."""

import ctypes
import errno
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2  # prctl(2)
RET_ALLOW, RET_ERRNO = 0x7FFF0000, 0x00050000  # linux/seccomp.h
# linux/bpf_common.h. Loaded is the first word of struct seccomp_data, the number of the call.
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06


def output(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def groups():
    """The members of each group of calls, which may be groups themselves."""
    found = {}
    for line in output("systemd-analyze", "syscall-filter").splitlines():
        if line.startswith("@"):
            members = found.setdefault(line.strip(), set())
        elif line.startswith("    ") and not line.strip().startswith("#"):
            members.add(line.strip())
    return found


def calls(names, known):
    """The calls of that name, and those of groups of that name."""
    found = set()
    for name in names:
        found |= calls(known[name], known) if name.startswith("@") else {name}
    return found


def allowed(unit):
    known, left = groups(), set()
    for denied, names in re.findall(r"^SystemCallFilter=(~?)(.*)$", unit, re.M):
        named = calls(names.split(), known)
        left = left - named if denied else left | named
    return left


def numbers(names):
    """Of those that this machine has."""
    macros = output("cc", "-E", "-dM", "-include", "sys/syscall.h", "-x", "c", "/dev/null")
    table = dict(re.findall(r"^#define __NR_(\w+) (\d+)$", macros, re.M))
    return [int(table[name]) for name in sorted(names & table.keys())]


def restrict(unit):
    code = getattr(errno, re.search(r"^SystemCallErrorNumber=(\w+)$", unit, re.M).group(1))
    steps = [(LOAD, 0, 0, 0)]
    for number in numbers(allowed(unit)):
        steps += [(JUMP_IF_EQUAL, 0, 1, number), (RETURN, 0, 0, RET_ALLOW)]
    steps.append((RETURN, 0, 0, RET_ERRNO | code))
    text = b"".join(struct.pack("=HBBI", *step) for step in steps)
    kept = ctypes.create_string_buffer(text, len(text))
    program = struct.pack("@HP", len(steps), ctypes.addressof(kept))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    restrict(Path(sys.argv[1]).read_text())
    os.execv(sys.argv[2], sys.argv[2:])
