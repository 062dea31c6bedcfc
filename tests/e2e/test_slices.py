# SPDX-License-Identifier: Apache-2.0
"""What a real node publishes: ResourceSlices that say what it can keep, follow what happens to it,
and are always there; and how its devices are, as the kubelet shows it."""

import json
import os
import random
import re
import subprocess
import threading
import time
from pathlib import Path

from agent import Varlink
from cluster import wait_until
from e2e import NODE, NodeCase, test
from harness import (
    MS,
    SCHED_DEADLINE,
    connector,
    deadline,
    kernel_admission,
    sched_getattr,
    two_cpus,
)
from puppet import RT_RUNTIME, recount, write_limit
from takt_node import DEVICE_CLASS, DRIVER, SLICES, Programs, claim, claiming_pod, taints_kept

NAME = f"{NODE}-{DRIVER}"
PPM = 1_000_000
SETTLED_SECONDS = 6  # taktd takes no ceiling for certain before
GRACE_SECONDS = 4  # a taktd that is away for less taints nothing
KINDS = ("pod", "resourceclaim")  # of one name, in a stream
TURN_SECONDS = 5  # for the scheduler to take what waited for room


def value_of(attribute):
    return next(iter(attribute.values()))


class Watch:
    """What happens to our slices, with the moment: kubectl's own watch."""

    def __init__(self, case):
        program = case.cluster.sources["kubernetes"].folder() / "kubectl"
        words = [program, "get", SLICES, "--watch", "--output-watch-events", "-o", "json"]
        env = {**os.environ, **case.cluster.environment}
        self.process = subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True)
        case.addCleanup(self.end)
        self.events = []
        threading.Thread(target=self._read, daemon=True).start()
        wait_until("the watch has begun", lambda: self.events)

    def _read(self):
        decoder, text = json.JSONDecoder(), ""
        for line in self.process.stdout:
            text += line
            try:
                event, end = decoder.raw_decode(text)
            except json.JSONDecodeError:
                continue
            text = text[end:].lstrip()
            self.events.append((time.monotonic(), event["type"], event["object"]))

    def since(self, kind, moment):
        return [at for at, type, _ in self.events if type == kind and at >= moment]

    def end(self):
        self.process.kill()
        self.process.wait()


class Published(NodeCase):
    """A node with taktd, takt-dra and the device class."""

    needs = (*NodeCase.needs, deadline, connector, kernel_admission)

    def setUp(self):
        super().setUp()
        self.takt = Programs(self)
        self.takt.start_taktd()
        self.takt.start_dra()
        self.apply(DEVICE_CLASS)
        # Pods go first, and the kubelet gives back what they had.
        self.addCleanup(wait_until, "all is released", lambda: not self.takt.reservations())
        self.addCleanup(self.show_log)

    def show_log(self):
        result = self._outcome.result
        if any(test is self for test, _ in (*result.failures, *result.errors)):
            log = (self.cluster.state / "logs" / "takt-dra.log").read_text()
            for line in log.splitlines()[-10:]:
                print(f"# {line}", flush=True)

    def devices(self):
        """Of all our slices: name -> device."""
        ours = [s for s in self.cluster.get(SLICES) if s["spec"]["driver"] == DRIVER]
        return {d["name"]: d for s in ours for d in s["spec"].get("devices", [])}

    def attributes(self, device="shared"):
        return {k: value_of(v) for k, v in self.devices()[device]["attributes"].items()}

    def capacity(self, device="shared"):
        text = self.devices()[device]["capacity"]["bandwidth"]["value"]
        return int(text[:-1]) * 1000 if text.endswith("k") else int(text)

    def taints(self, device="shared"):
        found = self.devices()[device].get("taints", [])
        return {t["key"].removeprefix(f"{DRIVER}/"): (t["value"], t["effect"]) for t in found}

    def call(self, method, **parameters):
        with Varlink(self.takt.socket) as door:
            return door.call(method, **parameters)

    def reserve(self, name, runtime, period, **spec):
        self.call(
            "Reserve",
            document={
                "apiVersion": "rt.takt.dev/v1alpha1",
                "kind": "Reservation",
                "metadata": {"name": name},
                "spec": {"runtime": runtime, "period": period, **spec},
            },
        )

    def within(self, what, condition):
        """Waits, and says how long it took."""
        begun = time.monotonic()
        wait_until(what, condition)
        print(f"# {what}: after {time.monotonic() - begun:.1f} s", flush=True)

    def expect_unschedulable(self, name, words):
        def unschedulable():
            status = self.cluster.get("pod", name)["status"]
            return any(
                c["type"] == "PodScheduled" and c["status"] == "False" and words in c["message"]
                for c in status.get("conditions", [])
            )

        wait_until(f"the scheduler does not place {name}: {words}", unschedulable)

    def select(self, made, expression):
        exactly = made["spec"]["devices"]["requests"][0]["exactly"]
        exactly["selectors"] = [{"cel": {"expression": expression}}]
        return made


