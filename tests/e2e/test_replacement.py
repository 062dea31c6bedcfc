# SPDX-License-Identifier: Apache-2.0
"""A full node: what is over makes room for what comes, and what runs is never ended."""

import contextlib
import os
import socket
import statistics
import subprocess
import threading
import time
import uuid

from agent import TaktError, Varlink
from cluster import wait_until
from e2e import test
from harness import MS
from takt_node import DRIVER, TaktCase, claim, claiming_pod, grpcurl_built, template

LONG = os.environ.get("TAKT_LONG") == "1"
REPLACEMENTS = 200 if LONG else 20
SWEPT_SECONDS = 2  # by then a takt-dra that has started has looked at what there was
PERIOD_US = 100000


def ghost(name, ppm, uid):
    """A reservation as takt-dra makes it for a claim of that uid."""
    return {
        "apiVersion": f"{DRIVER}/v1alpha1",
        "kind": "Reservation",
        "metadata": {
            "name": f"{name}.{uid}",
            "labels": {"namespace": "default", "claim": name, "request": "rt"},
        },
        "spec": {
            "runtime": f"{ppm * PERIOD_US // 1000000}us",
            "period": f"{PERIOD_US}us",
            "guarantee": "soft",
        },
    }


class Changes:
    """What taktd says while it is there, with the milliseconds at which it happened."""

    def __init__(self, path):
        self.door = Varlink(path, seconds=None)
        self.seen = []
        changes = self.door.watch()
        self.thread = threading.Thread(target=self._collect, args=(changes,))
        self.thread.start()

    def _collect(self, changes):
        with contextlib.suppress(OSError):
            for change in changes:
                self.seen.append((change["what"], change["atMs"], change["name"]))

    def of(self, uid):
        """What happened to the reservations of that claim."""
        return [what for what, _, name in self.seen if uid in name]

    def starts(self):
        """Milliseconds between each end of a program and the next start of one."""
        found, over = [], None
        for what, at, _ in self.seen:
            if what == "unbound":
                over = at
            elif what == "thread-on" and over:
                found.append(at - over)
                over = None
        return found

    def end(self):
        with contextlib.suppress(OSError):
            self.door.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.door.socket.close()


