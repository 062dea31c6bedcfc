# SPDX-License-Identifier: Apache-2.0
"""What it is for: on a node in which every CPU is wanted by three, a pod with a claim meets its deadlines,
while an ordinary pod beside it does the same work and misses some."""

import json
import os
import re
import shutil
import subprocess
import time

from cluster import pod, wait_until
from e2e import test
from harness import two_cpus
from installed import DRIVER, Installed
from rt_app import jobs_in
from taken import Taken

IMAGE = "localhost/rt-app:1"
THREAD = "control"  # rt-app names its threads by the keys of "tasks"
WORK_US, RUNTIME_US, PERIOD_US, SECONDS = 2000, 4000, 10000, 20
DELAY_US = 5 * 10**6  # before the first job, so that no job is without somebody who watches its thread
CALIBRATION = 16  # rt-app: nanoseconds per turn of its work loop
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
                                "runtime": f"{RUNTIME_US}us",
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


def write_config(folder, inside, work_us, seconds):
    """`inside` is the folder's path for rt-app."""
    folder.mkdir(parents=True)
    timer = {"ref": "unique", "period": PERIOD_US}
    task = {"delay": DELAY_US, "loop": -1, "run": work_us, "timer": timer}
    config = {
        "global": {
            "duration": DELAY_US // 10**6 + seconds,
            "calibration": CALIBRATION,
            "logdir": inside,
            "log_basename": "rt-app",
        },
        "tasks": {THREAD: task},
    }
    path = folder / "rt-app.json"
    path.write_text(json.dumps(config))
    return path


def log_in(folder):
    return folder / f"rt-app-{THREAD}-0.log"


def work(folder):
    """What rt-app has to be told so that it works for WORK_US of this CPU: the same jobs alone."""
    config = write_config(folder, str(folder), WORK_US, 2)
    # Its status says nothing, see tools/demo.
    subprocess.run(["chrt", "--fifo", "1", "rt-app", config], capture_output=True, check=False)
    runs = sorted(row["run"] for row in jobs_in(log_in(folder)))
    return WORK_US**2 // runs[len(runs) * 9 // 10]


class Overload(Installed):
    needs = (*Installed.needs, two_cpus, rt_app)

    def prepare_cluster(self):
        super().prepare_cluster()
        self.cluster.image(IMAGE, rt_app_files())

    def start(self, name, work_us, claims):
        """A pod that does the work; returns where its log comes."""
        folder = self.cluster.state / "rt-app" / name
        write_config(folder, "/job", work_us, SECONDS)
        made = pod(name, ["rt-app", "/job/rt-app.json"], image=IMAGE, restartPolicy="Never")
        made["spec"]["volumes"] = [{"name": "work", "hostPath": {"path": str(folder)}}]
        (main,) = made["spec"]["containers"]
        main["volumeMounts"] = [{"name": "work", "mountPath": "/job"}]
        if claims:
            wanted = {"name": "rt", "resourceClaimTemplateName": TEMPLATE["metadata"]["name"]}
            made["spec"]["resourceClaims"] = [wanted]
            main["resources"] = {"claims": [{"name": "rt"}]}
        self.apply(made)
        return log_in(folder)

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
        work_us = work(self.cluster.state / "rt-app" / "alone")
        self.apply(TEMPLATE)
        self.overload()
        with Taken() as taken:
            names = ("ordinary", "reserved")
            logs = {name: self.start(name, work_us, name == "reserved") for name in names}
            wait_until("its thread runs", self.active)
            (resv,) = self.reservations()
            self.assertEqual(resv["guarantee"], "hard")
            (thread,) = resv["threads"]
            taken.watch(thread["tid"])
            watched = time.monotonic_ns()
            for name in logs:
                wait_until(f"{name} has done its work", lambda name=name: self.ended(name), 120)
        self.assertLess(watched, 1000 * jobs_in(logs["reserved"])[0]["start"])
        late = {name: self.late_jobs(name, log) for name, log in logs.items()}
        budget = (RUNTIME_US * 1000, PERIOD_US * 1000)
        for release, response in late["reserved"]:
            self.assertTrue(taken.explains(thread["tid"], release, response, *budget))
        self.assertGreater(len(late["ordinary"]), len(late["reserved"]))
        self.cluster.delete("pod/reserved")
        self.expect_nothing_promised()

    def active(self):
        return [r["state"] for r in self.reservations()] == ["active"]

    def late_jobs(self, name, log):
        """(release, response) in ns of each job that was late."""
        # slack: what was left of the period when the job ended; negative when that was over.
        rows = jobs_in(log)
        self.assertGreater(len(rows), SECONDS * 10**6 // PERIOD_US // 4, name)
        jobs = [(row["end"], PERIOD_US - row["slack"]) for row in rows]
        late = [(1000 * (end - took), 1000 * took) for end, took in jobs if took > PERIOD_US]
        times = sorted(took for _, took in jobs)
        print(
            f"# {name}: {len(rows)} jobs, {len(late)} missed, median"
            f" {times[len(times) // 2] / 1000:.1f} ms, worst {times[-1] / 1000:.1f} ms",
            flush=True,
        )
        return late
