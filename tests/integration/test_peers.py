# SPDX-License-Identifier: Apache-2.0
"""Hostile peers on the control socket: each costs bounded memory and its own connection, and
every other client is served meanwhile."""

import json
import threading
import time

from agent import TaktError
from harness import Agent, Case, Child, deadline, root, test, wait_for
from strangers import (
    GROUP,
    NOBODY,
    as_user,
    become,
    call,
    closed,
    memory_kib,
    message,
    open_files,
    raw,
    reachable,
    sanitized,
)

MEMORY_KIB = 64 * 1024  # what all peers together may make of the agent, whatever they do
CONNECTIONS = 1000
LIST = message("rt.takt.List")


class Hostile(Case):
    needs = (root, deadline)

    def setUp(self):
        super().setUp()
        if self._testMethodName and not getattr(self, "agent", None):
            self.agent = reachable(Agent(self, args=["--group", GROUP]).start())
            self.agent.reserve("there", "1ms", "100ms", guarantee="soft")
            self.files = open_files(self.agent)
            self.memory = memory_kib(self.agent)

    def served(self):
        """Root and a member of the group are, with short calls and with longer ones."""
        path = self.agent.socket
        self.assertEqual(call(path, "List")[0], "ok")
        self.assertEqual(as_user(self, NOBODY, NOBODY, lambda: call(path, "List"))[0], "ok")
        self.agent.reserve("served", "1ms", "100ms", guarantee="soft")
        self.agent.call("Release", name="served")

    def member_is_served(self):
        answer = as_user(self, NOBODY, NOBODY, lambda: call(self.agent.socket, "List"))
        self.assertEqual(answer[0], "ok")

    def afterwards(self, peers):
        """Says what it cost; all of it comes back when the peers go."""
        most = memory_kib(self.agent, "VmHWM")
        print(f"# memory: {self.memory} KiB before, {most} KiB at the most", flush=True)
        for peer in peers:
            peer.close()
        wait_for("its files are closed", lambda: open_files(self.agent) <= self.files)
        self.served()
        self.assertTrue(self.agent.running())
        if not sanitized():
            self.assertLess(most, MEMORY_KIB)

    @test
    def peers_that_send_a_byte_a_second_are_dropped_and_others_served(self):
        peers = [raw(self.agent.socket) for _ in range(20)]
        text = iter(LIST)
        lost = 0
        for _ in range(14):
            byte = bytes([next(text)])
            for peer in peers:
                try:
                    peer.sendall(byte)
                except ConnectionError:
                    lost += 1
            self.served()
            time.sleep(1)
        self.assertGreaterEqual(lost, len(peers))
        self.afterwards(peers)

    @test
    def a_message_without_end_is_cut_off(self):
        peers = [raw(self.agent.socket) for _ in range(20)]
        for peer in peers:
            try:
                for _ in range(64):
                    peer.sendall(b"x" * 16384)
            except ConnectionError:
                pass
        self.assertTrue(all(closed(peer) for peer in peers))
        self.afterwards(peers)

    @test
    def half_messages_of_many_peers_do_not_keep_a_call_out(self):
        peers = []
        for _ in range(100):
            peer = raw(self.agent.socket)
            peers.append(peer)
            try:
                peer.sendall(b'{"method":"' + b"x" * 200000)
            except ConnectionError:
                pass
        self.served()
        self.afterwards(peers)

    @test
    def peers_that_wait_after_a_long_message_hold_no_memory(self):
        peers = [raw(self.agent.socket) for _ in range(100)]
        for peer in peers:
            peer.sendall(message("rt.takt.List", name="x" * 200000))
        for peer in peers:
            self.assertIn(b"BadArgument", peer.recv(65536))
        long = raw(self.agent.socket)
        long.sendall(message("rt.takt.List", name="x" * 200000))
        self.assertIn(b"BadArgument", long.recv(65536))
        self.served()
        self.afterwards([*peers, long])

    @test
    def pipelined_calls_are_all_answered_in_order(self):
        calls, text = 4000, message("rt.takt.History", name="there")
        names = [f"n{n}" for n in range(calls)]
        text += b"".join(message("rt.takt.List", name=name) for name in names)

        def write(say):
            peer = raw(self.agent.socket, 60)
            threading.Thread(target=peer.sendall, args=[text], daemon=True).start()
            say(True)
            got = b""
            while got.count(b"\0") < calls + 1:
                got += peer.recv(1 << 20) or b"\0" * calls
            answers = [json.loads(m) for m in got.split(b"\0")[1:-1] if m]
            say([a["parameters"]["name"] for a in answers])

        peer = Child(self, write)
        self.served()
        peer.hear()
        self.assertEqual(peer.hear(), names)
        self.afterwards([])

    @test
    def a_flood_of_costly_calls_leaves_others_served(self):
        def flood(say):
            peers = [raw(self.agent.socket) for _ in range(8)]
            say(True)
            while True:
                for peer in peers:
                    peer.setblocking(False)
                    try:
                        peer.send(message("rt.takt.Node") * 100)
                        peer.recv(1 << 20)
                    except BlockingIOError:
                        pass

        peer = Child(self, flood)
        peer.hear()
        for _ in range(5):
            self.served()
        peer.end()
        self.afterwards([])

    @test
    def peers_that_never_read_are_dropped(self):
        for n in range(20):
            self.agent.reserve(f"r{n}", "10us", "100ms", guarantee="soft")
        peers = []
        for _ in range(30):
            peer = raw(self.agent.socket)
            peers.append(peer)
            peer.setblocking(False)
            for _ in range(50):
                try:
                    peer.send(LIST * 100)
                except (BlockingIOError, ConnectionError):
                    break
        self.served()
        self.afterwards(peers)

    @test
    def watchers_that_never_read_cost_a_bounded_amount(self):
        peers = []
        for _ in range(16):
            peer = raw(self.agent.socket)
            peers.append(peer)
            peer.sendall(b'{"method":"rt.takt.Watch","more":true}\0')
        spec = {"runtime": "90ms", "period": "100ms", "cores": 64}
        document = {"apiVersion": "rt.takt.dev/v1alpha1", "kind": "Reservation", "spec": spec}
        with self.agent.connect() as door:
            for n in range(8000):
                document["metadata"] = {"name": f"{'x' * 50}{n}"}
                with self.assertRaises(TaktError):
                    door.call("Reserve", document=document)
                if n % 1000 == 0:
                    self.served()
        self.afterwards(peers)

    @test
    def a_peer_that_goes_before_its_answer_harms_nobody(self):
        document = {
            "apiVersion": "rt.takt.dev/v1alpha1",
            "kind": "Reservation",
            "spec": {"runtime": "1ms", "period": "100ms"},
        }
        for n in range(60):
            document["metadata"] = {"name": "gone"}
            for flag in ("more", "oneway", "none"):
                for method, parameters in (
                    ("rt.takt.Reserve", {"document": document}),
                    ("rt.takt.Release", {"name": "gone"}),
                    ("rt.takt.History", {"name": "there"}),
                    ("rt.takt.Tell", {"source": "gone", "checks": [], "forMs": 1}),
                    ("rt.takt.Watch", {}),
                ):
                    peer = raw(self.agent.socket)
                    text = {"method": method, "parameters": parameters, flag: True}
                    if flag == "none":
                        del text[flag]
                    try:
                        peer.sendall(json.dumps(text).encode() + b"\0")
                    except ConnectionError:
                        pass  # too many of one user at a time
                    peer.close()
        self.afterwards([])

    @test
    def who_tells_without_end_costs_four_sources(self):
        line = {"status": "no", "detail": "x" * 500, "mend": "y" * 500}
        lines = [{"name": f"line-{n}", **line} for n in range(8)]
        refused = 0
        for n in range(1000):
            try:
                self.agent.call("Tell", source=f"source-{n}", checks=lines, forMs=3600000)
            except TaktError as error:
                self.assertEqual(error.name, "BadArgument")
                refused += 1
        self.assertEqual(refused, 996)
        told = [c for c in self.agent.call("Node")["checks"] if c["detail"] == "x" * 500]
        self.assertEqual(len(told), 8)
        self.afterwards([])

    @test
    def nonsense_ends_a_connection_or_gets_an_error_and_no_more(self):
        deep = b'{"method":"rt.takt.List","parameters":' + b'{"a":' * 5000 + b"1" + b"}" * 5001
        wrong = [b"null", b"1", b'"x"', b"[]", b"{}", b"true", b"-1", b"1e999", b'{"name":{}}']
        bodies = [
            b"", b"{", b"[]", b"null", b"\xff\xfe\xfd", deep, b"[" * 100000, b"{}" * 10,
            b'{"method":1}', b'{"method":""}', b'{"method":"rt.takt"}', b'{"method":"rt.takt."}',
            b'{"method":"rt.takt.List","method":"rt.takt.Node"}',
            b'{"method":"rt.takt.List","parameters":[]}',
            b'{"method":"rt.takt.List","parameters":{"name":"\xc3\x28"}}',
            b'{"method":"rt.takt.List","parameters":{"name":"\\u0000"}}',
            b'{"method":"rt.takt.List","parameters":{"name":"\\ud800"}}',
            b'{"method":"' + b"a" * 100000 + b'"}',
            b'{"method":"rt.takt.List","more":1,"oneway":"x","upgrade":true}',
            b'{"method":"org.varlink.service.GetInterfaceDescription"}',
        ]  # fmt: skip
        for method in (
            "Reserve Release Bind Attach Detach List Node Watch History Nothing".split()
        ):
            for value in wrong:
                bodies.append(b'{"method":"rt.takt.%s","parameters":%s}' % (method.encode(), value))
            for key in ("name", "pid", "tids", "document", "container"):
                for value in (*wrong, b"99999999999999999999", b"[0]", b"[-1]", b"[1.5]"):
                    text = b'{"method":"rt.takt.%s","parameters":{"name":"there","%s":%s}}'
                    if key == "name":
                        text = b'{"method":"rt.takt.%s","parameters":{"%s":%s}}'
                    bodies.append(text % (method.encode(), key.encode(), value))
        before = self.agent.reservations()
        for body in bodies:
            # What makes sense: to release it, and to bind it to process 1.
            if b"rt.takt.Release" in body and body.count(b'"there"') == 1:
                continue
            if b"rt.takt.Bind" in body and b'"pid":1}' in body:
                continue
            with raw(self.agent.socket) as peer:
                peer.sendall(body + b"\0" + LIST)
                if b"upgrade" not in body:
                    peer.recv(65536)
        print(f"# {len(bodies)} messages that no client sends", flush=True)
        self.assertEqual(self.agent.reservations(), before)
        self.afterwards([])


class Crowd(Hostile):
    """A thousand connections of one user leave the others' places free."""

    def crowd(self, uid):
        def connect(say):
            if uid:
                become(uid, uid)
            peers = []
            for _ in range(CONNECTIONS):
                peer = raw(self.agent.socket)
                peers.append(peer)
                try:
                    peer.sendall(LIST[:10])
                except ConnectionError:
                    pass
            say(len(peers))
            time.sleep(600)

        child = Child(self, connect)
        self.assertEqual(child.hear(), CONNECTIONS)
        return child

    @test
    def a_thousand_connections_of_another_user_leave_root_served(self):
        child = self.crowd(NOBODY)
        for _ in range(5):
            self.assertEqual(call(self.agent.socket, "List")[0], "ok")
            self.agent.reserve("served", "1ms", "100ms")
            self.agent.call("Release", name="served")
        self.assertLess(open_files(self.agent), self.files + 200)
        child.end()
        self.afterwards([])

    @test
    def a_thousand_connections_of_root_leave_the_group_served(self):
        child = self.crowd(0)
        for _ in range(5):
            self.member_is_served()
        self.assertLess(open_files(self.agent), self.files + 200)
        child.end()
        self.afterwards([])