class Full(TaktCase):
    def setUp(self):
        super().setUp()
        [device] = self.takt.slice()["spec"]["devices"][:1]
        text = device["capacity"]["bandwidth"]["value"]
        capacity = int(text.removesuffix("k")) * (1000 if text.endswith("k") else 1)
        # Three of a third each: no fourth one fits.
        self.ppm = capacity // 3 // 10 * 10
        self.runtime = self.ppm * PERIOD_US // 1000000
        self.before = self.prepare_failures()

    def parameters(self):
        return {"runtime": f"{self.runtime}us", "period": f"{PERIOD_US}us"}

    def reserve_ghost(self, name, uid=None, ppm=None):
        """Of a claim that nobody has, or of the one with that uid."""
        with Varlink(self.takt.socket) as door:
            document = ghost(name, ppm or self.ppm, uid or uuid.uuid4())
            door.call("Reserve", document=document, shareable=True)
            return document["metadata"]["name"]

    def bind(self, name, pid):
        with Varlink(self.takt.socket) as door:
            door.call("Bind", name=name, pid=pid, container="old")

    def expect_ended(self, ghosts):
        """All at once; or those that were there when takt-dra looked as it began, which made room, so
        that no prepare has asked after the others."""
        left = set(ghosts) & set(self.takt.reservations())
        self.assertLess(len(left), len(ghosts))
        self.release(*left)

    def succeeded(self):
        time.sleep(1)  # kubectl takes time from those that it asks about
        having = ("--field-selector", "status.phase=Succeeded", "-o", "name")
        return {name.removeprefix("pod/") for name in self.cluster.kubectl("get", "pods", *having).split()}

    def expect_all_succeed(self, names):
        """In the order that the scheduler takes them: of many it tries some again after minutes."""
        while names:
            names -= wait_until(
                f"another one of {len(names)} pods succeeds", lambda: names & self.succeeded(), 240
            )

    def hold_ghost(self, name, pid):
        """takt-dra ends what is for no claim whenever it looks, between the two calls as well."""
        for _ in range(10):
            held = self.reserve_ghost(name)
            try:
                self.bind(held, pid)
                return held
            except TaktError as e:
                if e.name != "NoSuchReservation":
                    raise
        raise AssertionError(f"{held} is ended again and again")

    def release(self, *names):
        with Varlink(self.takt.socket) as door:
            for name in names:
                door.call("Release", name=name)

    def sleeper(self):
        process = subprocess.Popen(["sleep", "1000"])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def apply_pod(self, name):
        self.apply(claim(f"{name}-rt", self.ppm, **self.parameters()))
        self.apply(claiming_pod(name, f"{name}-rt"))

    def expect_running(self, name):
        self.cluster.wait(f"pod/{name}", "condition=Ready")
        pid = self.process_of(name)[0]
        self.expect_under(pid, self.runtime * MS // 1000, PERIOD_US * MS // 1000)

    def expect_to_make_room(self, ghosts):
        self.apply_pod("new")
        self.expect_running("new")
        self.assertEqual(self.prepare_failures(), self.before)
        self.expect_ended(ghosts)
        self.cluster.delete("pod/new")
        self.expect_nothing_promised()

    @test
    def promises_of_claims_that_are_gone_make_room_in_the_same_prepare(self):
        ghosts = [self.reserve_ghost(f"old{i}") for i in range(3)]
        self.expect_to_make_room(ghosts)

    @test
    def promises_of_claims_that_are_there_and_not_allocated_make_room_in_the_same_prepare(self):
        uids = []
        for i in range(3):
            self.apply(claim(f"old{i}", self.ppm, **self.parameters()))
            uids.append(self.claim_uid(f"old{i}"))
        ghosts = [self.reserve_ghost(f"old{i}", uid) for i, uid in enumerate(uids)]
        self.expect_to_make_room(ghosts)

    @test
    def what_an_allocation_before_left_is_replaced(self):
        self.apply(claim("new-rt", self.ppm, **self.parameters()))
        uid = self.claim_uid("new-rt")
        time.sleep(SWEPT_SECONDS)
        old = self.reserve_ghost("new-rt", uid, self.ppm // 2)
        self.apply(claiming_pod("new", "new-rt"))
        self.expect_running("new")
        self.assertEqual(self.prepare_failures(), self.before)
        self.assertEqual(set(self.takt.reservations()), {old})
        self.cluster.delete("pod/new")
        self.expect_nothing_promised()

    @test
    def a_container_that_is_just_dying_is_waited_for(self):
        dying = [self.sleeper() for _ in range(3)]
        ghosts = [self.hold_ghost(f"old{i}", process.pid) for i, process in enumerate(dying)]
        self.apply_pod("new")
        self.cluster.wait("pod/new", "condition=PodScheduled")
        time.sleep(2)
        self.assertEqual(set(self.takt.reservations()), set(ghosts), "what is held was ended")
        dying[0].kill()
        dying[0].wait()
        self.expect_running("new")
        self.assertEqual(self.prepare_failures(), self.before)
        self.assertTrue(set(ghosts[1:]) <= set(self.takt.reservations()))
        for process in dying:
            process.kill()
        self.cluster.delete("pod/new")
        self.release(*ghosts[1:])
        self.expect_nothing_promised()

    @test(needs=[grpcurl_built])
    def a_claim_that_is_unprepared_while_its_prepare_waits_for_room_is_not_reserved(self):
        """As the kubelet's reconcile loop does where the pod was deleted by force meanwhile, once a
        minute: another client does it here. Not even when there is room at last."""
        dying = [self.sleeper() for _ in range(3)]
        ghosts = [self.hold_ghost(f"old{i}", process.pid) for i, process in enumerate(dying)]
        changes = Changes(self.takt.socket)
        self.addCleanup(changes.end)
        self.apply_pod("new")
        self.wait_for_prepare("new-rt")
        uid = self.claim_uid("new-rt")
        wait_until("taktd has no room", lambda: "refused" in changes.of(uid))
        self.cluster.kubectl("delete", "pod/new", "--force", "--grace-period=0")
        self.assertTrue(self.prepare_is_under_way(uid))
        key = {"namespace": "default", "name": "new-rt", "uid": uid}
        begun = time.monotonic()
        self.assertEqual(self.call_dra("v1", "NodeUnprepareResources", key), {uid: {"error": ""}})
        print(f"# unprepared within {time.monotonic() - begun:.1f} s", flush=True)
        self.assertEqual(set(self.takt.reservations()), set(ghosts))
        dying[0].kill()
        dying[0].wait()
        wait_until("there is room", lambda: ghosts[0] not in self.takt.reservations())
        self.apply_pod("next")
        self.expect_running("next")
        self.assertNotIn("reserved", changes.of(uid))
        self.assertEqual([f for f in self.cdi_files() if uid in f], [])
        for process in dying:
            process.kill()
        self.cluster.delete("pod/next")
        self.release(*ghosts[1:])
        self.expect_nothing_promised()

    @test
    def what_others_reserved_is_never_ended(self):
        """Neither by hand, nor with labels that only look like a claim's."""
        document = ghost("old", self.ppm, uuid.uuid4())
        document["metadata"]["name"] = "by-hand"
        with Varlink(self.takt.socket) as door:
            door.call("Reserve", document=document)
        kept = [self.reserve_ghost(f"old{i}") for i in range(2)]
        self.apply_pod("new")
        self.expect_running("new")
        self.assertIn("by-hand", self.takt.reservations())
        self.expect_ended(kept)
        self.cluster.delete("pod/new")
        self.release("by-hand")
        self.expect_nothing_promised()

    @test
    def pods_replace_each_other_on_a_full_node_without_a_retry_of_the_kubelet(self):
        for name in ("a", "b"):
            self.apply_pod(name)
            self.expect_running(name)
        self.apply(template("turn", self.ppm, **self.parameters()))
        log = self.cluster.state / "logs" / "takt-dra.log"
        ended = log.read_text().count(": released, as ")
        names = [f"turn-{i}" for i in range(REPLACEMENTS)]
        made = []
        for name in names:
            one = claiming_pod(name, "turn", ["sleep", "0.2"], "resourceClaimTemplateName")
            one["spec"]["restartPolicy"] = "Never"
            made.append(one)
        self.addCleanup(self.cluster.delete, *(f"pod/{name}" for name in names))
        changes = Changes(self.takt.socket)
        self.addCleanup(changes.end)
        self.cluster.apply({"apiVersion": "v1", "kind": "List", "items": made})
        self.expect_all_succeed(set(names))
        self.assertEqual(self.prepare_failures(), self.before)
        starts = changes.starts()
        ended = log.read_text().count(": released, as ") - ended
        print(
            f"# {REPLACEMENTS} replacements: from the end of one program to the start of the next"
            f" median {statistics.median(starts):.0f} ms, most {max(starts)} ms;"
            f" {ended} promises were ended before the kubelet did it",
            flush=True,
        )
        self.cluster.delete(*(f"pod/{name}" for name in (*names, "a", "b")))
        self.expect_nothing_promised()

    @test
    def a_full_node_says_so_in_the_schedulers_sentence(self):
        for name in ("a", "b", "c"):
            self.apply_pod(name)
            self.expect_running(name)
        self.apply_pod("d")
        wait_until(
            "the scheduler tells why",
            lambda: any("cannot allocate all claims" in e for e in self.cluster.events_of("d")),
        )
        self.cluster.delete("pod/a")
        self.expect_running("d")
        self.cluster.delete("pod/b", "pod/c", "pod/d")
        self.expect_nothing_promised()
