# SPDX-License-Identifier: Apache-2.0
"""A kube-apiserver on an etcd and nothing else, on ports of its own: for tests of what the API server
itself decides. Needs neither root nor the machine to itself."""

import json
import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from cluster import Kubectl, healthy, wait_until
from components import write_certificates
from programs import source

START_SECONDS = 120


def built():
    """Probe: its programs, and helm, are on this machine."""
    for name in ("etcd", "kubernetes", "helm"):
        if not source(name).folder().exists():
            return f"{source(name).folder()} is missing: run tests/e2e/build {name}"
    return None


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class ApiServer:
    """Runs until end(); a class of tests calls that when all of them are done."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="takt-api-")
        self.folder = Path(self._folder.name)
        self.running = []
        pki = self.folder / "pki"
        pki.mkdir()
        write_certificates(pki)
        self.port = _free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.kubeconfig = self.folder / "kubeconfig"
        self.kubeconfig.write_text(json.dumps(self._kubeconfig(pki)))
        try:
            self._start_etcd()
            self._start_server(pki)
        except BaseException:
            self.end()
            raise

    def _kubeconfig(self, pki):
        user = {"client-certificate": str(pki / "admin.crt"), "client-key": str(pki / "admin.key")}
        server = {"server": self.url, "certificate-authority": str(pki / "ca.crt")}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "api", "cluster": server}],
            "users": [{"name": "admin", "user": user}],
            "contexts": [{"name": "api", "context": {"cluster": "api", "user": "admin"}}],
            "current-context": "api",
        }

    def _start(self, name, program, *words):
        with open(self.folder / f"{name}.log", "ab") as log:
            command = [source(program).folder() / name, *words]
            self.running.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder))

    def _start_etcd(self):
        client = self.etcd = f"http://127.0.0.1:{_free_port()}"
        peer = f"http://127.0.0.1:{_free_port()}"
        self._start(
            *("etcd", "etcd", "--data-dir", self.folder / "etcd", "--unsafe-no-fsync"),
            *("--listen-client-urls", client, "--advertise-client-urls", client),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
            *("--initial-cluster", f"default={peer}"),
        )

    def _start_server(self, pki):
        self._start(
            *("kube-apiserver", "kubernetes"),
            f"--etcd-servers={self.etcd}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--tls-cert-file={pki}/apiserver.crt",
            f"--tls-private-key-file={pki}/apiserver.key",
            f"--client-ca-file={pki}/ca.crt",
            f"--service-account-key-file={pki}/tokens.pub",
            f"--service-account-signing-key-file={pki}/tokens.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=Node,RBAC",
        )
        wait_until("the API server answers", self._works, START_SECONDS)
        wait_until("the namespace is made", lambda: self.answered("get", "ns", "default"))

    def _works(self):
        for process in self.running:
            if process.poll() is not None:
                raise AssertionError(f"{process.args[0]} ended\n{self.last_logs()}")
        return healthy(f"{self.url}/readyz")

    def last_logs(self, lines=15):
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(line for log in logs for line in log.read_text().splitlines()[-lines:])

    def end(self):
        for process in reversed(self.running):
            process.kill()
            process.wait()
        self._folder.cleanup()

    @property
    def environment(self):
        return {
            **os.environ,
            "KUBECONFIG": str(self.kubeconfig),
            "KUBECACHEDIR": str(self.folder / "kubectl"),
            "NO_PROXY": "*",
        }

    def kubectl(self, *words, text=""):
        """Standard output; raises Kubectl with what it complains of."""
        done = subprocess.run(
            [source("kubernetes").folder() / "kubectl", *words],
            env=self.environment,
            input=text,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise Kubectl(done.stderr.strip() or f"kubectl ended with {done.returncode}")
        return done.stdout

    def answered(self, *words):
        """Whether kubectl ends without an error."""
        try:
            self.kubectl(*words)
        except Kubectl:
            return False
        return True

    def apply(self, thing):
        """A YAML text, or an object as a dictionary; the objects as they are then."""
        text = thing if isinstance(thing, str) else json.dumps(thing)
        return json.loads(self.kubectl("apply", "-o", "json", "-f", "-", text=text))

    def get(self, *words):
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def settled(self, refusal, thing, seconds=60):
        """Waits until `thing`, tried without being stored, is refused with those words: policies
        take effect some time after they were applied."""
        end = time.monotonic() + seconds
        while True:
            try:
                self.kubectl("apply", "--dry-run=server", "-f", "-", text=json.dumps(thing))
                found = "nothing"
            except Kubectl as error:
                found = str(error)
            if refusal in found:
                return
            if time.monotonic() > end:
                raise AssertionError(f"not refused with {refusal!r} but with: {found}")
            time.sleep(0.2)
