# SPDX-License-Identifier: Apache-2.0
"""What the tests of the API server's client share: the client's program, a certificate authority,
and a server over TLS that behaves as each test wants."""

import base64
import json
import os
import queue
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

PROGRAM = sys.argv.pop(1)
SECONDS = 60


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True)


class Authority:
    """A CA in a folder; key and certificate of each name are NAME.key and NAME.crt."""

    def __init__(self, folder, name="ca"):
        self.folder, self.name = Path(folder), name
        self.key(name)
        openssl("req", "-x509", "-new", "-key", self.file(name, "key"), "-days", "2", "-subj",
                f"/CN={name}", "-out", self.file(name, "crt"))

    def file(self, name, kind):
        return str(self.folder / f"{name}.{kind}")

    def text(self, name, kind="crt"):
        return Path(self.file(name, kind)).read_text()

    def key(self, name):
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out",
                self.file(name, "key"))

    def sign(self, name, subject, names=""):
        self.key(name)
        request = self.file(name, "csr")
        openssl("req", "-new", "-key", self.file(name, "key"), "-subj", subject, "-out", request)
        extensions = self.folder / f"{name}.ext"
        text = f"subjectAltName={names}\n" if names else "basicConstraints=CA:FALSE\n"
        extensions.write_text(text)
        openssl("x509", "-req", "-in", request, "-CA", self.file(self.name, "crt"), "-CAkey",
                self.file(self.name, "key"), "-CAcreateserial", "-days", "2", "-extfile",
                str(extensions), "-out", self.file(name, "crt"))


class Client:
    """The program: order() it to do something, expect() what it tells."""

    def __init__(self, case, *words, env=None, before=()):
        self.process = subprocess.Popen([*before, PROGRAM, *map(str, words)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, **(env or {})})
        self.told, self.kept = queue.Queue(), []
        self.number = 0
        threading.Thread(target=self._listen, daemon=True).start()
        case.addCleanup(self.end, case)

    def _listen(self):
        for line in self.process.stdout:
            self.told.put(json.loads(line))

    def end(self, case):
        """It must come to an end in good order: all handles closed, nothing leaked."""
        if self.process.poll() is None:
            self.order("quit")
        try:
            status = self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            status = "killed: it did not end"
        self.process.stdin.close()
        self.process.stdout.close()
        case.assertEqual(status, 0)

    def order(self, verb, **fields):
        self.number += 1
        name = fields.setdefault("id", str(self.number))
        self.process.stdin.write(json.dumps({"do": verb, **fields}) + "\n")
        self.process.stdin.flush()
        return name

    def expect(self, seconds=SECONDS, **wanted):
        """The first message, of those not yet taken, that has these fields."""
        end = time.monotonic() + seconds
        while True:
            for i, message in enumerate(self.kept):
                if all(message.get(k) == v for k, v in wanted.items()):
                    return self.kept.pop(i)
            try:
                self.kept.append(self.told.get(timeout=max(0, end - time.monotonic())))
            except queue.Empty:
                raise AssertionError(f"did not come: {wanted}; there was {self.kept}") from None

    def next(self, name, seconds=SECONDS):
        """The next event of that watch, as a short text."""
        return short(self.expect(seconds, id=name))

    def do(self, verb, **fields):
        return self.expect(id=self.order(verb, **fields))

    def quiet(self, seconds):
        time.sleep(seconds)
        while not self.told.empty():
            self.kept.append(self.told.get())
        return self.kept


def short(message):
    event = message.get("event")
    if event in ("added", "modified"):
        return f"{event} {message['object']['metadata']['name']}"
    if event == "deleted":
        return f"deleted {message['name']} {message['uid']}"
    return event


class Request:
    def __init__(self, head, body):
        lines = head.decode().split("\r\n")
        self.method, self.path, _ = lines[0].split(" ")
        self.headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        self.raw = head.decode()
        self.body = body

    @property
    def token(self):
        return self.headers.get("authorization", "").removeprefix("bearer ")


