# SPDX-License-Identifier: Apache-2.0
"""What a claim means to pods: who may use it, how it ends, what is told of it."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor

from cluster import wait_until
from e2e import pod, test
from harness import MS, SCHED_DEADLINE, two_cpus
from takt_node import TaktCase, claim, claiming_pod, grpcurl_built, template, use_claim

SLEEP = ["sleep", "1000"]
EVENT_SECONDS = 2  # by then takt-dra has written it


def evict(cluster, name):
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": "default"},
    }
    path = f"/api/v1/namespaces/default/pods/{name}/eviction"
    cluster.kubectl("create", "--raw", path, "-f", "-", text=json.dumps(body))


class Claims(TaktCase):
    def pids(self, name, init=False):
        """Container name -> the host's pid of its first process, of a pod that runs."""
        tasks = {
            words[0]: int(words[1])
            for words in map(str.split, self.cluster.ctr("tasks", "list").splitlines()[1:])
        }
        status = self.cluster.get("pod", name)["status"]
        kind = "initContainerStatuses" if init else "containerStatuses"
        return {
            one["name"]: tasks[one["containerID"].removeprefix("containerd://")]
            for one in status.get(kind, [])
            if one.get("containerID", "").removeprefix("containerd://") in tasks
        }

    def ready(self, name):
        self.cluster.wait(f"pod/{name}", "condition=Ready")

    @test
    def a_template_makes_a_claim_for_each_pod_and_the_reservation_says_which(self):
        self.apply(template("arm", 100000, runtime="2ms", period="20ms"))
        for name in ("left", "right"):
            self.apply(claiming_pod(name, "arm", source="resourceClaimTemplateName"))
        for name in ("left", "right"):
            self.ready(name)
            self.expect_under(self.process_of(name)[0], 2 * MS, 20 * MS)
        pods = {r["labels"]["pod"] for r in self.takt.reservations().values()}
        self.assertEqual(pods, {"left", "right"})
        self.cluster.delete("pod/left", "pod/right")
        self.expect_nothing_promised()

    @test
    def two_containers_of_a_pod_share_a_claim(self):
        self.apply(claim("both", 200000, runtime="2ms", period="20ms", cores=2))
        made = claiming_pod("twins", "both")
        second = {**made["spec"]["containers"][0], "name": "second"}
        made["spec"]["containers"].append(second)
        self.apply(made)
        self.ready("twins")
        pids = self.pids("twins")
        self.assertEqual(set(pids), {"main", "second"})
        for pid in pids.values():
            self.expect_under(pid, 2 * MS, 20 * MS)
        [resv] = self.takt.reservations().values()
        self.assertEqual(len(resv["containers"]), 2)
        self.cluster.delete("pod/twins")
        self.expect_nothing_promised()

    def pod_of_two_claims(self, name):
        """Its containers `left` and `right` use the claim of that name each."""
        made = claiming_pod(name, "left")
        main = made["spec"]["containers"][0]
        sides = ("left", "right")
        made["spec"]["resourceClaims"] = [{"name": s, "resourceClaimName": s} for s in sides]
        made["spec"]["containers"] = [
            {**main, "name": side, "resources": {"claims": [{"name": side}]}} for side in sides
        ]
        return made

    @test
    def a_pod_of_two_claims_has_each_container_under_its_own(self):
        self.apply(claim("left", 100000, runtime="2ms", period="20ms"))
        self.apply(claim("right", 150000, runtime="3ms", period="20ms"))
        self.apply(self.pod_of_two_claims("twins"))
        self.ready("twins")
        pids = self.pids("twins")
        self.expect_under(pids["left"], 2 * MS, 20 * MS)
        self.expect_under(pids["right"], 3 * MS, 20 * MS)
        names = {side: f"{side}.{self.claim_uid(side)}" for side in pids}

        def threads():
            held = self.takt.reservations()
            return {name: [t["tid"] for t in resv["threads"]] for name, resv in held.items()}

        expected = {names[side]: [pid] for side, pid in pids.items()}
        wait_until("taktd has each in its own", lambda: threads() == expected)
        for resv in self.takt.reservations().values():
            self.assertEqual(len(resv["containers"]), 1)
        self.cluster.delete("pod/twins")
        self.expect_nothing_promised()

    @test
    def of_two_claims_the_bad_one_keeps_the_pod_from_starting_and_is_named_alone(self):
        """Both come in one call of the kubelet, which is answered for each."""
        self.apply(claim("left", 100000, runtime="2ms", period="20ms"))
        self.apply(claim("right", 100000, runtime="4ms", period="20ms"))
        self.apply(self.pod_of_two_claims("twins"))
        wait_until(
            "the pod tells why",
            lambda: any(
                "ResourceClaim right" in e and "need 200000 millionths" in e
                for e in self.cluster.events_of("twins")
            ),
        )
        self.assertFalse(any("ResourceClaim left" in e for e in self.cluster.events_of("twins")))
        left = f"left.{self.claim_uid('left')}"
        self.assertEqual(set(self.takt.reservations()), {left})
        self.assertEqual(len([f for f in self.cdi_files() if left in f]), 1)
        for side, told in (("left", ("True", "Reserved")), ("right", ("False", "BadParameters"))):
            wait_until(f"claim {side} tells", lambda side=side: self.condition_of(side))
            self.assertEqual(self.condition_of(side)[:2], told)
        statuses = wait_until("the pod's status is told", lambda: self.cluster.containers_of("twins"))
        self.assertEqual([set(s["state"]) for s in statuses], [{"waiting"}] * 2)
        self.assertEqual(self.pids("twins"), {})
        self.cluster.delete("pod/twins")
        self.expect_nothing_promised()
        self.assertEqual([f for f in self.cdi_files() if left in f], [])

    @test(needs=[grpcurl_built, two_cpus])
    def a_claim_that_has_room_for_a_part_alone_keeps_none_of_it(self):
        """So that of two such claims one can run. The scheduler counts sums: it finds room for all, one
        more than there are CPUs and each of more than half a CPU."""
        whole = claim("whole", 550000, runtime="55ms", period="100ms", guarantee="hard")
        requests = whole["spec"]["devices"]["requests"]
        requests += [{**requests[0], "name": f"rt{i}"} for i in range(os.cpu_count())]
        self.apply(whole)
        self.apply(claiming_pod("wide", "whole"))
        wait_until(
            "the pod tells why",
            lambda: any("ResourceClaim whole" in e for e in self.cluster.events_of("wide")),
        )
        self.expect_nothing_promised()
        wait_until("the claim tells", lambda: self.condition_of("whole"))
        self.assertEqual(self.condition_of("whole")[:2], ("False", "DoesNotFit"))
        # Nor does one prepare say yes for a part that another one is just giving back.
        key = {"namespace": "default", "name": "whole", "uid": self.claim_uid("whole")}
        with ThreadPoolExecutor() as pool:
            asked = [pool.submit(self.call_dra, "v1", "NodePrepareResources", key) for _ in range(8)]
        for one in asked:
            self.assertTrue(one.result()[key["uid"]]["error"])
        self.expect_nothing_promised()
        self.cluster.delete("pod/wide")

    @test
    def two_pods_share_a_claim_and_the_last_one_gives_it_back(self):
        self.apply(claim("both", 200000, runtime="2ms", period="20ms", cores=2))
        for name in ("one", "two"):
            self.apply(claiming_pod(name, "both"))
        for name in ("one", "two"):
            self.ready(name)
        second = self.process_of("two")
        for name in ("one", "two"):
            self.expect_under(self.process_of(name)[0], 2 * MS, 20 * MS)
        self.cluster.delete("pod/one")
        self.assertEqual(len(self.takt.reservations()), 1)
        self.expect_under(second[0], 2 * MS, 20 * MS)
        self.expect_untouched("two", second)
        self.cluster.delete("pod/two")
        self.expect_nothing_promised()

    @test
    def of_more_containers_than_servers_the_next_gets_one_when_it_is_free(self):
        self.apply(claim("one", 100000, runtime="2ms", period="20ms"))
        self.apply(claiming_pod("first", "one"))
        self.ready("first")
        first = self.process_of("first")[0]
        self.expect_under(first, 2 * MS, 20 * MS)
        self.apply(claiming_pod("second", "one"))
        self.ready("second")
        second = self.process_of("second")[0]
        self.assertFalse(self.is_under(second, 2 * MS, 20 * MS), "one server, two hold it")
        self.cluster.delete("pod/first")
        self.expect_under(second, 2 * MS, 20 * MS)
        self.cluster.delete("pod/second")
        self.expect_nothing_promised()

    @test
    def init_and_sidecar_containers_use_the_claim_of_their_pod(self):
        self.apply(claim("all", 200000, runtime="2ms", period="20ms", cores=2))
        made = claiming_pod("staged", "all")
        main = made["spec"]["containers"][0]
        look = "sleep 1; cut -d' ' -f41 /proc/1/stat"  # its own policy: proc(5)
        init = use_claim({**main, "name": "init", "command": ["sh", "-c", look]})
        sidecar = use_claim({**main, "name": "sidecar", "restartPolicy": "Always"})
        made["spec"]["initContainers"] = [init, sidecar]
        self.apply(made)
        self.ready("staged")
        pids = {**self.pids("staged"), **self.pids("staged", init=True)}
        self.assertEqual(set(pids), {"main", "sidecar"})
        told = self.cluster.kubectl("logs", "staged", "--container=init")
        self.assertEqual(told.strip(), str(SCHED_DEADLINE))
        for pid in pids.values():
            self.expect_under(pid, 2 * MS, 20 * MS)
        self.cluster.delete("pod/staged")
        self.expect_nothing_promised()

    @test
    def a_claim_of_two_cores_has_two_threads_under_it(self):
        self.apply(
            claim("wide", 200000, runtime="2ms", period="20ms", cores=2, threads={"all": True})
        )
        script = "sleep 1000 & sleep 1000 & wait"
        self.apply(claiming_pod("wide", "wide", ["sh", "-c", script]))
        self.ready("wide")

        def two():
            [resv] = self.takt.reservations().values()
            return len(resv["threads"]) == 2 and resv["threads"]

        for thread in wait_until("two threads are under it", two):
            self.expect_under(thread["tid"], 2 * MS, 20 * MS)
        self.cluster.delete("pod/wide")
        self.expect_nothing_promised()

    @test
    def a_container_that_its_restart_policy_starts_again_is_guaranteed_again(self):
        self.apply(claim("again-rt", 100000, runtime="2ms", period="20ms"))
        self.apply(claiming_pod("again", "again-rt"))
        self.ready("again")
        old = self.process_of("again")
        self.expect_under(old[0], 2 * MS, 20 * MS)
        self.takt.kill_process(old[0])

        def restarted():
            [one] = self.cluster.containers_of("again")
            return one["restartCount"] >= 1 and "running" in one["state"]

        wait_until("the kubelet starts it again", restarted)
        self.expect_under(self.process_of("again")[0], 2 * MS, 20 * MS)
        self.cluster.delete("pod/again")
        self.expect_nothing_promised()

    @test
    def a_pod_that_is_deleted_by_force_or_evicted_gives_back(self):
        self.start("forced", runtime="4ms", period="20ms")
        self.cluster.kubectl("delete", "pod/forced", "--force", "--grace-period=0")
        self.expect_nothing_promised()
        self.start("evicted", runtime="4ms", period="20ms")
        evict(self.cluster, "evicted")
        self.expect_nothing_promised()

    @test
    def a_claim_that_is_deleted_early_lasts_as_long_as_its_pod(self):
        process = self.start("early", runtime="4ms", period="20ms")
        self.cluster.kubectl("delete", "resourceclaim/early-rt", "--wait=false")
        deleted = self.cluster.get("resourceclaim", "early-rt")["metadata"]
        self.assertIn("deletionTimestamp", deleted)
        self.takt.stop("takt-dra")
        self.takt.start_dra()
        self.expect_under(process[0], 4 * MS, 20 * MS)
        self.cluster.delete("pod/early")
        self.expect_nothing_promised()

    @test
    def a_claim_tells_what_was_promised_and_that_it_was_released(self):
        self.start("camera", runtime="4ms", period="20ms")
        wait_until("the claim is ready", lambda: self.condition_of("camera-rt"))
        self.assertEqual(self.condition_of("camera-rt")[:2], ("True", "Reserved"))
        [device] = self.status_of("camera-rt")
        data = device["data"]
        uid = self.claim_uid("camera-rt")
        resv = self.takt.reservations()[f"camera-rt.{uid}"]
        for key in ("runtimeNs", "periodNs", "deadlineNs", "guarantee", "placement", "test"):
            self.assertEqual(data[key], resv[key])
        self.assertEqual(data["reservation"], resv["name"])
        self.assertEqual(data.get("boundNs"), resv.get("boundNs"))
        events = wait_until("an event tells it", lambda: self.events("camera-rt"))
        self.assertEqual(events[0][:2], ("Normal", "Prepared"))
        self.cluster.delete("pod/camera")
        self.expect_nothing_promised()

    @test
    def a_refusal_is_told_on_the_claim_and_on_the_pod_once(self):
        self.apply(claim("greedy-rt", 100000, runtime="4ms", period="20ms"))
        self.apply(claiming_pod("greedy", "greedy-rt"))
        wait_until("the claim tells why", lambda: self.condition_of("greedy-rt"))
        status, reason, message = self.condition_of("greedy-rt")
        self.assertEqual((status, reason), ("False", "BadParameters"))
        self.assertIn("need 200000 millionths", message)

        def said(name):
            return [e for e in self.events(name) if "need 200000 millionths" in e[2]]

        for name in ("greedy", "greedy-rt"):
            wait_until(f"an event on {name}", lambda name=name: said(name))
        log = self.cluster.state / "logs" / "takt-dra.log"
        asked = log.read_text().count("need 200000 millionths")
        wait_until(
            "the kubelet asks again",
            lambda: log.read_text().count("need 200000 millionths") > asked,
            240,
        )
        time.sleep(EVENT_SECONDS)
        for name in ("greedy", "greedy-rt"):
            self.assertEqual([e[:2] for e in said(name)], [("Warning", "BadParameters")])

    @test
    def a_pod_without_a_claim_beside_them_is_left_alone(self):
        self.apply(pod("plain", SLEEP))
        self.ready("plain")
        self.start("camera", runtime="4ms", period="20ms")
        self.assertFalse(self.is_under(self.process_of("plain")[0], 4 * MS, 20 * MS))
        self.cluster.delete("pod/camera", "pod/plain")
        self.expect_nothing_promised()