class Slices(Published):
    @test
    def a_slice_says_what_the_node_is_and_claims_select_on_it(self):
        def agree():
            node, told = self.call("Node"), self.attributes()
            same = all(told[n] == node[n] for n in ("cpus", "granularityNs", "ceilingPpmPerCpu"))
            most = node["cpus"] * node["ceilingPpmPerCpu"] - node["ownPpm"] - node["foreignPpm"]
            return same and self.capacity() == most - 256 and (node, told)

        node, told = wait_until("the slice says what taktd says", agree)
        self.assertEqual(told["placement"], "shared")
        statuses = {c["name"]: c["status"] for c in node["checks"]}
        self.assertEqual(told["virtualMachine"], statuses["hypervisor"] == "limited")
        self.assertEqual(told["hrtick"], statuses["granularity"] == "ok")
        self.assertEqual(told["hard"], "hardMinPeriodNs" in told)
        of = f"device.attributes['{DRIVER}']"
        good = claim("good", 100000, runtime="2ms", period="20ms")
        none = claim("none", 100000, runtime="2ms", period="20ms")
        here = f"{of}.placement == 'shared' && {of}.cpus == {node['cpus']} && !{of}.hardBySum"
        self.apply(self.select(good, here), claiming_pod("good", "good"))
        self.apply(self.select(none, f"{of}.cpus > 1000"), claiming_pod("none", "none"))
        self.cluster.wait("pod/good", "condition=Ready")
        self.expect_unschedulable("none", "cannot allocate all claims")

    @test
    def a_reservation_by_hand_shrinks_the_capacity_and_its_release_restores_it(self):
        time.sleep(SETTLED_SECONDS)
        before = self.capacity()
        self.reserve("by-hand", "30ms", "100ms", guarantee="soft")
        less = before - 300000
        self.within("the capacity is less", lambda: abs(self.capacity() - less) <= 2)
        self.call("Release", name="by-hand")
        self.within("it is what it was", lambda: self.capacity() == before)

    @test
    def a_claim_does_not_change_what_is_published(self):
        time.sleep(SETTLED_SECONDS)
        before = self.cluster.get(SLICES, NAME)["metadata"]["resourceVersion"]
        self.apply(claim("calm", 200000, runtime="4ms", period="20ms"))
        self.apply(claiming_pod("calm", "calm"))
        self.cluster.wait("pod/calm", "condition=Ready")
        time.sleep(2)
        self.assertEqual(self.cluster.get(SLICES, NAME)["metadata"]["resourceVersion"], before)

    @test
    def a_slice_that_somebody_edits_is_put_right_and_then_left_alone(self):
        time.sleep(SETTLED_SECONDS)
        before = self.cluster.get(SLICES, NAME)["spec"]
        wrong = [
            {"op": "replace", "path": "/spec/devices/0/capacity/bandwidth/value", "value": "9M"},
            {"op": "add", "path": "/spec/devices/0/attributes/cpus", "value": {"int": 64}},
        ]
        self.cluster.kubectl("patch", SLICES, NAME, "--type=json", "-p", json.dumps(wrong))
        self.within("it is as before", lambda: self.cluster.get(SLICES, NAME)["spec"] == before)
        version = self.cluster.get(SLICES, NAME)["metadata"]["resourceVersion"]
        time.sleep(3)
        self.assertEqual(self.cluster.get(SLICES, NAME)["metadata"]["resourceVersion"], version)

    @test
    def a_foreign_slice_of_ours_is_removed(self):
        extra = self.cluster.get(SLICES, NAME)
        extra["metadata"] = {"name": f"{NAME}-left-over"}
        self.cluster.apply(extra)

        def gone():
            return [s["metadata"]["name"] for s in self.cluster.get(SLICES)] == [NAME]

        self.within("only ours is there", gone)

    @test
    def slices_are_back_within_two_seconds_when_the_kubelet_takes_them_away(self):
        watch = Watch(self)
        begun = time.monotonic()
        self.cluster.restart("kubelet")
        gone = wait_until("it was deleted", lambda: watch.since("DELETED", begun))[0]
        back = wait_until("it was added", lambda: watch.since("ADDED", gone))[0]
        print(f"# back {back - gone:.2f} s after the kubelet took it away", flush=True)
        self.assertEqual(len(self.devices()), 1)
        self.apply(claim("after", 200000, runtime="4ms", period="20ms"))
        self.apply(claiming_pod("after", "after"))
        self.cluster.wait("pod/after", "condition=Ready")


