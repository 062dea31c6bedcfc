#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Watches of servers that behave badly, on loopback: watching.py PROGRAM."""

import errno
import threading
import time
from urllib.parse import parse_qs, urlsplit

import tap
from kube_test import SECONDS, SLICES, Case, Client, Server
from kube_test import always, items, line, short, status, thing


def query(request):
    return {k: v[0] for k, v in parse_qs(urlsplit(request.path).query).items()}


def wants_watch(request):
    return "watch" in query(request)


class Watches(Case):
    """Each test's server is a list of answers to lists, and one of behaviours of streams."""

    def server(self, lists, streams):
        lists, streams = list(lists), list(streams)

        def behave(peer, request):
            if wants_watch(request):
                act = streams.pop(0) if len(streams) > 1 else streams[0]
            else:
                act = lists.pop(0) if len(lists) > 1 else lists[0]
            if callable(act):
                return act(peer, request)
            return peer.reply(200, act)

        return behave

    def watch(self, lists, streams, **options):
        server, client = self.serve(self.server(lists, streams))
        return server, client, client.order("watch", **SLICES, **options)

    def told(self, client, name, *wanted):
        self.assertEqual([client.next(name) for _ in wanted], list(wanted))

    @staticmethod
    def stay(peer, request):
        peer.stream()
        time.sleep(60)

    @staticmethod
    def events(*pieces):
        """A stream of these bytes, each in a chunk of its own, that then stays open."""

        def act(peer, request):
            peer.stream()
            for piece in pieces:
                peer.chunk(piece)
                time.sleep(0.01)
            time.sleep(60)

        return act

    @staticmethod
    def closing(*pieces):
        def act(peer, request):
            peer.stream()
            for piece in pieces:
                peer.chunk(piece)
            peer.finish()

        return act

    def test_a_list_of_pages_then_changes(self):
        server, client, name = self.watch(
            [items("5", thing("a"), thing("b"), more="token&1"), items("5", thing("c"))],
            [self.events(line("ADDED", thing("d", version="6")),
                         line("MODIFIED", thing("a", version="7")),
                         line("DELETED", thing("b", version="8")))],
            fieldSelector="spec.driver=rt.takt.dev", labelSelector="x in (y)", page=2)
        self.told(client, name, "added a", "added b", "added c", "synced", "added d",
                  "modified a", "deleted b u-b")
        selectors = {"fieldSelector": "spec.driver=rt.takt.dev", "labelSelector": "x in (y)"}
        self.assertEqual(query(server.requests[0]), {**selectors, "limit": "2"})
        self.assertEqual(query(server.requests[1]),
                         {**selectors, "limit": "2", "continue": "token&1"})
        stream = query(server.requests[2])
        self.assertTrue(300 <= int(stream.pop("timeoutSeconds")) <= 450)
        self.assertEqual(stream, {**selectors, "watch": "1", "allowWatchBookmarks": "true",
                                  "resourceVersion": "5"})

    def test_lines_are_cut_anywhere(self):
        whole = b"".join(line("ADDED", thing(f"x{i}", version=str(6 + i))) for i in range(20))
        pieces = [whole[i:i + 7] for i in range(0, len(whole), 7)]
        _, client, name = self.watch([items("5")], [self.events(b"\n", *pieces)])
        self.told(client, name, "synced", *(f"added x{i}" for i in range(20)))

    def test_an_end_in_good_order_goes_on_where_it_stood(self):
        server, client, name = self.watch(
            [items("5", thing("a"))],
            [self.closing(line("ADDED", thing("b", version="6"))),
             self.closing(line("BOOKMARK", {"metadata": {"resourceVersion": "90"}})), self.stay])
        self.told(client, name, "added a", "synced", "added b")
        while len(server.requests) < 4:
            time.sleep(0.02)
        self.assertEqual([query(r).get("resourceVersion") for r in server.requests],
                         [None, "5", "6", "90"])
        self.assertEqual(client.quiet(0.1), [])

    def test_half_a_line_at_the_end_is_dropped(self):
        half = line("ADDED", thing("b", version="6"))

        def cut(peer, request):
            peer.stream()
            peer.chunk(half[:20])
            return "close"

        _, client, name = self.watch([items("5")], [cut, self.events(half)])
        self.told(client, name, "synced", "trouble", "added b")

    def gone(self, first):
        """After this stream the list is another: what happened in the gap is told."""
        server, client, name = self.watch(
            [items("5", thing("a"), thing("b"), thing("c")),
             items("20", thing("a"), thing("b", "other"), thing("d"))], [first, self.stay])
        self.told(client, name, "added a", "added b", "added c", "synced")
        trouble = client.expect(id=name)
        self.assertEqual((trouble["event"], trouble["code"]), ("trouble", -errno.ESTALE))
        self.told(client, name, "modified a", "deleted b u-b", "added b", "added d",
                  "deleted c u-c", "synced")
        while len(server.requests) < 4:
            time.sleep(0.02)
        self.assertEqual(query(server.requests[3])["resourceVersion"], "20")

    def test_gone_as_http_leads_to_a_list(self):
        self.gone(always(410, status(410, "Expired", "too old resource version")))

    def test_gone_as_an_event_leads_to_a_list(self):
        self.gone(self.events(line("ERROR", status(410, "Expired", "too old"))))

    def test_gone_for_a_page_leads_to_one_list_in_one_piece(self):
        server, client, name = self.watch(
            [items("5", thing("a"), more="t"), always(410, status(410, "Expired", "t is old")),
             items("6", thing("a"), thing("b"))], [self.stay], page=1)
        self.told(client, name, "added a", "trouble", "modified a", "added b", "synced")
        self.assertNotIn("limit", query(server.requests[2]))

    def test_a_busy_server_is_left_alone_for_as_long_as_it_says(self):
        _, client, name = self.watch(
            [always(429, status(429, "TooManyRequests", "later", retryAfterSeconds=1)), items("5")],
            [self.stay])
        trouble = client.expect(id=name)
        self.assertEqual(trouble["code"], -errno.EBUSY)
        self.assertGreaterEqual(trouble["retry_ms"], 1000)
        self.told(client, name, "synced")

    def test_an_error_event_that_is_not_gone_goes_on_where_it_stood(self):
        server, client, name = self.watch(
            [items("5")],
            [self.events(line("ERROR", status(500, "InternalError", "oh"))), self.stay])
        self.told(client, name, "synced", "trouble")
        while len(server.requests) < 3:
            time.sleep(0.02)
        self.assertTrue(wants_watch(server.requests[2]))

    def test_a_stream_without_a_word_is_ended_by_us(self):
        server, client, name = self.watch([items("5")], [self.stay], timeout=1, grace=1)
        self.told(client, name, "synced")
        trouble = client.expect(id=name)
        self.assertEqual((trouble["event"], trouble["code"]), ("trouble", -errno.ETIMEDOUT))
        while len(server.requests) < 3:
            time.sleep(0.02)
        self.assertEqual(query(server.requests[2])["resourceVersion"], "5")

    def test_an_event_without_end_is_not_kept(self):
        def endless(peer, request):
            peer.stream()
            while True:
                peer.chunk(b"x" * 65536)

        _, client, name = self.watch([items("5", thing("a"))], [endless, self.stay],
                                     line_max=100000)
        self.told(client, name, "added a", "synced")
        trouble = client.expect(id=name)
        self.assertEqual((trouble["event"], trouble["code"]), ("trouble", -errno.EMSGSIZE))
        self.told(client, name, "modified a", "synced")

    def test_what_is_no_event_leads_to_a_list(self):
        _, client, name = self.watch([items("5", thing("a"))],
                                     [self.events(b'{"type": "ADDED"}\n'), self.stay])
        self.told(client, name, "added a", "synced", "trouble", "modified a", "synced")

    def test_a_token_that_ends_does_not_end_a_watch(self):
        path = self.path("token")
        path.write_text("old")
        good, changed = {"old"}, threading.Event()

        def guarded(act):
            def behave(peer, request):
                if request.token not in good:
                    return peer.reply(401, status(401, "Unauthorized", "who"))
                return act(peer, request)

            return behave

        def end(peer, request):
            peer.stream()
            changed.wait(SECONDS)
            peer.finish()

        inner = self.server([items("5", thing("a"))],
                            [end, self.events(line("ADDED", thing("b", version="6")))])
        server = Server(self, self.ca, guarded(inner))
        client = Client(self, "kubeconfig", self.config(server.port, tokenFile=str(path)))
        name = client.order("watch", **SLICES)
        self.told(client, name, "added a", "synced")
        part = self.path("part")
        part.write_text("new")
        part.rename(path)
        good.add("new")
        good.discard("old")
        changed.set()
        self.told(client, name, "added b")
        self.assertEqual(server.requests[-1].token, "new")

    def test_a_server_that_is_away_is_found_again(self):
        server, client, name = self.watch([items("5", thing("a"))], [self.stay])
        self.told(client, name, "added a", "synced")
        while len(server.requests) < 2:
            time.sleep(0.02)
        port = server.port
        server.close()
        self.told(client, name, "trouble", "trouble")
        again = Server(self, self.ca, self.server(
            [items("9")], [self.events(line("ADDED", thing("b", version="6")))]), port=port)
        while (event := client.next(name)) == "trouble":
            pass
        self.assertEqual(event, "added b")
        self.assertEqual(query(again.requests[0])["resourceVersion"], "5")

    def test_waits_grow_while_a_server_fails(self):
        _, client, name = self.watch([always(500, b"no")], [self.stay])
        waits = [client.expect(id=name)["retry_ms"] for _ in range(4)]
        for i, ms in enumerate(waits):
            self.assertTrue(100 << i <= ms <= 200 << i, waits)

    def test_a_list_without_anything_may_say_null(self):
        _, client, name = self.watch([{**items("5"), "items": None}], [self.stay])
        self.told(client, name, "synced")

    def test_an_answer_that_is_no_list_does_not_delete_anything(self):
        no_list = {"metadata": {"resourceVersion": "9"}}
        gone = line("ERROR", status(410, "Expired", "too old"))
        _, client, name = self.watch(
            [items("5", thing("a")), no_list, {"items": []}, items("9", {"metadata": {}}),
             items("9", thing("a"))], [self.events(gone), self.stay])
        self.told(client, name, "added a", "synced", *["trouble"] * 4, "modified a", "synced")

    def test_each_callback_may_stop_the_watch_and_destroy_the_client(self):
        for event in ("added", "synced", "modified", "deleted", "trouble"):
            _, client, name = self.watch(
                [items("5", thing("a"), thing("b"))],
                [self.events(line("MODIFIED", thing("a", version="6")) +
                             line("DELETED", thing("a", version="7")) +
                             line("ERROR", status(410, "Expired", "old")))], last=event)
            self.assertEqual(client.process.wait(SECONDS), 0)
            self.assertEqual(short(client.quiet(0.1)[-1]).split()[0], event)

    def test_a_stopped_watch_is_silent_and_its_connection_is_closed(self):
        closed, arrived = threading.Event(), threading.Event()

        def behave(peer, request):
            peer.stream()
            arrived.set()
            if not peer.sock.recv(1):
                closed.set()

        _, client, name = self.watch([items("5")], [behave])
        self.told(client, name, "synced")
        self.assertTrue(arrived.wait(SECONDS))
        client.order("stop", id=name)
        client.expect(id=name, event="ended")
        self.assertTrue(closed.wait(SECONDS))
        self.assertEqual(client.quiet(0.3), [])

    def test_many_streams_take_no_calls_place(self):
        opened = threading.Semaphore(0)

        def stay(peer, request):
            opened.release()
            self.stay(peer, request)

        _, client, _ = self.watch([items("5")], [stay])
        for _ in range(19):
            client.order("watch", **SLICES)
        for _ in range(20):
            self.assertTrue(opened.acquire(timeout=SECONDS))
        self.assertEqual(client.do("get", **SLICES, name="a")["code"], 0)

    def test_thousands_of_objects_in_pages(self):
        things = [thing(f"x{i}", blob="y" * 500) for i in range(5000)]
        pages = [items("5", *things[i:i + 500], more=str(i) if i < 4500 else None)
                 for i in range(0, 5000, 500)]
        _, client, name = self.watch(pages, [self.stay])
        self.told(client, name, *(f"added x{i}" for i in range(5000)), "synced")


if __name__ == "__main__":
    tap.main()
