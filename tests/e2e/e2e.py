# SPDX-License-Identifier: Apache-2.0
"""What an end-to-end test needs besides tests/integration/harness.py: a case with a real node."""

import contextlib
import time
from pathlib import Path

from cluster import NODE, Cluster, pod, wait_until
from harness import CDI_FOLDERS, SCHED_DEADLINE, Case, root, sched_getattr, test, wait_for
from processes import start_time
from puppet import Watcher

LOOK_SECONDS = 0.002


def built():
    """Probe: everything that a cluster runs is on this machine."""
    return Cluster().missing()


class NodeCase(Case):
    """One cluster for all tests of the class; each test deletes what it made."""

    needs = (root, built)
    cluster = None

    def setUp(self):
        # Before the case looks at the machine: what the cluster adds is not the test's.
        if type(self).cluster is None and not any(probe() for probe in self.needs):
            type(self).cluster = Cluster(type(self)).start()
            self.prepare_cluster()
        super().setUp()
        self.addCleanup(self._show_cluster)
        self.addCleanup(self._no_cdi_file_since, self.cdi_files())

    def prepare_cluster(self):
        """For a class whose tests share more than the bare cluster."""

    def cdi_files(self):
        """The node's CDI files, as the host finds them."""
        folders = [Path(self.cluster.node_path(f)) for f in CDI_FOLDERS]
        return {str(f) for folder in folders for f in folder.glob("*")}

    def _no_cdi_file_since(self, before):
        wait_until("no CDI file is left on the node", lambda: self.cdi_files() <= before)

    def _show_cluster(self):
        result = self._outcome.result
        if any(test is self for test, _ in (*result.failures, *result.errors)):
            for line in self.cluster.last_logs().splitlines():
                print(f"# {line}", flush=True)

    def apply(self, *objects):
        """Applies dictionaries and deletes them, the last one first, when the test ends."""
        for one in objects:
            name = f"{one['kind'].lower()}/{one['metadata']['name']}"
            self.addCleanup(self.cluster.delete, name)
            self.cluster.apply(one)

    def running_pod(self, name, command=("sleep", "1000"), **spec):
        """Applies a pod, waits until it is ready; returns (pid, start time) of its process."""
        self.apply(pod(name, command, **spec))
        self.cluster.wait(f"pod/{name}", "condition=Ready")
        return self.process_of(name)

    def logs(self, name):
        """What the pod's program has printed, which comes a moment after the pod is ready."""
        return wait_until(f"{name} prints", lambda: self.cluster.kubectl("logs", name))

    def process_of(self, name):
        """(pid, start time) of the first process of the pod's first container."""
        status = self.cluster.containers_of(name)[0]
        container = status["containerID"].removeprefix("containerd://")
        for line in self.cluster.ctr("tasks", "list").splitlines():
            if line.startswith(container):
                pid = int(line.split()[1])
                return pid, start_time(pid)
        raise AssertionError(f"containerd has no task {container}")

    @contextlib.contextmanager
    def always_under(self, pid, runtime, period):
        """The process is under that reservation at each look, all through the block."""

        def look():
            time.sleep(LOOK_SECONDS)
            try:
                now = sched_getattr(pid)
            except OSError as error:
                return error.strerror
            return now.policy, now.runtime, now.period

        watcher = Watcher(look)
        try:
            yield
        finally:
            watcher.stop()
        self.assertEqual(watcher.seen, [(SCHED_DEADLINE, runtime, period)])
        print(f"# looked {watcher.count} times", flush=True)

    def expect_untouched(self, name, process):
        """The pod's process is still that one and no container of it was restarted."""
        self.assertEqual(start_time(process[0]), process[1], "the pod's process has ended")
        for status in self.cluster.containers_of(name):
            self.assertEqual(status["restartCount"], 0)


__all__ = ["NODE", "Case", "Cluster", "NodeCase", "built", "pod", "root", "test", "wait_for"]