class Broken(Published):
    """What goes wrong on the node comes to the scheduler and to the pod, and goes again."""

    def setUp(self):
        super().setUp()
        self.before = RT_RUNTIME.read_text()
        self.addCleanup(self.restore)

    def restore(self):
        write_limit(self.before)

    def healths(self, name):
        status = self.cluster.containers_of(name)[0]
        found = [r for a in status.get("allocatedResourcesStatus", []) for r in a["resources"]]
        return [(r.get("health"), r.get("message", "")) for r in found]

    @test(needs=[taints_kept])
    def a_lowered_ceiling_is_what_is_published_and_told(self):
        most, ceiling = self.capacity(), self.attributes()["ceilingPpmPerCpu"]
        self.assertEqual(self.taints(), {})
        write_limit("500000")
        self.within(
            "the taint is there", lambda: self.taints().get("ceiling") == ("lowered", "None")
        )
        self.within(
            "the ceiling is lower",
            lambda: self.attributes()["ceilingPpmPerCpu"] < ceiling - 300000,
        )
        self.within("the capacity is less", lambda: self.capacity() < most - 600000)
        write_limit(self.before)
        self.within("the taint is gone", lambda: self.taints() == {})
        # But for what the kernel miscounts when containers come and go.
        self.within("the capacity is back", lambda: self.capacity() > most - 200000)

    @test(needs=[taints_kept])
    def nothing_new_is_scheduled_while_the_kernel_keeps_nothing_back(self):
        write_limit("-1")
        self.within(
            "the taint is there", lambda: self.taints().get("ceiling") == ("changed", "NoSchedule")
        )
        self.apply(claim("late", 100000, runtime="2ms", period="20ms"))
        self.apply(claiming_pod("late", "late"))
        self.expect_unschedulable("late", "cannot allocate all claims")
        write_limit(self.before)
        self.within("the taint is gone", lambda: self.taints() == {})
        self.cluster.wait("pod/late", "condition=Ready")

    @test(needs=[taints_kept])
    def a_pod_shows_how_its_device_is_while_taktd_is_away_and_back(self):
        self.apply(claim("shown", 200000, runtime="4ms", period="20ms"))
        self.apply(claiming_pod("shown", "shown"))
        self.cluster.wait("pod/shown", "condition=Ready")
        self.expect_health("Healthy")
        process = self.process_of("shown")
        self.takt.stop("taktd", 9)
        self.expect_health("Unhealthy")
        print(f"# the pod says: {self.healths('shown')[0][1]!r}", flush=True)
        self.within(
            "the taint is there",
            lambda: self.taints().get("taktd") == ("unreachable", "NoSchedule"),
        )
        self.takt.start_taktd()
        self.within("the taint is gone", lambda: self.taints() == {})
        self.expect_health("Healthy")
        self.expect_untouched("shown", process)

    def expect_health(self, health):
        self.within(f"it is {health}", lambda: [h for h, _ in self.healths("shown")] == [health])

    @test
    def a_taktd_that_only_starts_anew_taints_nothing(self):
        watch = Watch(self)
        begun = time.monotonic()
        self.takt.stop("taktd", 9)
        self.takt.start_taktd()
        away = time.monotonic() - begun
        print(f"# away for {away:.2f} s", flush=True)
        time.sleep(6)
        for _, kind, seen in watch.events:
            self.assertNotEqual(kind, "DELETED")
            if away < GRACE_SECONDS:
                self.assertEqual([d for d in seen["spec"]["devices"] if "taints" in d], [])

    @test(needs=[taints_kept])
    def what_an_earlier_takt_dra_published_is_tainted_while_taktd_is_away(self):
        self.takt.stop("takt-dra", 9)
        self.takt.stop("taktd", 9)
        self.takt.start_dra()
        self.within("the taint is there", lambda: "taktd" in self.taints())
        self.takt.start_taktd()
        self.within("the taint is gone", lambda: self.taints() == {})

    @test
    def takt_dra_that_is_told_to_end_takes_its_sockets_away(self):
        registry = Path(self.cluster.node_path("/var/lib/kubelet/plugins_registry"))
        service = Path(self.cluster.node_path(f"/var/lib/kubelet/plugins/{DRIVER}/dra.sock"))
        self.assertTrue(service.is_socket())
        self.assertTrue((registry / f"{DRIVER}-reg.sock").is_socket())
        begun = time.monotonic()
        self.takt.stop("takt-dra")
        print(f"# ended after {time.monotonic() - begun:.2f} s", flush=True)
        self.assertFalse(service.exists())
        self.assertEqual(list(registry.glob(f"{DRIVER}*")), [])


