# SPDX-License-Identifier: Apache-2.0
"""A node with Takt on it for end-to-end tests: taktd, takt-dra, claims and pods that use them."""

import json
import os
import signal
import subprocess
from pathlib import Path

from agent import Varlink, program
from cluster import Kubectl, wait_until
from components import is_from
from e2e import NODE, NodeCase, pod
from harness import SCHED_DEADLINE, connector, deadline, sched_getattr
from programs import source

DRIVER = "rt.takt.dev"
SLICES = "resourceslices.resource.k8s.io"
PROTOS = Path(__file__).resolve().parents[2] / "src" / "cluster" / "wire"
DEVICE_CLASS = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "DeviceClass",
    "metadata": {"name": DRIVER},
    "spec": {
        "selectors": [{"cel": {"expression": f"device.driver == '{DRIVER}'"}}],
        "config": [{"opaque": {"driver": DRIVER, "parameters": {"guarantee": "soft"}}}],
    },
}


def claim(name, bandwidth, **parameters):
    exactly = {
        "deviceClassName": DRIVER,
        "capacity": {"requests": {"bandwidth": str(bandwidth)}},
    }
    config = {"opaque": {"driver": DRIVER, "parameters": parameters}}
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaim",
        "metadata": {"name": name},
        "spec": {"devices": {"requests": [{"name": "rt", "exactly": exactly}], "config": [config]}},
    }


def template(name, bandwidth, **parameters):
    made = claim(name, bandwidth, **parameters)
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaimTemplate",
        "metadata": {"name": name},
        "spec": {"spec": made["spec"]},
    }


def claiming_pod(name, claim_name, command=("sleep", "1000"), source="resourceClaimName", **spec):
    """A pod whose container `main` uses a claim; source: or resourceClaimTemplateName."""
    made = pod(name, list(command), **spec)
    made["spec"]["resourceClaims"] = [{"name": "rt", source: claim_name}]
    use_claim(made["spec"]["containers"][0])
    return made


def use_claim(container):
    """The container uses the pod's claim `rt`."""
    container["resources"] = {"claims": [{"name": "rt"}]}
    return container


def grpcurl_built():
    """Probe: grpcurl is on this machine."""
    folder = source("grpcurl").folder()
    return None if folder.exists() else f"{folder} is missing: run tests/e2e/build grpcurl"


def taints_kept():
    """Probe: without a gate more, this Kubernetes keeps the taints of devices."""
    if is_from(source("kubernetes").version, 1, 36):
        return None
    return "before Kubernetes 1.36 the taints of devices need the gate DRADeviceTaints"


class Programs:
    """taktd and takt-dra on the node, with its mounts."""

    def __init__(self, case):
        self.cluster = case.cluster
        self.folder = self.cluster.state / "takt"
        self.folder.mkdir(exist_ok=True)
        self.socket = self.cluster.node_path("/run/takt") / "takt.sock"
        self.running = {}
        case.addCleanup(self.end)

    def start(self, name, *words, start=None):
        """`start`: what begins it, instead of its program alone."""
        command = self.cluster.inside([*(start or [program(name)]), "--socket", self.socket, *words])
        log = open(self.cluster.state / "logs" / f"{name}.log", "a")
        self.running[name] = subprocess.Popen(command, stdout=log, stderr=log)
        log.close()

    def start_taktd(self, fault=None):
        """It ends by SIGKILL when it first passes the point `fault` (src/base/fault.h)."""
        start = fault and ["env", f"TAKT_FAULT={fault}", program("taktd-faults")]
        hook = program("takt-hook")
        self.start("taktd", "--state-dir", self.folder / "state", "--hook", hook, start=start)
        wait_until("taktd answers", self.answers)

    def start_dra_unregistered(self, *words):
        """As long as there is no kubelet, nothing is published."""
        self.start("takt-dra", "--node", NODE, "--kubeconfig", self.cluster.kubeconfig, *words)

    def start_dra(self):
        self.start_dra_unregistered()
        wait_until("its slice is published", self.slice)

    def answers(self):
        try:
            self.reservations()
        except OSError:
            return False
        return True

    def start_again(self, name):
        (self.start_taktd if name == "taktd" else self.start_dra)()

    def send(self, name, number):
        self.running[name].send_signal(number)

    def stop(self, name, number=signal.SIGTERM):
        self.send(name, number)
        self.running.pop(name).wait(60)

    def unread(self, name):
        """How many connections of that program hold what the other side has not read."""
        owner = f",pid={self.running[name].pid},"
        shown = subprocess.run(["ss", "-xnpH"], capture_output=True, text=True, check=True).stdout
        lines = [line for line in shown.splitlines() if owner in line]
        return sum(int(line.split()[3]) > 0 for line in lines)

    @staticmethod
    def kill_process(pid):
        os.kill(pid, signal.SIGKILL)

    def end(self):
        for name in ("takt-dra", "taktd"):
            if name in self.running:
                self.stop(name)
        self.cluster.delete(f"{SLICES}/{NODE}-{DRIVER}")

    def slice(self):
        found = [s for s in self.cluster.get(SLICES) if s["spec"]["driver"] == DRIVER]
        return found[0] if found else None

    def reservations(self):
        with Varlink(self.socket) as door:
            return {r["name"]: r for r in door.call("List")["reservations"]}


