# SPDX-License-Identifier: Apache-2.0
"""The built programs: where they are, a Varlink client, and the agent on folders of its own."""

import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
from pathlib import Path

from kernel import WAIT_SECONDS, wait_for

LOG_LINES = 100


def build_folder():
    return Path(os.environ.get("TAKT_BUILD", "build")).resolve()


@functools.lru_cache(maxsize=None)
def program(name):
    """The path of a program that meson builds, or None."""
    targets = build_folder() / "meson-info" / "intro-targets.json"
    if not targets.exists():
        return None
    for target in json.loads(targets.read_text()):
        if target["type"] == "executable" and target["name"] == name:
            path = Path(target["filename"][0])
            return str(path) if path.exists() else None
    return None


class TaktError(Exception):
    """The agent said no: `name` without the interface (DoesNotFit), `reason` its sentence."""

    def __init__(self, name, parameters):
        self.name = name.removeprefix("rt.takt.")
        self.parameters = parameters or {}
        self.reason = self.parameters.get("reason", "")
        super().__init__(f"{self.name}: {self.reason or self.parameters}")


class Varlink:
    """One connection. Methods without a dot are rt.takt's."""

    def __init__(self, path, seconds=WAIT_SECONDS):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.socket.connect(str(path))  # with a time limit a full queue would be an error
        except OSError:
            self.socket.close()
            raise
        self.socket.settimeout(seconds)
        self._rest = b""

    def send(self, method, more=False, **parameters):
        name = method if "." in method else f"rt.takt.{method}"
        message = {"method": name, "parameters": parameters}
        if more:
            message["more"] = True
        self.socket.sendall(json.dumps(message).encode() + b"\0")

    def receive(self):
        """The next reply; raises TaktError, and ConnectionError where the agent hung up."""
        while b"\0" not in self._rest:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the agent closed the connection")
            self._rest += data
        line, self._rest = self._rest.split(b"\0", 1)
        reply = json.loads(line)
        if "error" in reply:
            raise TaktError(reply["error"], reply.get("parameters"))
        return reply

    def call(self, method, **parameters):
        self.send(method, **parameters)
        return self.receive().get("parameters", {})

    def watch(self):
        """Every change from now on. It has begun when this returns."""
        self.send("Watch", more=True)
        self.receive()
        return self._changes()

    def _changes(self):
        while True:
            reply = self.receive()
            yield reply["parameters"]["change"]
            if not reply.get("continues"):
                return

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Agent:
    """taktd on a socket and folders of its own, running and answering after start()."""

    def __init__(self, case, cdi_dir=None, args=(), env=None):
        self.folder = Path(case.folder())
        self.socket = self.folder / "takt.sock"
        self.state_dir = self.folder / "state"
        self.cdi_dir = Path(cdi_dir) if cdi_dir else self.folder / "cdi"
        self.run_dir = self.folder / "run"
        self.log_path = self.folder / "taktd.log"
        self.args, self.env = list(args), dict(env or {})
        self.stdin = subprocess.DEVNULL
        self.process = None
        self.last_log = []
        case.agents.append(self)
        case.addCleanup(self._clean)

    def command(self):
        options = [
            ("--socket", self.socket),
            ("--state-dir", self.state_dir),
            ("--cdi-dir", self.cdi_dir),
            ("--run-dir", self.run_dir),
        ]
        if program("takt-hook"):
            options.append(("--hook", program("takt-hook")))
        return [program("taktd")] + [str(x) for pair in options for x in pair] + self.args

    def spawn(self):
        """Starts it without waiting; the log is appended to."""
        for folder in (self.state_dir, self.cdi_dir, self.run_dir):
            folder.mkdir(parents=True, exist_ok=True)
        with open(self.log_path, "a") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=self.stdin,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.env},
            )
        return self

    def start(self):
        self.spawn()
        wait_for(f"taktd answers; its log:\n{self.log()}", self._answers)
        return self

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError(
                f"taktd ended with status {self.process.returncode}; its log:\n{self.log()}"
            )
        try:
            return self.call("Node")
        except (FileNotFoundError, ConnectionError):
            return None

    @property
    def pid(self):
        return self.process.pid

    def connect(self):
        return Varlink(self.socket)

    def call(self, method, **parameters):
        with self.connect() as door:
            return door.call(method, **parameters)

    def reserve(self, name, runtime, period, **spec):
        """Reserves by the document; runtime and period as in "4ms". Returns the reservation."""
        document = {
            "apiVersion": "rt.takt.dev/v1alpha1",
            "kind": "Reservation",
            "metadata": {"name": name},
            "spec": {"runtime": runtime, "period": period, **spec},
        }
        return self.call("Reserve", document=document)["reservation"]

    def reservations(self):
        return {r["name"]: r for r in self.call("List")["reservations"]}

    def release_all(self):
        for name in self.reservations():
            try:
                self.call("Release", name=name)
            except TaktError as error:
                # A transient one ends by itself.
                if error.name not in ("NoSuchReservation", "Busy"):
                    raise
        wait_for("nothing is promised", lambda: not self.reservations())

    def stop(self):
        """Asks it to end; returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WAIT_SECONDS)

    def kill9(self):
        self.process.kill()
        return self.process.wait(WAIT_SECONDS)

    def log(self):
        return self.log_path.read_text() if self.log_path.exists() else ""

    def running(self):
        return self.process is not None and self.process.poll() is None

    @contextlib.contextmanager
    def still(self):
        """It does nothing meanwhile, so that its files can be copied as they are."""
        runs = self.running()
        if runs:
            self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            if runs:
                self.process.send_signal(signal.SIGCONT)

    def _clean(self):
        """Ends the agent and its promises; by force where it does not answer."""
        try:
            if self.running():
                self.release_all()
                self.stop()
        except (OSError, TaktError, subprocess.TimeoutExpired):
            self.kill9()
        except AssertionError:
            self.kill9()
            raise
        finally:
            self.last_log = self.log().splitlines()[-LOG_LINES:]


def takt(*args, socket_path, **options):
    """Runs the command line; returns the finished process with text in stdout and stderr."""
    command = [program("takt"), *map(str, args)]
    env = {**os.environ, "TAKT_SOCKET": str(socket_path)}
    return subprocess.run(command, env=env, capture_output=True, text=True, **options)