class Streams(Published):
    """No surprise: what the scheduler places, the node takes."""

    def random_claims(self, seed, n, guarantee):
        chance = random.Random(seed)
        for i in range(n):
            period = chance.choice([10, 20, 33, 50, 100, 200])
            runtime = max(1, round(period * chance.uniform(0.03, 0.35)))
            cores = chance.choice([1, 1, 1, 2])
            needed = cores * -(-runtime * PPM // period)
            spec = {"runtime": f"{runtime}ms", "period": f"{period}ms", "cores": cores}
            yield claim(f"s{i}", needed, guarantee=guarantee, **spec)

    def run_stream(self, seed, n, guarantee, turns=0):
        """(claims that were placed, that were not, that the node refused with its sentence), after as
        many turns in which some of those that were placed go and others take their room."""
        claims = list(self.random_claims(seed, n, guarantee))
        pods = [claiming_pod(c["metadata"]["name"], c["metadata"]["name"]) for c in claims]
        for one in (*claims, *pods):
            one["metadata"]["labels"] = {"stream": str(seed)}
        self.addCleanup(self.forget, seed)
        self.cluster.apply({"apiVersion": "v1", "kind": "List", "items": claims + pods})
        found = wait_until("every pod has had its answer", lambda: self.answers(seed), 300)
        chance = random.Random(seed)
        for _ in range(turns):
            gone = chance.sample(found[0], len(found[0]) // 3)
            self.cluster.delete(*(f"{kind}/{name}" for name in gone for kind in KINDS))
            time.sleep(TURN_SECONDS)
            found = wait_until("every pod has had its answer", lambda: self.answers(seed), 300)
        self.forget(seed)
        wait_until("all is released", lambda: not self.takt.reservations())
        return found

    def forget(self, seed):
        self.cluster.kubectl("delete", ",".join(KINDS), "-l", f"stream={seed}", "--ignore-not-found")

    def answers(self, seed):
        text = self.cluster.kubectl("get", "pods", "-l", f"stream={seed}", "-o", "json")
        events = self.cluster.get("events")
        placed, full, refused = [], [], {}
        for one in json.loads(text)["items"]:
            name, uid = one["metadata"]["name"], one["metadata"]["uid"]
            known = {c["type"]: c for c in one["status"].get("conditions", [])}
            said = [
                e["message"]
                for e in events
                if e["involvedObject"].get("uid") == uid
                and e["reason"] == "FailedPrepareDynamicResources"
            ]
            if known.get("PodScheduled", {}).get("status") != "True":
                if "cannot allocate" not in known.get("PodScheduled", {}).get("message", ""):
                    return None
                full.append(name)
            elif said:
                refused[name] = said[0]
            elif known.get("Ready", {}).get("status") == "True":
                placed.append(name)
            else:
                return None
        return placed, full, refused

    @test
    def the_node_refuses_no_soft_claim_that_the_scheduler_places(self):
        total = 0
        for seed in (1, 2, 3):
            placed, full, refused = self.run_stream(seed, 10 * os.cpu_count(), "soft", turns=2)
            self.assertEqual(refused, {})
            self.assertTrue(full, "the stream did not fill the node")
            total += len(placed)
        print(f"# {total} soft claims placed, none refused by the node", flush=True)

    @test
    def what_hard_claims_lose_to_a_test_that_is_no_sum_is_measured(self):
        taken, lost = 0, {}
        for seed in (4, 5):
            placed, _, refused = self.run_stream(seed, 10, "hard")
            taken, lost = taken + len(placed), {**lost, **refused}
        share = len(lost) / (taken + len(lost))
        print(f"# of hard claims placed the node refused {len(lost)}, {share:.0%}", flush=True)
        self.assertGreater(taken, 0)
        for why in lost.values():
            # Room is the scheduler's sum: only the proof may fail.
            print(f"#   {re.sub(r'.*claim ', 'claim ', why)[:200]}", flush=True)
        if self.attributes()["hardBySum"]:
            self.assertEqual(lost, {})


class PerCpu(Published):
    needs = (*Published.needs, two_cpus)

    def setUp(self):
        # Before taktd starts: it decides then whether servers can be pinned.
        self.before = RT_RUNTIME.read_text()
        self.addCleanup(self.restore)
        if not self.missing_needs():
            write_limit("-1")
        super().setUp()

    def missing_needs(self):
        return [why for why in (need() for need in self.needs) if why]

    def restore(self):
        if RT_RUNTIME.read_text() != self.before:
            write_limit(self.before)
        recount()

    @test
    def there_is_a_device_for_each_cpu_and_a_claim_runs_on_exactly_that_one(self):
        cpus = sorted(os.sched_getaffinity(0))
        self.assertEqual(sorted(self.devices()), [f"cpu{n}" for n in cpus])
        last = cpus[-1]
        told = self.attributes(f"cpu{last}")
        self.assertEqual((told["cpu"], told["placement"]), (last, "pinned"))
        self.assertIn("core", told)
        self.assertEqual(told.get("numaNode"), told.get("resource.kubernetes.io/numaNode"))
        made = claim("camera", 200000, runtime="4ms", period="20ms")
        self.apply(self.select(made, f"device.attributes['{DRIVER}'].cpu == {last}"))
        self.apply(claiming_pod("camera", "camera"))
        self.cluster.wait("pod/camera", "condition=Ready")
        pid = self.process_of("camera")[0]
        wait_until("it is under it", lambda: sched_getattr(pid).policy == SCHED_DEADLINE)
        self.assertEqual(sched_getattr(pid).runtime, 4 * MS)
        self.assertEqual(os.sched_getaffinity(pid), {last})

    @test
    def two_cpus_of_one_request_are_one_reservation_of_two_cores(self):
        cpus = sorted(os.sched_getaffinity(0))[:2]
        made = claim("pair", 200000, runtime="4ms", period="20ms", threads={"all": True})
        made["spec"]["devices"]["requests"][0]["exactly"]["count"] = 2
        self.apply(made, claiming_pod("pair", "pair"))
        self.cluster.wait("pod/pair", "condition=Ready")
        (resv,) = self.takt.reservations().values()
        self.assertEqual((resv["cores"], resv["cpus"]), (2, cpus))
        self.assertEqual(resv["placement"], "pinned")

    @test(needs=[taints_kept])
    def a_cpu_that_taktd_may_not_use_any_more_taints_its_own_device(self):
        cpus = sorted(os.sched_getaffinity(0))
        pid, last = self.takt.running["taktd"].pid, f"cpu{cpus[-1]}"
        self.addCleanup(os.sched_setaffinity, pid, cpus)
        os.sched_setaffinity(pid, cpus[:-1])
        self.within("the taint is there", lambda: "cpus" in self.taints(last))
        self.assertEqual(self.taints(last)["cpus"], ("offline", "NoSchedule"))
        self.assertEqual(self.taints(f"cpu{cpus[0]}"), {})
        os.sched_setaffinity(pid, cpus)
        self.within("the taint is gone", lambda: self.taints(last) == {})

    @test
    def one_cpu_that_is_full_leaves_the_other(self):
        cpus = sorted(os.sched_getaffinity(0))[:2]
        for n in range(3):
            made = claim(f"half{n}", 600000, runtime="60ms", period="100ms", guarantee="soft")
            self.apply(made, claiming_pod(f"half{n}", f"half{n}"))
            if n < 2:
                self.cluster.wait(f"pod/half{n}", "condition=Ready")
        self.expect_unschedulable("half2", "cannot allocate all claims")
        used = [r["cpus"] for r in self.takt.reservations().values()]
        self.assertEqual(sorted(used), [[n] for n in cpus])
