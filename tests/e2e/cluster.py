# SPDX-License-Identifier: Apache-2.0
"""A real one-node Kubernetes on this machine, for tests and by hand (see `cluster`):

    cluster = Cluster(case).start()
    cluster.apply(pod("a", ["sleep", "1000"]))
    cluster.wait("pod/a", "condition=Ready")
    cluster.restart("kubelet")

It lives in /run/takt-e2e; down() takes everything away, also what a crash left."""

import atexit
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from pathlib import Path
from urllib import request

import components
import machine
from components import API_ADDRESS, NODE, NODE_ADDRESS, PAUSE
from images import busybox, write_image
from machine import MachineError
from processes import ProcessError, Processes
from programs import source

STATE = Path("/run/takt-e2e")
READY_SECONDS = 300
PATIENCE = 90  # seconds for anything else, on a busy machine too
BUSYBOX = "localhost/busybox:1"
# What runs besides the programs of a cluster, and the package that has it.
TOOLS = {
    "openssl": "openssl",
    "busybox": "busybox-static",
    "ip": "iproute2",
    f"{components.CNI_PROGRAMS}/ptp": "containernetworking-plugins",
}


class ClusterError(Exception):
    """The sentence that says what the cluster did not do."""


class Kubectl(ClusterError):
    """kubectl ended with an error; the text is what it wrote."""


def pod(name, command, image=BUSYBOX, **spec):
    """A pod of one container `main`; spec: further fields of its PodSpec."""
    main = {"name": "main", "image": image, "imagePullPolicy": "Never", "command": list(command)}
    fixed = {"dnsPolicy": "Default", "terminationGracePeriodSeconds": 0}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {**fixed, "containers": [main], **spec},
    }


