# SPDX-License-Identifier: Apache-2.0
"""What it is for: on a node in which every CPU is wanted by three, a pod with a claim meets its deadlines,
while an ordinary pod beside it does the same work and misses some."""

import json
import os
import re
import shutil
import subprocess

from cluster import pod, wait_until
from e2e import test
from harness import two_cpus
from installed import DRIVER, Installed

IMAGE = "localhost/rt-app:1"
THREAD = "control"  # rt-app names its threads by the keys of "tasks"
WORK_US, PERIOD_US, RUNTIME, SECONDS = 2000, 10000, "2.5ms", 20
CALIBRATION = 16  # rt-app: nanoseconds per turn of its work loop, see tools/demo
BUSY_PER_CPU = 3
TEMPLATE = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "ResourceClaimTemplate",
    "metadata": {"name": "control"},
    "spec": {
        "spec": {
            "devices": {
                "requests": [{"name": "rt", "exactly": {"deviceClassName": DRIVER}}],
                "config": [
                    {
                        "opaque": {
                            "driver": DRIVER,
                            "parameters": {
                                "runtime": RUNTIME,
                                "period": f"{PERIOD_US}us",
                                "threads": {"match": [THREAD]},
                            },
                        }
                    }
                ],
            }
        }
    },
}


def rt_app():
    return None if shutil.which("rt-app") else "rt-app is not installed"


def rt_app_files():
    """Path in the image -> path here, of rt-app and what it is linked to."""
    program = shutil.which("rt-app")
    shown = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"(/\S+) \(0x", shown)
    return {path.lstrip("/"): path for path in (program, *found)}


def response_times(log):
    """In us, of each job, from rt-app's own log."""
    lines = log.read_text().splitlines()
    names = next(line for line in lines if line.startswith("#idx")).split()
    rows = [dict(zip(names, map(int, l.split()))) for l in lines if l and not l.startswith("#")]
    # slack: what was left of the period when the job ended; negative when that was over.
    return sorted(PERIOD_US - row["slack"] for row in rows)


class Overload(Installed):
    needs = (*Installed.needs, two_cpus, rt_app)

    def prepare_cluster(self):
        super().prepare_cluster()
        self.cluster.image(IMAGE, rt_app_files())

    def start(self, name, claims):
        """A pod that does the work; its log comes into the folder that is returned."""
        folder = self.cluster.state / "rt-app" / name
        folder.mkdir(parents=True)
        task = {"loop": -1, "run": WORK_US, "timer": {"ref": "unique", "period": PERIOD_US}}
        config = {
            "global": {
                "duration": SECONDS,
                "calibration": CALIBRATION,
                "logdir": "/job",
                "log_basename": "rt-app",
            },
            "tasks": {THREAD: task},
        }
        (folder / "rt-app.json").write_text(json.dumps(config))
        made = pod(name, ["rt-app", "/job/rt-app.json"], image=IMAGE, restartPolicy="Never")
        made["spec"]["volumes"] = [{"name": "work", "hostPath": {"path": str(folder)}}]
        (main,) = made["spec"]["containers"]
        main["volumeMounts"] = [{"name": "work", "mountPath": "/job"}]
        if claims:
            wanted = {"name": "rt", "resourceClaimTemplateName": TEMPLATE["metadata"]["name"]}
            made["spec"]["resourceClaims"] = [wanted]
            main["resources"] = {"claims": [{"name": "rt"}]}
        self.apply(made)
        return folder / f"rt-app-{THREAD}-0.log"

    def overload(self):
        names = [f"busy-{i}" for i in range(BUSY_PER_CPU * os.cpu_count())]
        for name in names:
            self.apply(pod(name, ["sh", "-c", "while :; do :; done"]))
        for name in names:
            self.cluster.wait(f"pod/{name}", "condition=Ready")

    def ended(self, name):
        # rt-app itself may end with 1, see tools/demo.
        phase = self.cluster.get("pod", name)["status"]["phase"]
        return phase in ("Succeeded", "Failed")

    @test
    def a_pod_with_a_claim_misses_nothing_while_an_ordinary_pod_beside_it_does(self):
        self.apply(TEMPLATE)
        self.overload()
        logs = {name: self.start(name, name == "reserved") for name in ("ordinary", "reserved")}
        self.cluster.wait("pod/reserved", "condition=Ready")
        wait_until("its thread runs", lambda: self.reservations()[0]["state"] == "active", 10)
        (resv,) = self.reservations()
        self.assertEqual((resv["guarantee"], len(resv["threads"])), ("hard", 1))
        for name in logs:
            wait_until(f"{name} has done its work", lambda name=name: self.ended(name), 90)
        misses = {}
        for name, log in logs.items():
            times = response_times(log)
            self.assertGreater(len(times), SECONDS * 10**6 // PERIOD_US // 4, name)
            misses[name] = sum(time > PERIOD_US for time in times)
            print(
                f"# {name}: {len(times)} jobs, {misses[name]} missed, median"
                f" {times[len(times) // 2] / 1000:.1f} ms, worst {times[-1] / 1000:.1f} ms",
                flush=True,
            )
        self.assertEqual(misses["reserved"], 0)
        self.assertGreater(misses["ordinary"], 0)
        self.cluster.delete("pod/reserved")
        self.expect_nothing_promised()