class TaktCase(NodeCase):
    """Each test begins with taktd and takt-dra running, and nothing promised."""

    needs = (*NodeCase.needs, deadline, connector)

    def setUp(self):
        super().setUp()
        self.takt = Programs(self)
        self.takt.start_taktd()
        self.takt.start_dra()
        self.apply(DEVICE_CLASS)

    def start(self, name, bandwidth=200000, **parameters):
        """A pod with a claim of its own, and the pid of its program."""
        self.apply(claim(f"{name}-rt", bandwidth, **parameters), claiming_pod(name, f"{name}-rt"))
        self.cluster.wait(f"pod/{name}", "condition=Ready")
        return self.process_of(name)

    def is_under(self, pid, runtime, period):
        now = sched_getattr(pid)
        return (now.policy, now.runtime, now.period) == (SCHED_DEADLINE, runtime, period)

    def expect_under(self, pid, runtime, period):
        wait_until(
            "the program is under its reservation", lambda: self.is_under(pid, runtime, period)
        )

    def expect_nothing_promised(self):
        wait_until("all is released", lambda: not self.takt.reservations())

    def claim_uid(self, name):
        return self.cluster.get("resourceclaim", name)["metadata"]["uid"]

    def status_of(self, name):
        """The entries of status.devices of a claim."""
        return self.cluster.get("resourceclaim", name).get("status", {}).get("devices", [])

    def condition_of(self, name):
        """(status, reason, message) of the claim's first device; None: nothing is told yet."""
        for device in self.status_of(name):
            for one in device.get("conditions", []):
                if one["type"] == "Ready":
                    return one["status"], one["reason"], one["message"]
        return None

    def events(self, name, reporter="rt.takt.dev/takt-dra"):
        """(type, reason, message) of what takt-dra said about the object of that name."""
        return [
            (e["type"], e["reason"], e.get("message", ""))
            for e in self.cluster.get("events")
            if e["involvedObject"].get("name") == name and e.get("reportingComponent") == reporter
        ]

    def prepare_failures(self):
        """How often a prepare or unprepare failed as the kubelet counts it."""
        # Up to 1.35 the label says true where there was no error.
        failed = "true" if is_from(self.cluster.kubernetes, 1, 36) else "false"
        return sum(
            value
            for labels, value in self.kubelet_metric("dra_grpc_operations_duration_seconds_count")
            if 'grpc_status_code="OK"' not in labels
        ) + sum(
            value
            for labels, value in self.kubelet_metric("dra_operations_duration_seconds_count")
            if f'is_error="{failed}"' in labels
        )

    def call_dra(self, version, method, *claims):
        """What takt-dra answers to a client that is not the kubelet, by grpcurl: uid -> answer."""
        words = [source("grpcurl").folder() / "grpcurl", "-plaintext", "-unix"]
        words += ["-import-path", PROTOS, "-proto", f"dra_{version}.proto", "-emit-defaults"]
        words += ["-d", json.dumps({"claims": claims})]
        words += [self.cluster.node_path(f"/var/lib/kubelet/plugins/{DRIVER}") / "dra.sock"]
        words += [f"k8s.io.kubelet.pkg.apis.dra.{version}.DRAPlugin/{method}"]
        done = subprocess.run(words, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)["claims"]

    def wait_for_prepare(self, name):
        """Until the kubelet has asked takt-dra for that claim; the answer is still to come."""
        uid = self.claim_uid(name)
        wait_until("the kubelet has it prepared", lambda: self.prepare_is_under_way(uid))

    def prepare_is_under_way(self, uid):
        """By what the kubelet says before and after each such call, of one claim at a time."""
        log = (self.cluster.state / "logs" / "kubelet.log").read_text(errors="replace")
        *_, after = log.rpartition('"Calling NodePrepareResources rpc"')
        request, _, after = after.partition("\n")
        return uid in request and '"Done calling NodePrepareResources rpc"' not in after

    def kubelet_metric(self, name):
        """[(labels as written, value)] of a metric of the kubelet."""
        text = self.cluster.kubectl("get", "--raw", f"/api/v1/nodes/{NODE}/proxy/metrics")
        found = []
        for line in text.splitlines():
            if line.startswith(f"{name}{{") or line.startswith(f"{name} "):
                labels, _, value = line[len(name) :].rpartition(" ")
                found.append((labels, float(value)))
        return found


__all__ = ["DEVICE_CLASS", "DRIVER", "SLICES", "Kubectl", "Programs", "TaktCase"]
__all__ += ["claim", "claiming_pod", "grpcurl_built", "template", "use_claim"]
