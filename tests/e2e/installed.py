# SPDX-License-Identifier: Apache-2.0
"""A node on which Takt is installed as a user does it: image and chart. What tests of it look at."""

from pathlib import Path

import chart
from agent import Varlink
from chart import NAMESPACE
from cluster import wait_until
from e2e import NodeCase
from harness import SCHED_DEADLINE, connector, deadline, sched_getattr
from images import busybox
from programs import source

DRIVER = "rt.takt.dev"


def helm_built():
    """Probe: helm is on this machine."""
    folder = source("helm").folder()
    return None if folder.exists() else f"{folder} is missing: run tests/e2e/build helm"


class TaktNode(NodeCase):
    """A cluster on which chart and image can be installed."""

    needs = (*NodeCase.needs, deadline, connector, helm_built)

    def prepare_cluster(self):
        files, links = busybox()
        self.cluster.image(chart.EXAMPLE_IMAGE, files, links, command=("sh",))

    # What is there

    def pods(self):
        return self.cluster.get("pods", namespace=NAMESPACE)

    def slices(self):
        return [s for s in self.cluster.get("resourceslices") if s["spec"]["driver"] == DRIVER]

    def host(self, path):
        return Path(self.cluster.node_path(path))

    def reservations(self):
        with Varlink(self.host("/run/takt/takt.sock")) as door:
            return door.call("List")["reservations"]

    def processes(self, pod, namespace="default"):
        """Container -> the host's pid of its first process."""
        found = {}
        tasks = [line.split() for line in self.cluster.ctr("tasks", "list").splitlines()]
        for status in self.cluster.containers_of(pod, namespace):
            name = status["containerID"].removeprefix("containerd://")
            found[status["name"]] = next(int(task[1]) for task in tasks if task[0] == name)
        return found

    # What must come true

    def expect_under(self, pid, runtime, period):
        def under():
            now = sched_getattr(pid)
            return (now.policy, now.runtime, now.period) == (SCHED_DEADLINE, runtime, period)

        wait_until(f"process {pid} is under its reservation", under)

    def expect_nothing_promised(self):
        wait_until("all is released", lambda: not self.reservations())

    def apply_example(self, name):
        """Applies the file as it is, waits for its pod; it is deleted when the test ends."""
        path = chart.EXAMPLES / f"{name}.yaml"
        delete = ["delete", "--ignore-not-found", "--wait", "--grace-period=1", "-f", str(path)]
        self.addCleanup(self.cluster.kubectl, *delete)
        self.cluster.kubectl("apply", "-f", str(path))
        pod = self._pod_of(path)
        try:
            self.cluster.wait(f"pod/{pod}", "condition=Ready")
        except Exception:
            print(f"# events: {self.cluster.events_of(pod)}", flush=True)
            raise
        return pod

    @staticmethod
    def _pod_of(path):
        document = path.read_text().partition("kind: Pod\n")[2]
        return document.partition("name: ")[2].split()[0]


class Installed(TaktNode):
    """One installation for all tests of the class."""

    def prepare_cluster(self):
        super().prepare_cluster()
        chart.install(self.cluster)
