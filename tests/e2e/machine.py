# SPDX-License-Identifier: Apache-2.0
"""What a node changes on the machine outside of its state folder, and how each of it is undone:
folders, kernel settings, addresses, cgroups, interfaces. Used by cluster.py."""

import json
import os
import subprocess
import time
from pathlib import Path

from components import API_ADDRESS, NODE_ADDRESS, NODE_FOLDERS, POD_GATEWAY, node_path
from processes import end, start_time

CGROUPS = Path("/sys/fs/cgroup")
ADDRESSES = (API_ADDRESS, NODE_ADDRESS)
# The kubelet sets the first ones, the CNI plugin the last.
SYSCTLS = (
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "net/ipv4/ip_forward",
)
UNDO_SECONDS = 60


class MachineError(Exception):
    """The sentence that says what stands in the way on this machine."""


def _ip(*words):
    done = subprocess.run(["ip", "-j", *words], capture_output=True, text=True)
    return json.loads(done.stdout or "[]") if done.returncode == 0 else []


def pod_cgroups():
    """The kubelet's cgroup in every hierarchy."""
    return [f for f in (CGROUPS / "kubepods", *CGROUPS.glob("*/kubepods")) if f.is_dir()]


def _processes_in(group):
    pids = set()
    for folder, _, _ in os.walk(group):
        try:
            pids.update(int(p) for p in Path(folder, "cgroup.procs").read_text().split())
        except OSError:
            continue
    return {(pid, start_time(pid)) for pid in pids if start_time(pid)}


def pod_processes():
    return set().union(*(_processes_in(group) for group in pod_cgroups()))


def _missing_folders():
    """The folders that the node mounts over and their parents, of which there are none yet."""
    missing = set()
    for folder in map(Path, NODE_FOLDERS):
        missing.update(str(f) for f in (folder, *folder.parents) if not f.exists())
    return sorted(missing)


def _settings():
    found = {}
    for name in SYSCTLS:
        try:
            found[name] = Path("/proc/sys", name).read_text().strip()
        except OSError:
            continue
    return found


def prepare(state):
    """Notes how the machine is and makes it ready. Raises MachineError where another Kubernetes
    or another network is in the way."""
    if pod_processes():
        raise MachineError("another Kubernetes runs pods on this machine (cgroup kubepods)")
    for device in _ip("addr", "show"):
        for address in device["addr_info"]:
            if address.get("local") in (*ADDRESSES, POD_GATEWAY):
                where = f"{address['local']} on {device['ifname']}"
                raise MachineError(f"the address {where} is in use: the cluster needs it")
    # The note comes before the change.
    before = {"folders": _missing_folders(), "sysctls": _settings()}
    part = state / ".before.json"
    part.write_text(json.dumps(before))
    part.rename(state / "before.json")
    for folder in before["folders"]:
        Path(folder).mkdir(exist_ok=True)
    for address in ADDRESSES:
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)


def make_folders(state):
    """The folders that the node has at fixed places. Those below /run are in memory, as on any
    machine, and are gone with what is mounted below the state folder."""
    run = node_path(state, "/run")
    run.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", run], check=True)
    for folder in NODE_FOLDERS:
        node_path(state, folder).mkdir(parents=True, exist_ok=True)


def _end_pod_processes():
    limit = time.monotonic() + UNDO_SECONDS
    while found := pod_processes():
        if time.monotonic() > limit:
            raise MachineError(f"processes of pods do not end: {sorted(found)}")
        end(found)


def _remove_cgroups():
    limit = time.monotonic() + UNDO_SECONDS
    while groups := pod_cgroups():
        for group in groups:
            for folder, _, _ in os.walk(group, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    continue
        if pod_cgroups() and time.monotonic() > limit:
            raise MachineError(f"cgroups are not empty: {', '.join(map(str, pod_cgroups()))}")
        time.sleep(0.01)


def _remove_links():
    """The host's ends of the pods' links: each has the pods' gateway as its address."""
    for device in _ip("addr", "show"):
        if any(a.get("local") == POD_GATEWAY for a in device["addr_info"]):
            subprocess.run(["ip", "link", "delete", device["ifname"]], capture_output=True)


def _remove_addresses():
    for address in ADDRESSES:
        delete = ["ip", "address", "delete", f"{address}/32", "dev", "lo"]
        subprocess.run(delete, capture_output=True)


def _unmount_below(folder):
    points = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split()[4].encode().decode("unicode_escape")
        if point.startswith(f"{folder}/"):
            points.append(point)
    for point in sorted(points, reverse=True):
        subprocess.run(["umount", "--lazy", point], check=True)


def end_pods(state):
    """Leaves nothing of the pods but files. The node's own processes have ended before."""
    _end_pod_processes()
    _remove_cgroups()
    _remove_links()
    _unmount_below(state)


def undo(state):
    """Makes the machine as prepare() found it, however far the node had come. The node's own
    processes have ended before."""
    try:
        before = json.loads((state / "before.json").read_text())
    except FileNotFoundError:
        return  # it had not begun to change anything
    _remove_addresses()
    end_pods(state)
    for name, value in before["sysctls"].items():
        if _settings().get(name) != value:
            Path("/proc/sys", name).write_text(value)
    for folder in reversed(before["folders"]):
        try:
            os.rmdir(folder)
        except OSError:
            continue
