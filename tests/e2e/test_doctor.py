# SPDX-License-Identifier: Apache-2.0
"""`takt doctor` in Kubernetes: it says what the node really is, and what changes on it."""

import json
import os
import signal
from pathlib import Path

from agent import Varlink
from chart import NAMESPACE
from cluster import wait_until
from e2e import NODE, test
from installed import Installed

LINES = {"kubelet", "runtimes", "nri", "cgroup-driver", "cpu-manager", "cdi", "hook"}
AGAIN_SECONDS = 180  # takt-dra looks every 30 s at what nobody tells it


class Doctor(Installed):
    def doctor(self, *words):
        """As the manual says that it is called."""
        place = ("exec", "--namespace", NAMESPACE, "daemonset/takt", "--container", "taktd")
        return self.cluster.kubectl(*place, "--", "takt", "doctor", *words)

    def lines(self):
        with Varlink(self.host("/run/takt/takt.sock")) as door:
            return {c["name"]: c for c in door.call("Node")["checks"]}

    def wait_line(self, name, status, words=""):
        def said():
            line = self.lines().get(name)
            return line and line["status"] == status and words in line["detail"] and line

        try:
            return wait_until(f"{name} is {status}: {words}", said, AGAIN_SECONDS)
        except Exception:
            print(f"# {name}: {self.lines().get(name)}", flush=True)
            raise

    def wait_well(self):
        words = {"nri": "connected", "cpu-manager": "no container"}
        for name in LINES:
            self.wait_line(name, "ok", words.get(name, ""))

    @test
    def it_says_what_the_node_is(self):
        self.wait_well()
        info = self.cluster.get("node", NODE)["status"]["nodeInfo"]
        config = json.loads((self.cluster.state / "conf" / "kubelet.json").read_text())
        print("# " + self.doctor().replace("\n", "\n# "), flush=True)
        told = {c["name"]: c for c in json.loads(self.doctor("--json"))["checks"]}
        self.assertLessEqual(LINES, set(told))
        for name in LINES:
            self.assertEqual(told[name]["status"], "ok", told[name])
        self.assertIn(info["kubeletVersion"], told["kubelet"]["detail"])
        self.assertIn(info["containerRuntimeVersion"], told["runtimes"]["detail"])
        version = info["containerRuntimeVersion"].removeprefix("containerd://")
        self.assertIn(version, told["nri"]["detail"])
        self.assertTrue(told["cgroup-driver"]["detail"].startswith(config["cgroupDriver"]))
        self.assertIn("/var/run/cdi", told["cdi"]["detail"])

    @test
    def a_kubelet_that_is_away_is_told_until_it_is_there_again(self):
        self.wait_well()
        self.addCleanup(self.cluster.wait, f"node/{NODE}", "condition=Ready", 240)
        self.addCleanup(self.cluster.run, "kubelet")
        self.cluster.kill("kubelet")
        self.assertIn("start it", self.wait_line("kubelet", "no", "not connected")["mend"])
        self.doCleanups()
        self.wait_line("kubelet", "ok")

    @test
    def a_runtime_without_its_nri_socket_is_told_until_it_is_there_again(self):
        self.wait_well()
        socket = self.host("/run/nri/nri.sock")
        aside = socket.with_suffix(".aside")
        socket.rename(aside)
        self.addCleanup(lambda: aside.exists() and aside.rename(socket))
        (pod,) = self.pods()
        dra = self.processes(pod["metadata"]["name"], NAMESPACE)["takt-dra"]
        os.kill(dra, signal.SIGTERM)  # the kubelet starts it again
        line = self.wait_line("nri", "limited", "not connected to /var/run/nri/nri.sock")
        self.assertIn("host.nriDir", line["mend"])
        aside.rename(socket)
        self.wait_line("nri", "ok", "connected")

    @test
    def a_container_that_is_kept_to_some_cpus_is_told_until_it_is_not(self):
        self.wait_well()
        pid, _ = self.running_pod("narrow")
        cpus = self.cpuset(pid) / "cpuset.cpus"
        all_cpus = cpus.read_text()
        self.addCleanup(cpus.write_text, all_cpus)
        cpus.write_text("0")
        line = self.wait_line("cpu-manager", "limited", f"sleep({pid}) CPUs 0;")
        self.assertIn("1 of ", line["detail"])
        self.assertIn("cpuManagerPolicy: none", line["mend"])
        cpus.write_text(all_cpus)
        self.wait_line("cpu-manager", "ok")

    @staticmethod
    def cpuset(pid):
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if "cpuset" in controllers.split(","):
                return Path(f"/sys/fs/cgroup/cpuset{path}")
        raise AssertionError("no cpuset hierarchy of cgroup v1")
