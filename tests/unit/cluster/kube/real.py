#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The API server's client against a real kube-apiserver on a real etcd: real.py PROGRAM. These
are looked for below $TAKT_CACHE, or /var/cache/takt-e2e; without them it is skipped."""

import base64
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request
from pathlib import Path

import tap
from kube_test import CLAIMS, SLICES, Authority, Client, openssl, short

CACHE = Path(os.environ.get("TAKT_CACHE", "/var/cache/takt-e2e"))
START_SECONDS = 120
NAMESPACES = {"group": "", "version": "v1", "resource": "namespaces"}
MAPS = {"group": "", "version": "v1", "resource": "configmaps", "namespace": "default"}


def newest(name):
    found = sorted(p for p in CACHE.glob(f"*/{name}") if p.is_file() and os.access(p, os.X_OK))
    return found[-1] if found else None


ETCD, SERVER = newest("etcd"), newest("kube-apiserver")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


class Forwarder:
    """A port before the server's that can be cut, as a network can."""

    def __init__(self, port):
        self.to, self.up, self.pairs = port, True, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
                if not self.up:
                    sock.close()
                    continue
                pair = (sock, socket.create_connection(("127.0.0.1", self.to)))
            except OSError:
                return
            self.pairs.append(pair)
            for a, b in (pair, pair[::-1]):
                threading.Thread(target=self._pump, args=(a, b), daemon=True).start()

    @staticmethod
    def _pump(a, b):
        try:
            while piece := a.recv(65536):
                b.sendall(piece)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def cut(self):
        self.up = False
        for pair in self.pairs:
            for sock in pair:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                sock.close()
        self.pairs.clear()

    def close(self):
        self.cut()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Cluster:
    """etcd and kube-apiserver in a folder of their own, on ports of their own."""

    def __init__(self, folder):
        self.folder, self.running = Path(folder), {}
        self.etcd_port, self.peer_port, self.port = free_port(), free_port(), free_port()
        self.ca = Authority(folder)
        self.ca.sign("server", "/CN=kube-apiserver", "IP:127.0.0.1,DNS:localhost,IP:10.96.0.1")
        self.ca.sign("admin", "/O=system:masters/CN=admin")
        self.ca.sign("nobody", "/CN=nobody")
        openssl("genrsa", "-out", self.ca.file("sa", "key"), "2048")
        openssl("rsa", "-in", self.ca.file("sa", "key"), "-pubout", "-out",
                self.ca.file("sa", "pub"))

    def start(self, name, *words):
        log = open(self.folder / f"{name}.log", "ab")
        self.running[name] = subprocess.Popen(words, stdout=log, stderr=log,
                                              stdin=subprocess.DEVNULL, cwd=self.folder)
        log.close()

    def start_etcd(self):
        client, peer = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{self.peer_port}"
        self.start("etcd", ETCD, "--data-dir", self.folder / "etcd", "--listen-client-urls", client,
                   "--advertise-client-urls", client, "--listen-peer-urls", peer,
                   "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
                   "--unsafe-no-fsync")

    def start_server(self):
        file = self.ca.file
        self.start(
            "kube-apiserver", SERVER, f"--etcd-servers=http://127.0.0.1:{self.etcd_port}",
            "--bind-address=127.0.0.1", f"--secure-port={self.port}",
            f"--tls-cert-file={file('server', 'crt')}",
            f"--tls-private-key-file={file('server', 'key')}",
            f"--client-ca-file={file('ca', 'crt')}",
            f"--service-account-key-file={file('sa', 'pub')}",
            f"--service-account-signing-key-file={file('sa', 'key')}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=RBAC",
            # Their watches are served from etcd, which alone has compaction.
            "--watch-cache-sizes=resourceclaims.resource.k8s.io#0")

    def stop(self, name):
        process = self.running.pop(name, None)
        if process:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def close(self):
        for name in list(self.running):
            self.stop(name)

    def compact(self):
        """Forgets every revision before the present one: etcd's JSON gateway."""
        revision = self.post("/v3/kv/range", {"key": base64.b64encode(b"x").decode()})
        revision = revision["header"]["revision"]
        self.post("/v3/kv/compaction", {"revision": revision, "physical": True})

    def post(self, path, body):
        request = urllib.request.Request(f"http://127.0.0.1:{self.etcd_port}{path}",
                                         json.dumps(body).encode())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            return json.load(answer)

    def config(self, path, port=None, **user):
        user = user or {"client-certificate": self.ca.file("admin", "crt"),
                        "client-key": self.ca.file("admin", "key")}
        cluster = {"server": f"https://127.0.0.1:{port or self.port}",
                   "certificate-authority": self.ca.file("ca", "crt")}
        path.write_text(json.dumps({
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": cluster}], "users": [{"name": "u", "user": user}],
        }))
        return path