def wait_until(what, condition, seconds=PATIENCE):
    """Waits until condition() is true and returns its value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise ClusterError(f"not within {seconds} s: {what}")
        time.sleep(0.1)


def healthy(url):
    """Whether the address answers with 200; whose certificate it has does not matter here."""
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    handlers = (request.ProxyHandler({}), request.HTTPSHandler(context=unchecked))
    try:
        with request.build_opener(*handlers).open(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


class Cluster:
    """The one cluster of this machine. case: a test (or a class of tests) whose cleanups end it,
    or None. Versions: None is that of the environment or the default one, see source()."""

    def __init__(self, case=None, kubernetes=None, containerd=None):
        self.case, self.state = case, STATE
        self.processes = Processes(STATE)
        self.sources = {
            "etcd": source("etcd"),
            "kubernetes": source("kubernetes", kubernetes),
            "containerd": source("containerd", containerd),
            "runc": source("runc"),
        }
        self.kubernetes = self.sources["kubernetes"].version

    @classmethod
    def there(cls):
        """The cluster that was started before, with its versions; one of default versions where
        there is none."""
        try:
            return cls(**json.loads((STATE / "versions.json").read_text()))
        except FileNotFoundError:
            return cls()

    @property
    def path(self):
        """PATH with the cluster's programs first, helm and grpcurl too where they are built."""
        sources = [*self.sources.values(), source("helm"), source("grpcurl")]
        folders = [str(s.folder()) for s in sources]
        return ":".join([*folders, os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])

    @property
    def kubeconfig(self):
        return self.state / "conf" / "admin.kubeconfig"

    @property
    def environment(self):
        """What kubectl and helm need: they then use this cluster and keep nothing elsewhere."""
        return {
            "KUBECONFIG": str(self.kubeconfig),
            "KUBECACHEDIR": str(self.state / "kubectl"),
            "PATH": self.path,
            "NO_PROXY": "*",
        }

    # The whole

    def start(self):
        """Returns self once the node is Ready. Fails where a cluster is there already."""
        with self._alone():
            self._check()
            self._end_with_case()
            self._make()
            self.power_on()
        return self

    def down(self):
        """Ends it and leaves nothing: processes, mounts, cgroups, links, files. Also after a
        crash, and where there is none."""
        atexit.unregister(self.down)
        with self._alone():
            if self.state.exists():
                self.processes.end_all()
                machine.undo(self.state)
                self.processes.end_all()  # what a killed start was about to begin
                shutil.rmtree(self.state)

    def power_on(self):
        """Starts all parts; returns once the node is Ready."""
        try:
            for name in components.command_lines(self.state, self.kubernetes):
                self.run(name)
            self._wait_for_node()
        except (ClusterError, ProcessError) as error:
            raise ClusterError(f"{error}\n{self.last_logs()}") from None

    def power_off(self):
        """Ends all at once and leaves what a power cut does: what is on disk. Processes, pods,
        cgroups, mounts and all below /run are gone. What others run on the node ends before."""
        self.processes.end_all()
        machine.end_pods(self.state)
        self.processes.end_all()  # shims that were about to begin
        (self.state / "mounted").unlink()
        machine.make_folders(self.state)

    def _end_with_case(self):
        if isinstance(self.case, type):
            self.case.addClassCleanup(self.down)
            atexit.register(self.down)  # Ctrl-C leaves unittest without the cleanups of classes
        elif self.case:
            self.case.addCleanup(self.down)

    def missing(self):
        """The sentence that says what is not on this machine to start a cluster, or None."""
        if os.geteuid() != 0:
            return "a cluster needs root"
        for one in self.sources.values():
            if not one.folder().exists():
                wanted = one.name if one.pinned() else f"{one.name}={one.version}"
                return f"{one.folder()} is missing: run tests/e2e/build {wanted}"
        for tool, package in TOOLS.items():
            if not shutil.which(tool, path=self.path):
                return f"{tool} is missing: install the package {package}"
        return None

    def _check(self):
        missing = self.missing()
        if missing:
            raise ClusterError(missing)
        if self.state.exists():
            raise ClusterError(
                f"a cluster is there already, or what is left of one, in {self.state}:"
                " end it by tests/e2e/cluster down"
            )

    @staticmethod
    def _alone():
        """Held while the cluster is made or ended; the kernel lets go of it when we crash."""
        lock = socket.socket(socket.AF_UNIX)
        try:
            lock.bind("\0takt-e2e")
        except OSError:
            lock.close()
            raise ClusterError("another process starts or ends the cluster right now") from None
        return lock

    def _make(self):
        for folder in ("pki", "conf", "logs", "pid", "images"):
            (self.state / folder).mkdir(parents=True)
        self.state.chmod(0o755)
        versions = {name: self.sources[name].version for name in ("kubernetes", "containerd")}
        (self.state / "versions.json").write_text(json.dumps(versions))
        try:
            machine.prepare(self.state)
        except MachineError:
            shutil.rmtree(self.state)
            raise
        machine.make_folders(self.state)
        components.write_files(self.state, self.kubernetes)

    def _wait_for_node(self):
        wait_until("the API server knows the node", self._has_node, READY_SECONDS)
        self.wait(f"node/{NODE}", "condition=Ready", READY_SECONDS)
        wait_until("the service account is made", self._has_account, READY_SECONDS)

    def _has_node(self):
        return self._answers("get", "node", NODE)

    def _has_account(self):
        return self._answers("get", "serviceaccount", "default")

    def _answers(self, *words):
        try:
            return bool(self.kubectl(*words, "--request-timeout=5s"))
        except Kubectl:
            return False

    # Its parts

    def run(self, name):
        """Starts one part and waits until it answers."""
        words = components.command_lines(self.state, self.kubernetes)[name]
        joined = None if name == "namespace" else self._namespace()
        env = {"PATH": self.path, "HOME": "/root", "NO_PROXY": "*"}
        self.processes.start(name, words, env, mounts_of=joined)
        wait_until(f"{name} answers", lambda: self._works(name), READY_SECONDS)
        if name == "containerd":
            self._import_own_images()

    def _works(self, name):
        if not self.processes.find(name):
            raise ClusterError(f"{name} ended")
        if name == "namespace":
            return (self.state / "mounted").exists()
        if name == "containerd":
            return self._runs(self.ctr_words("version"))
        return healthy(components.HEALTH[name])

    def kill(self, name, number=signal.SIGKILL):
        """Ends one part by that signal and waits for its end."""
        self.processes.stop(name, number)

    def restart(self, name, number=signal.SIGKILL):
        """Ends one part by that signal, starts it again, waits until it answers."""
        self.kill(name, number)
        self.run(name)

    def pid(self, name):
        """The pid of a part; fails where it does not run."""
        found = self.processes.find(name)
        if not found:
            raise ClusterError(f"{name} does not run")
        return found[0]

    def _namespace(self):
        return self.pid("namespace")

    def status(self):
        """Name -> pid or None, of all parts."""
        names = components.command_lines(self.state, self.kubernetes)
        return {name: (self.processes.find(name) or [None])[0] for name in names}

    def last_logs(self, lines=15):
        """The ends of all logs, for who looks at a failure."""
        found = []
        for name in self.processes.names():
            found += [f"{name}: {line}" for line in self.processes.last_lines(name, lines)]
        return "\n".join(found)

    def node_path(self, path):
        """Where the host finds a path of the node's own, such as /var/lib/kubelet/plugins."""
        if path.startswith("/var/run/"):
            path = path.removeprefix("/var")
        for folder in components.NODE_FOLDERS:
            if path == folder or path.startswith(f"{folder}/"):
                rest = path.removeprefix(folder).strip("/")
                return components.node_path(self.state, folder) / rest
        return Path(path)

    # Images

    def inside(self, words):
        """The command line that runs those words with the node's mounts."""
        return ["nsenter", f"--mount=/proc/{self._namespace()}/ns/mnt", "--", *map(str, words)]

    def ctr_words(self, *words):
        return self.inside(["ctr", "--namespace", "k8s.io", *words])

    def _runs(self, words):
        env = {**os.environ, **self.environment}
        return subprocess.run(words, env=env, capture_output=True).returncode == 0

    def ctr(self, *words):
        """containerd's own tool, in Kubernetes' namespace."""
        env = {**os.environ, **self.environment}
        done = subprocess.run(self.ctr_words(*words), env=env, capture_output=True, text=True)
        if done.returncode:
            raise ClusterError(f"ctr {' '.join(map(str, words))}: {done.stderr.strip()}")
        return done.stdout

    def load_image(self, tar):
        """Imports an image from a tar (OCI layout or podman save)."""
        self.ctr("images", "import", Path(tar).resolve())

    def image(self, name, files, links=None, command=(), env=()):
        """Makes and imports an image: path in the image -> path here, or bytes. Returns name."""
        with tempfile.TemporaryDirectory(dir=self.state / "images") as folder:
            tar = Path(folder) / "image.tar"
            write_image(tar, name, files, links, command, env)
            self.load_image(tar)
        return name

    def _import_own_images(self):
        there = self.ctr("images", "list", "--quiet").split()
        files, links = busybox()
        if PAUSE not in there:
            self.image(PAUSE, files, command=("/bin/busybox", "sleep", "2147483647"))
        if BUSYBOX not in there:
            self.image(BUSYBOX, files, links, command=("sh",))

    # The API

    def kubectl(self, *words, text=None):
        """Standard output of kubectl; raises Kubectl with what it complains of."""
        program = self.sources["kubernetes"].folder() / "kubectl"
        done = subprocess.run(
            [program, *words],
            env={**os.environ, **self.environment},
            input=text or "",
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise Kubectl(done.stderr.strip() or f"kubectl ended with {done.returncode}")
        return done.stdout

    def apply(self, *objects, namespace="default"):
        """Applies YAML texts, or objects as dictionaries."""
        for one in objects:
            text = one if isinstance(one, str) else json.dumps(one)
            self.kubectl("apply", "--namespace", namespace, "-f", "-", text=text)

    def get(self, kind, name=None, namespace="default"):
        """An object, or the list of all of that kind, as dictionaries."""
        words = ["get", kind, *([name] if name else []), "--namespace", namespace, "-o", "json"]
        found = json.loads(self.kubectl(*words))
        return found if name else found["items"]

    def delete(self, *objects, namespace="default"):
        """Deletes kind/name and waits until it has gone; what is not there is no error."""
        self.kubectl("delete", "--ignore-not-found", "--namespace", namespace, *objects)

    def wait(self, what, until, seconds=180, namespace="default"):
        """until: as in kubectl wait, `condition=Ready` or `jsonpath={.status.phase}=Running`."""
        words = [f"--for={until}", f"--timeout={seconds}s", "--namespace", namespace]
        try:
            self.kubectl("wait", what, *words)
        except Kubectl as error:
            raise ClusterError(f"{what} is not {until}: {error}") from None

    def containers_of(self, pod, namespace="default"):
        """The status of each of its containers; none until the kubelet has told for the first
        time, which can be after it has written an event."""
        return self.get("pod", pod, namespace)["status"].get("containerStatuses", [])

    def events_of(self, name, namespace="default"):
        """The messages of all events about the object of that name."""
        found = self.get("events", namespace=namespace)
        return [e.get("message", "") for e in found if e["involvedObject"].get("name") == name]


__all__ = ["API_ADDRESS", "BUSYBOX", "NODE", "NODE_ADDRESS", "STATE"]
__all__ += ["Cluster", "ClusterError", "Kubectl", "MachineError", "pod", "wait_until"]
