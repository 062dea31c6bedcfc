#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Calls of the API server's client to servers that behave badly, on loopback: calls.py PROGRAM."""

import errno
import json
import threading
import time

import tap
from kube_test import CLAIMS, SECONDS, SLICES, Case, Client, Server, always, status, thing


class Calls(Case):
    def test_a_get_says_who_we_are_and_what_we_want(self):
        server, client = self.serve(always(200, thing("a")))
        answer = client.do("get", **CLAIMS, namespace="n s", name="a")
        self.assertEqual((answer["code"], answer["object"]["metadata"]["name"]), (0, "a"))
        request = server.requests[0]
        self.assertEqual(request.path, "/apis/resource.k8s.io/v1/namespaces/n%20s/resourceclaims/a")
        self.assertEqual(request.token, "secret")
        self.assertEqual(request.headers["user-agent"], "takt-test/1")
        self.assertEqual(request.headers["accept"], "application/json")
        self.assertNotIn("accept-encoding", request.headers)

    def test_calls_share_a_connection(self):
        server, client = self.serve(always(200, thing("a")))
        for _ in range(5):
            self.assertEqual(client.do("get", **SLICES, name="a")["code"], 0)
        self.assertEqual(server.connections, 1)

    def test_many_calls_at_once_share_sixteen_connections_and_none_times_out_while_it_waits(self):
        def behave(peer, request):
            time.sleep(1.5)
            peer.reply(200, thing(request.path[-2:]))

        # Four rounds of 1.5 s are longer than the time-out of one call.
        server, client = self.serve(behave, timeout=5000)
        names = [client.order("get", **SLICES, name=f"{i:02}") for i in range(60)]
        self.assertEqual([client.expect(id=name)["code"] for name in names], [0] * 60)
        self.assertLessEqual(server.connections, 16)
        arrived = [request.path[-2:] for request in server.requests]
        self.assertLess(arrived.index("00"), arrived.index("59"))

    def test_a_call_that_is_cancelled_makes_room_for_one_that_waits(self):
        def behave(peer, request):
            if request.path.endswith("hangs"):
                peer.sock.recv(1)
            else:
                peer.reply(200, thing("a"))

        _, client = self.serve(behave)
        hanging = [client.order("get", **SLICES, name="hangs") for _ in range(16)]
        waiting = client.order("get", **SLICES, name="a")
        self.assertEqual(client.quiet(0.3), [])
        client.order("cancel", id=hanging[0])
        self.assertEqual(client.expect(id=waiting)["code"], 0)

    def test_each_refusal_has_its_code_and_the_servers_sentence(self):
        refusals = {
            "a": (404, "NotFound", errno.ENOENT),
            "b": (409, "AlreadyExists", errno.EEXIST),
            "c": (409, "Conflict", errno.EAGAIN),
            "d": (410, "Expired", errno.ESTALE),
            "e": (422, "Invalid", errno.EINVAL),
            "f": (403, "Forbidden", errno.EPERM),
            "g": (500, "InternalError", errno.EREMOTEIO),
            "h": (504, "Timeout", errno.ETIMEDOUT),
        }

        def behave(peer, request):
            code, reason, _ = refusals[request.path[-1]]
            peer.reply(code, status(code, reason, f"the server's {reason}"))

        _, client = self.serve(behave)
        for name, (code, reason, number) in refusals.items():
            answer = client.do("get", **SLICES, name=name)
            self.assertEqual((answer["code"], answer["http"]), (-number, code))
            self.assertEqual(answer["reason"], reason)
            self.assertIn(f"the server's {reason}", answer["error"])
            self.assertIn(f"GET /apis/resource.k8s.io/v1/resourceslices/{name}", answer["error"])
            self.assertNotIn("secret", answer["error"])

    def test_a_busy_server_says_when_to_come_back(self):
        _, client = self.serve(always(429, b"slow down", "Retry-After: 7"))
        answer = client.do("get", **SLICES, name="a")
        self.assertEqual((answer["code"], answer["retry"]), (-errno.EBUSY, 7))
        self.assertIn("slow down", answer["error"])

    def test_redirects_are_not_followed(self):
        server, client = self.serve(
            lambda peer, request: peer.reply(
                307, b"", f"Location: https://127.0.0.1:{server.port}/x")
        )
        answer = client.do("get", **SLICES, name="a")
        self.assertEqual(answer["code"], -errno.EPROTO)
        self.assertIn("redirect", answer["error"])
        self.assertEqual(len(server.requests), 1)

    def test_an_answer_that_is_no_json_object_is_refused(self):
        for body in (b"<html>", b"[1]", b"", b'{"a": '):
            _, client = self.serve(always(200, body))
            self.assertEqual(client.do("get", **SLICES, name="a")["code"], -errno.EPROTO)

    def test_writes_have_their_method_type_and_body(self):
        server, client = self.serve(always(200, thing("a")))
        sent = thing("a", kind="ResourceSlice")
        client.do("create", **SLICES, object=sent)
        client.do("update", **SLICES, name="a", object=sent)
        client.do("apply", **CLAIMS, namespace="n", name="a", subresource="status", object=sent,
                  manager="rt.takt.dev", force=True)
        client.do("delete", **SLICES, name="a", uid="u-a", resourceVersion="5")
        client.do("delete", **SLICES, name="a")
        seen = [(r.method, r.path, r.headers["content-type"]) for r in server.requests]
        base = "/apis/resource.k8s.io/v1/"
        applied = "namespaces/n/resourceclaims/a/status?fieldManager=rt.takt.dev&force=true"
        self.assertEqual(seen, [
            ("POST", base + "resourceslices", "application/json"),
            ("PUT", base + "resourceslices/a", "application/json"),
            ("PATCH", base + applied, "application/apply-patch+yaml"),
            ("DELETE", base + "resourceslices/a", "application/json"),
            ("DELETE", base + "resourceslices/a", "application/json"),
        ])
        bodies = [json.loads(r.body) for r in server.requests]
        self.assertEqual(bodies[:3], [sent] * 3)
        self.assertEqual(bodies[3]["preconditions"], {"uid": "u-a", "resourceVersion": "5"})
        self.assertEqual(bodies[4]["preconditions"], {})

    def test_a_path_that_is_none_is_refused_at_once(self):
        server, client = self.serve(always(200, thing("a")))
        self.assertEqual(client.do("get", **SLICES, name="../x")["code"], -errno.EINVAL)
        self.assertEqual(server.requests, [])

    def test_a_cancelled_call_is_silent_and_its_connection_is_closed(self):
        closed, arrived = threading.Event(), threading.Event()

        def behave(peer, request):
            arrived.set()
            if not peer.sock.recv(1):
                closed.set()

        _, client = self.serve(behave)
        name = client.order("get", **SLICES, name="a")
        self.assertTrue(arrived.wait(SECONDS))
        client.order("cancel", id=name)
        client.expect(id=name, event="ended")
        self.assertTrue(closed.wait(SECONDS))
        self.assertEqual(client.quiet(0.3), [])

    def test_a_callback_may_destroy_the_client(self):
        _, client = self.serve(always(200, thing("a")))
        for _ in range(4):
            client.order("get", **SLICES, name="a")
        client.order("get", **SLICES, name="a", last=True)
        self.assertEqual(client.process.wait(SECONDS), 0)

    def test_quitting_with_calls_under_way_leaves_nothing(self):
        arrived = threading.Event()

        def behave(peer, request):
            arrived.set()
            time.sleep(60)

        _, client = self.serve(behave)
        for _ in range(8):
            client.order("get", **SLICES, name="a")
        self.assertTrue(arrived.wait(SECONDS))


