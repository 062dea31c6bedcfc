#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a claim costs on a real node, as its kubelet measures it: a table beside the figures to
beat, and beside what a claim of Kubernetes' own test driver costs in the same run, which does next
to nothing. Asserts nothing. bench_node.py [--build DIR] [--pods N] [--rounds N]"""

import argparse
import contextlib
import http.client
import json
import os
import signal
import ssl
import statistics
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration"), str(HERE.parent)]
from cluster import API_ADDRESS, Cluster, pod, wait_until  # noqa: E402
from e2e import NODE  # noqa: E402
from machine import pod_processes  # noqa: E402
from takt_node import (  # noqa: E402
    DEVICE_CLASS,
    DRIVER,
    SLICES,
    Programs,
    TaktCase,
    claim,
    claiming_pod,
    template,
)

SETTLE_SECONDS = 1  # the kubelet's and the runtime's last steps of a pod are not the next one's
SETTLED_SECONDS = 10  # by then all is told that many pods at once brought
METRIC = "dra_grpc_operations_duration_seconds"


class Ground:
    """What Programs needs of a test case, and an end."""

    kubelet_metric = TaktCase.kubelet_metric

    def __init__(self, cluster):
        self.cluster, self.cleanups = cluster, []

    def addCleanup(self, function, *args):
        self.cleanups.append(lambda: function(*args))

    def end(self):
        for clean in reversed(self.cleanups):
            clean()


class Api:
    """The API server over a connection that is there: kubectl takes longer than what is measured."""

    def __init__(self, cluster):
        pki = cluster.state / "pki"
        self.context = ssl.create_default_context(cafile=pki / "ca.crt")
        self.context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        self.connection = self._connect()

    def _connect(self):
        return http.client.HTTPSConnection(API_ADDRESS, 443, context=self.context)

    @contextlib.contextmanager
    def watch(self, path):
        """The objects as they change from now on: nobody polls while something is measured."""
        connection = self._connect()
        connection.request("GET", f"{path}&watch=true")
        answer = connection.getresponse()
        yield (json.loads(line)["object"] for line in answer)
        connection.close()

    def ask(self, method, path, body=None):
        return json.loads(self.read(method, path, json.dumps(body) if body else None))

    def read(self, method, path, text=None):
        self.connection.request(method, path, text, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        found = answer.read()
        if answer.status >= 300:
            raise OSError(f"{method} {path}: {found}")
        return found


PODS = "/api/v1/namespaces/default/pods"


def started(found):
    return any("running" in one["state"] for one in found["status"].get("containerStatuses", []))


def has_sandbox(found):
    return any(
        one["type"] == "PodReadyToStartContainers" and one["status"] == "True"
        for one in found["status"].get("conditions", [])
    )


# What the API server says of a pod that starts, one after the other.
TOLD = {
    "it has a node": lambda found: "nodeName" in found["spec"],
    "its sandbox is there": has_sandbox,
    "the API server says that it runs": started,
}
RUNS = "its program has begun"
COMMAND = ["sh", "-c", "echo; exec sleep 1000"]
# With 0 the pod is gone from the API before its container ends: once a minute the kubelet looks for such
# ones, and asks to unprepare beside a container that still runs, for which takt-dra waits.
GRACE = {"terminationGracePeriodSeconds": 1}


def start(api, made):
    """Seconds from the pod's creation until the API server says each of TOLD, and until the
    runtime has read the first line of its program."""
    name, at = made["metadata"]["name"], {}
    with api.watch(f"{PODS}?fieldSelector=metadata.name={name}") as seen:
        begun = time.time()
        api.ask("POST", PODS, made)
        while len(at) < len(TOLD):
            found = next(seen)
            for stage, is_there in TOLD.items():
                if stage not in at and is_there(found):
                    at[stage] = time.time() - begun
    logs = wait_until("it prints", lambda: api.read("GET", f"{PODS}/{name}/log?timestamps=true"))
    at[RUNS] = datetime.fromisoformat(logs.split()[0].decode()).timestamp() - begun
    return at


class TestDriver:
    """The DRA driver that Kubernetes tests itself with: it answers each prepare with a CDI file of
    one variable, and promises nothing."""

    NAME = "test-driver.cdi.k8s.io"
    CLAIM = "nothing"

    def __init__(self, cluster):
        self.cluster = cluster
        folder = cluster.node_path(f"/var/lib/kubelet/plugins/{self.NAME}")
        folder.mkdir(parents=True, exist_ok=True)
        words = ["test-driver", "--kubeconfig", cluster.kubeconfig, "kubelet-plugin"]
        self.log = cluster.state / "logs" / "test-driver.log"
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                cluster.inside([*words, "--node-name", NODE]),
                env={**os.environ, **cluster.environment},
                stdout=log,
                stderr=log,
            )
        wait_until("the test driver's slice is published", self.slices)
        cluster.apply(*self.objects())

    def objects(self):
        version = {"apiVersion": "resource.k8s.io/v1"}
        selector = {"cel": {"expression": f'device.driver == "{self.NAME}"'}}
        request = {"name": "rt", "exactly": {"deviceClassName": self.NAME}}
        return (
            {
                **version,
                "kind": "DeviceClass",
                "metadata": {"name": self.NAME},
                "spec": {"selectors": [selector]},
            },
            {
                **version,
                "kind": "ResourceClaim",
                "metadata": {"name": self.CLAIM},
                "spec": {"devices": {"requests": [request]}},
            },
        )

    def slices(self):
        if self.process.poll() is not None:
            sys.exit(f"the test driver has ended:\n{self.log.read_text()}")
        return [s for s in self.cluster.get(SLICES) if s["spec"]["driver"] == self.NAME]

    def end(self):
        self.process.terminate()
        self.process.wait()


class Calls:
    """Each call of a driver's method as the kubelet has measured it. Its buckets begin at 100 ms,
    so its sum is looked at after each call: the difference is that call."""

    def __init__(self, ground, driver, method):
        self.ground, self.driver, self.method = ground, driver, method
        self.seconds = []
        self.count, self.total = self._look()

    def _look(self):
        def of(suffix):
            found = self.ground.kubelet_metric(f"{METRIC}_{suffix}")
            ours = (f'"{self.driver}"', f'/{self.method}"')
            return sum(v for labels, v in found if all(word in labels for word in ours))

        return of("count"), of("sum")

    def look(self):
        count, total = self._look()
        if count > self.count:
            self.seconds += [(total - self.total) / (count - self.count)] * int(count - self.count)
        self.count, self.total = count, total

    def tell(self, mean_limit, p99_limit):
        what = f"{self.method} of {self.driver}"
        if not self.seconds:
            row(what, "the kubelet has no figures", "")
            return
        found = sorted(self.seconds)
        row(what, f"mean {statistics.mean(found) * 1000:.2f} ms of {len(found)}", mean_limit)
        p99 = found[min(len(found) - 1, int(0.99 * len(found)))] * 1000
        middle = statistics.median(found) * 1000
        row("", f"p99 {p99:.2f} ms, median {middle:.2f}", p99_limit)


def row(what, measured, limit):
    print(f"{what:<52} {measured:<34} {limit}", flush=True)


def nri_delays(cluster, takt):
    """What takt-dra says of all its answers to the runtime when it is asked by a signal."""
    log = cluster.state / "logs" / "takt-dra.log"
    before = len(log.read_text())
    os.kill(takt.running["takt-dra"].pid, signal.SIGUSR1)
    return wait_until("takt-dra tells", lambda: find_delays(log.read_text()[before:]))


def find_delays(text):
    found = [line for line in text.splitlines(True) if " answers: p50" in line]
    return found[-1].partition("NRI: ")[2].rstrip("\n") if found else None


def memory(takt, field="VmRSS"):
    """MiB of each program of ours, by proc(5)."""

    def of(pid):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))

    return {name: of(takt.running[name].pid) for name in ("taktd", "takt-dra")}


# What a pod has, and in words.
KINDS = {
    "claim": "a claim",
    "template": "a claim of a template",
    "other": "a claim of the test driver",
    "without": "none",
}


def tell_starts(times, rounds):
    def median(kind, stage):
        return statistics.median(at[stage] for at in times[kind]) * 1000

    stages = sorted(times["without"][0], key=times["without"][0].get)
    for kind in [kind for kind in KINDS if kind != "without"]:
        row(f"pod start with {KINDS[kind]}, medians of {rounds}", "", "")
        for stage in stages:
            found, without = median(kind, stage), median("without", stage)
            row(
                f"  until {stage}",
                f"{found:.0f} ms, {without:.0f} without ({(found / without - 1) * 100:+.0f} %)",
                "+ 5 %" if stage == RUNS and kind != "other" else "",
            )


def time_starts(api, takt, calls, rounds):
    """Kind -> what start() says of each of its pods, one after the other."""
    cluster = takt.cluster
    made = {
        "claim": lambda name: claiming_pod(name, "there", COMMAND, **GRACE),
        "template": lambda name: templated(name, "rt"),
        "other": lambda name: claiming_pod(name, TestDriver.CLAIM, COMMAND, **GRACE),
        "without": lambda name: pod(name, COMMAND, **GRACE),
    }
    times = {kind: [] for kind in KINDS}
    for i in range(rounds):
        for kind in KINDS:
            times[kind].append(start(api, made[kind](f"{kind}-{i}")))
            cluster.delete(f"pod/{kind}-{i}")
            wait_until("all is released", lambda: not takt.reservations())
            wait_until("the pod is gone", lambda: not pod_processes())
            time.sleep(SETTLE_SECONDS)
            for one in calls:
                one.look()
    return times


def templated(name, of):
    return claiming_pod(name, of, COMMAND, "resourceClaimTemplateName", **GRACE)


def measure(cluster, ground, takt, pods, rounds):
    api = Api(cluster)
    cluster.apply(DEVICE_CLASS)
    cluster.apply(template("rt", 200000, runtime="4ms", period="20ms"))
    # 10 ms of CPU a second each: fifty of them fit on any machine. They start slowly, as the runtime's
    # last steps are made within the reservation.
    cluster.apply(template("small", 10000, runtime="200us", period="20ms"))
    cluster.apply(claim("there", 200000, runtime="4ms", period="20ms"))
    ground.addCleanup(TestDriver(cluster).end)
    calls = [
        Calls(ground, driver, method)
        for driver in (DRIVER, TestDriver.NAME)
        for method in ("NodePrepareResources", "NodeUnprepareResources")
    ]
    times = time_starts(api, takt, calls, rounds)
    idle = sum(memory(takt).values())
    row("", "measured", "to beat")
    limits = [("4 ms", "20 ms"), ("1.5 ms", ""), ("", ""), ("", "")]
    for one, limit in zip(calls, limits):
        one.tell(*limit)
    row("NRI events, one pod after the other", nri_delays(cluster, takt), "p99 1 ms")
    names = [f"held-{i}" for i in range(pods)]
    for name in names:
        api.ask("POST", PODS, templated(name, "small"))
    wait_until("all run", lambda: all(map(started, api.ask("GET", PODS)["items"])), 150)
    time.sleep(SETTLED_SECONDS)
    held, most = memory(takt), memory(takt, "VmHWM")
    tell_starts(times, rounds)
    row(
        f"resident with {pods} reserved containers",
        f"{sum(held.values()):.1f} MiB (taktd {held['taktd']:.1f},"
        f" takt-dra {held['takt-dra']:.1f})",
        "20 MiB",
    )
    row("resident with none, and at most", f"{idle:.1f} MiB, {sum(most.values()):.1f} MiB", "")
    row(f"NRI events, with {pods} pods at once", nri_delays(cluster, takt), "p99 1 ms")
    if names:
        cluster.delete(*(f"pod/{name}" for name in names))
    cluster.delete("resourceclaim/there", f"resourceclaim/{TestDriver.CLAIM}")
    wait_until("all is released", lambda: not takt.reservations())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", help="build folder (build, or $TAKT_BUILD)")
    parser.add_argument("--pods", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=20)
    args = parser.parse_args()
    if args.build:
        os.environ["TAKT_BUILD"] = str(Path(args.build).resolve())
    cluster = Cluster()
    missing = cluster.missing()
    if missing:
        sys.exit(missing)
    built = cluster.sources["kubernetes"].folder()
    if not (built / "test-driver").exists():
        sys.exit(f"{built} is without test-driver: remove it and run tests/e2e/build")
    ground = Ground(cluster.start())
    try:
        takt = Programs(ground)
        takt.start_taktd()
        takt.start_dra()
        measure(cluster, ground, takt, args.pods, args.rounds)
    finally:
        ground.end()
        cluster.down()


if __name__ == "__main__":
    main()