class Peer:
    """One connection: what a behaviour writes to."""

    def __init__(self, sock):
        self.sock, self.rest = sock, b""

    def read(self):
        while b"\r\n\r\n" not in self.rest:
            piece = self.sock.recv(65536)
            if not piece:
                return None
            self.rest += piece
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        while len(self.rest) < length:
            self.rest += self.sock.recv(65536)
        body, self.rest = self.rest[:length], self.rest[length:]
        return Request(head, body)

    def raw(self, data):
        self.sock.sendall(data)

    def reply(self, status, body, *headers):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}",
                 "Content-Type: application/json", *headers]
        self.raw("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def stream(self):
        self.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

    def chunk(self, data):
        self.raw(b"%x\r\n%s\r\n" % (len(data), data))

    def event(self, kind, obj):
        self.chunk(line(kind, obj))

    def finish(self):
        self.raw(b"0\r\n\r\n")


def line(kind, obj):
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


class Server:
    """behave(peer, request) answers each request; an exception or "close" ends the connection."""

    def __init__(self, case, authority, behave, certificate="server", clients=False, port=0):
        self.behave, self.requests = behave, []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(authority.file(certificate, "crt"),
                                     authority.file(certificate, "key"))
        if clients:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(authority.file(authority.name, "crt"))
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        self.open, self.connections = [], 0
        threading.Thread(target=self._accept, daemon=True).start()
        case.addCleanup(self.close)

    def close(self):
        try:  # also wakes the thread that accepts
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for sock in self.open:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            with self.context.wrap_socket(sock, server_side=True) as tls:
                self.open.append(tls)
                peer = Peer(tls)
                while request := peer.read():
                    self.requests.append(request)
                    if self.behave(peer, request) == "close":
                        return
        except (OSError, ValueError):
            pass


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.ca = Authority(cls.folder.name)
        cls.ca.sign("server", "/CN=server", "IP:127.0.0.1,DNS:localhost")
        cls.ca.sign("named", "/CN=named", "DNS:kubernetes.default.svc")
        cls.ca.sign("user", "/CN=user")
        cls.other = Authority(cls.folder.name, "other")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def path(self, name):
        return Path(self.folder.name) / f"{self.id().split('.')[-1]}-{name}"

    def config(self, port, cluster=None, **user):
        """A kubeconfig for that port; CA and token unless the test wants others."""
        if cluster is None:
            cluster = {"certificate-authority": self.ca.file("ca", "crt")}
        path = self.path("config")
        path.write_text(json.dumps({
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [
                {"name": "c", "cluster": {"server": f"https://127.0.0.1:{port}", **cluster}}],
            "users": [{"name": "u", "user": user or {"token": "secret"}}],
        }))
        return path

    def serve(self, behave, cluster=None, timeout=0, answer_max=0, env=None, server=None, **user):
        """(server, client) that speak to each other."""
        server = server or Server(self, self.ca, behave)
        config = self.config(server.port, cluster, **user)
        return server, Client(self, "kubeconfig", config, timeout, answer_max, env=env)


def data(text):
    return base64.b64encode(text.encode()).decode()


SLICES = {"group": "resource.k8s.io", "version": "v1", "resource": "resourceslices"}
CLAIMS = {"group": "resource.k8s.io", "version": "v1", "resource": "resourceclaims"}


def thing(name, uid=None, version="1", **more):
    metadata = {"name": name, "uid": uid or f"u-{name}", "resourceVersion": version}
    return {"metadata": metadata, **more}


def items(version, *things, more=None):
    metadata = {"resourceVersion": version, **({"continue": more} if more else {})}
    return {"kind": "List", "metadata": metadata, "items": list(things)}


def status(code, reason, message, **details):
    return {"kind": "Status", "code": code, "reason": reason, "message": message,
            "details": details}


def always(code, body, *headers):
    """The behaviour of a server that has one answer."""
    return lambda peer, request: peer.reply(code, body, *headers)