class Limits(Case):
    def test_a_huge_body_is_not_kept(self):
        def behave(peer, request):
            peer.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
            while True:
                peer.raw(b" " * 65536)

        _, client = self.serve(behave, answer_max=1000000)
        answer = client.do("get", **SLICES, name="a")
        self.assertEqual(answer["code"], -errno.EMSGSIZE)
        self.assertIn("longer than 1000000 bytes", answer["error"])

    def test_a_huge_error_body_is_not_kept_either(self):
        _, client = self.serve(always(500, b"x" * 2000000), answer_max=1000000)
        self.assertEqual(client.do("get", **SLICES, name="a")["code"], -errno.EMSGSIZE)

    def test_headers_without_end_are_not_kept(self):
        def behave(peer, request):
            peer.raw(b"HTTP/1.1 200 OK\r\n")
            while True:
                peer.raw(b"X-Y: " + b"z" * 1000 + b"\r\n")

        _, client = self.serve(behave)
        self.assertEqual(client.do("get", **SLICES, name="a")["code"], -errno.EMSGSIZE)

    def test_a_server_that_does_not_answer_costs_the_timeout(self):
        _, client = self.serve(lambda peer, request: time.sleep(60), timeout=500)
        self.assertEqual(client.do("get", **SLICES, name="a")["code"], -errno.ETIMEDOUT)

    def test_a_body_that_drips_costs_the_timeout_too(self):
        def behave(peer, request):
            peer.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while True:
                peer.raw(b" ")
                time.sleep(0.05)

        _, client = self.serve(behave, timeout=700)
        self.assertEqual(client.do("get", **SLICES, name="a")["code"], -errno.ETIMEDOUT)

    def test_a_connection_that_breaks_is_said(self):
        def behave(peer, request):
            peer.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
            return "close"

        _, client = self.serve(behave)
        self.assertEqual(client.do("get", **SLICES, name="a")["code"], -errno.EIO)
        _, client = self.serve(lambda peer, request: "close")
        self.assertEqual(client.do("get", **SLICES, name="a")["code"], -errno.EIO)

    def test_something_that_is_no_http_is_said(self):
        def behave(peer, request):
            peer.raw(b"SSH-2.0-x\r\n")
            return "close"

        _, client = self.serve(behave)
        self.assertIn(client.do("get", **SLICES, name="a")["code"], (-errno.EPROTO, -errno.EIO))

    def test_a_port_where_nobody_listens_is_said(self):
        server = Server(self, self.ca, None)
        server.close()
        client = Client(self, "kubeconfig", self.config(server.port))
        self.assertEqual(client.do("get", **SLICES, name="a")["code"], -errno.ECONNREFUSED)


if __name__ == "__main__":
    tap.main()