def resource_slice(name, driver="rt.takt.dev", **metadata):
    return {
        "apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice",
        "metadata": {"name": name, **metadata},
        "spec": {"driver": driver, "nodeName": "n1",
                 "pool": {"name": name or "p", "generation": 1, "resourceSliceCount": 1},
                 "devices": [{"name": "shared", "allowMultipleAllocations": True, "capacity": {
                     "bandwidth": {"value": "950000", "requestPolicy": {
                         "default": "0", "validRange": {"min": "0"}}}}}]},
    }


def claim(name):
    return {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": {"name": name},
            "spec": {"devices": {"requests": [{"name": "rt", "exactly": {
                "deviceClassName": "rt.takt.dev"}}]}}}


def config_map(text):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shared"},
            "data": {"key": text}}


class Real(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.cluster = Cluster(cls.folder.name)
        cls.addClassCleanup(cls.cluster.close)
        cls.cluster.start_etcd()
        cls.cluster.start_server()
        cls.wait_ready()

    @classmethod
    def wait_ready(cls):
        """Until a list of slices works, of which the client tells itself, and the namespace that
        the server makes after it has begun is there."""
        waiting = cls("client_words")
        client = waiting.client(60000)
        name = client.order("watch", **SLICES)
        try:
            client.expect(START_SECONDS, id=name, event="synced")
            limit = time.monotonic() + START_SECONDS
            while client.do("get", **NAMESPACES, name="default")["code"] < 0:
                waiting.assertLess(time.monotonic(), limit, "there is no namespace default")
                time.sleep(0.05)
        finally:
            waiting.doCleanups()

    def client_words(self):
        """Never run as a test: a place for the clean-up of wait_ready."""

    def client(self, timeout=0, port=None, **user):
        path = Path(self.folder.name) / f"config-{time.monotonic_ns()}"
        return Client(self, "kubeconfig", self.cluster.config(path, port, **user), timeout)

    def forwarder(self):
        forwarder = Forwarder(self.cluster.port)
        self.addCleanup(forwarder.close)
        return forwarder

    def done(self, answer):
        self.assertEqual(answer["code"], 0, answer.get("error"))
        return answer["object"]

    def refused(self, answer, number, http):
        self.assertEqual((answer["code"], answer["http"]), (-number, http), answer["error"])
        return answer["error"]

    def empty(self, client, kind, **where):
        for item in self.done(client.do("list", **kind, **where))["items"]:
            client.do("delete", **kind, **where, name=item["metadata"]["name"])

    def test_create_get_update_and_delete(self):
        client = self.client()
        made = self.done(client.do("create", **SLICES, object=resource_slice(
            None, generateName="00000-rt.takt.dev-n1-")))
        name, uid = made["metadata"]["name"], made["metadata"]["uid"]
        self.assertTrue(name.startswith("00000-rt.takt.dev-n1-"))
        again = resource_slice(name)
        self.refused(client.do("create", **SLICES, object=again), errno.EEXIST, 409)
        read = self.done(client.do("get", **SLICES, name=name))
        self.assertTrue(read["spec"]["devices"][0]["allowMultipleAllocations"])
        read["spec"]["devices"][0]["capacity"]["bandwidth"]["value"] = "800000"
        new = self.done(client.do("update", **SLICES, name=name, object=read))
        self.assertNotEqual(new["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"])
        sentence = self.refused(client.do("update", **SLICES, name=name, object=read),
                                errno.EAGAIN, 409)
        self.assertIn("has been modified", sentence)
        self.refused(client.do("delete", **SLICES, name=name, uid="other"), errno.EAGAIN, 409)
        self.refused(client.do("delete", **SLICES, name=name, uid=uid,
                               resourceVersion=made["metadata"]["resourceVersion"]),
                     errno.EAGAIN, 409)
        self.done(client.do("delete", **SLICES, name=name, uid=uid,
                            resourceVersion=new["metadata"]["resourceVersion"]))
        self.refused(client.do("get", **SLICES, name=name), errno.ENOENT, 404)

    def test_an_object_that_makes_no_sense_is_refused_with_the_field(self):
        bad = resource_slice("bad")
        bad["spec"]["pool"]["resourceSliceCount"] = 0
        sentence = self.refused(self.client().do("create", **SLICES, object=bad), errno.EINVAL, 422)
        self.assertIn("resourceSliceCount", sentence)

    def test_apply_owns_its_fields(self):
        client = self.client()
        self.done(client.do("apply", **MAPS, name="shared", object=config_map("ours"),
                            manager="rt.takt.dev"))
        other = config_map("theirs")
        sentence = self.refused(client.do("apply", **MAPS, name="shared", object=other,
                                          manager="other"), errno.EAGAIN, 409)
        self.assertIn("rt.takt.dev", sentence)
        new = self.done(client.do("apply", **MAPS, name="shared", object=other, manager="other",
                                  force=True))
        self.assertEqual(new["data"], {"key": "theirs"})
        self.done(client.do("delete", **MAPS, name="shared"))

    def test_who_we_are_decides_what_we_may(self):
        file = self.cluster.ca.file
        nobody = self.client(**{"client-certificate": file("nobody", "crt"),
                                "client-key": file("nobody", "key")})
        sentence = self.refused(nobody.do("list", **SLICES), errno.EPERM, 403)
        self.assertIn('"nobody" cannot list', sentence)
        self.refused(self.client(token="wrong").do("list", **SLICES), errno.EACCES, 401)

    def test_a_service_account_token_from_a_file(self):
        admin = self.client()
        accounts = {"group": "", "version": "v1", "resource": "serviceaccounts",
                    "namespace": "default"}
        self.done(admin.do("create", **accounts, object={"metadata": {"name": "takt"}}))
        token = self.done(admin.do(
            "create", **accounts, name="takt", subresource="token",
            object={"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}))
        path = Path(self.folder.name) / "token"
        path.write_text(token["status"]["token"])
        sentence = self.refused(self.client(tokenFile=str(path)).do("list", **SLICES),
                                errno.EPERM, 403)
        self.assertIn("system:serviceaccount:default:takt", sentence)

    def test_a_watch_sees_its_slices_page_by_page_and_each_change(self):
        client = self.client()
        self.empty(client, SLICES)
        for i in range(7):
            self.done(client.do("create", **SLICES, object=resource_slice(f"s{i}")))
        self.done(client.do("create", **SLICES, object=resource_slice("foreign", "other.dev")))
        name = client.order("watch", **SLICES, fieldSelector="spec.driver=rt.takt.dev", page=3)
        told = [client.next(name) for _ in range(8)]
        self.assertEqual(told, [*(f"added s{i}" for i in range(7)), "synced"])
        uid = self.done(client.do("get", **SLICES, name="s3"))["metadata"]["uid"]
        client.do("delete", **SLICES, name="foreign")
        client.do("delete", **SLICES, name="s3")
        self.assertEqual(client.next(name), f"deleted s3 {uid}")
        self.done(client.do("create", **SLICES, object=resource_slice("s3")))
        self.assertEqual(client.next(name), "added s3")
        client.order("stop", id=name)

    def test_streams_that_the_server_ends_are_followed_without_a_list(self):
        client = self.client()
        self.empty(client, SLICES)
        name = client.order("watch", **SLICES, timeout=6)
        self.assertEqual(client.next(name), "synced")
        for i in range(5):
            time.sleep(4)
            self.done(client.do("create", **SLICES, object=resource_slice(f"t{i}")))
            self.assertEqual(client.next(name), f"added t{i}")
        client.order("stop", id=name)

    def test_compaction_in_a_gap_leads_to_a_list_that_tells_all(self):
        here, there = self.client(), self.forwarder()
        client = self.client(port=there.port)
        place = {**CLAIMS, "namespace": "default"}
        self.empty(here, place)
        uid = {}
        for name in "abc":
            made = self.done(here.do("create", **place, object=claim(name)))
            uid[name] = made["metadata"]["uid"]
        watch = client.order("watch", **place)
        self.assertEqual([client.next(watch) for _ in range(4)],
                         ["added a", "added b", "added c", "synced"])
        there.cut()
        self.done(here.do("delete", **place, name="b"))
        self.done(here.do("delete", **place, name="c"))
        self.done(here.do("create", **place, object=claim("c")))
        self.done(here.do("create", **place, object=claim("d")))
        self.cluster.compact()
        there.up = True
        troubles, told = [], []
        while "synced" not in told:
            message = client.expect(60, id=watch)
            if message["event"] == "trouble":
                troubles.append(message["code"])
            else:
                told.append(short(message))
        self.assertEqual(troubles[-1], -errno.ESTALE)
        self.assertEqual(told, ["modified a", f"deleted c {uid['c']}", "added c", "added d",
                                f"deleted b {uid['b']}", "synced"])
        client.order("stop", id=watch)

    def test_a_server_that_is_killed_and_comes_back_is_followed(self):
        client = self.client()
        self.empty(client, SLICES)
        name = client.order("watch", **SLICES)
        self.assertEqual(client.next(name), "synced")
        self.cluster.stop("kube-apiserver")
        self.assertEqual(client.next(name), "trouble")
        self.cluster.start_server()
        self.wait_ready()
        self.done(client.do("create", **SLICES, object=resource_slice("back")))
        while (event := client.next(name, 60)) in ("trouble", "synced"):
            pass
        self.assertEqual(event, "added back")
        client.order("stop", id=name)


if __name__ == "__main__":
    if not ETCD or not SERVER:
        print(f"1..0 # SKIP there is no etcd and kube-apiserver below {CACHE}")
        sys.exit(0)
    tap.main()
