# SPDX-License-Identifier: Apache-2.0
"""Who may do what: root and one group manage, a container its own threads in its own reservation,
and nobody else anything. Tested by trying the rest."""

import array
import errno
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from harness import (
    SCHED_DEADLINE,
    Agent,
    Case,
    Child,
    Container,
    connector,
    deadline,
    podman,
    program,
    root,
    sched_getattr,
    systemd,
    test,
    wait_for,
)
from puppet import Stage, is_on
from strangers import GROUP, NOBODY, as_user, call, raw, reachable
from truth import CrashAgent, Program

HERE = Path(__file__).resolve().parent
UNIT = HERE.parents[1] / "deploy" / "systemd" / "taktd.service.in"
HOOK_DENIED = 77


class Users(Case):
    needs = (root, deadline)

    @test
    def an_unprivileged_user_cannot_connect(self):
        agent = reachable(Agent(self, args=["--group", "no-such-group"]).start())
        for attempt in (lambda: call(agent.socket, "List"), lambda: open(agent.socket)):
            self.denied(errno.EACCES, as_user, self, NOBODY, NOBODY, attempt)

    @test
    def a_user_outside_the_group_cannot_connect(self):
        agent = reachable(Agent(self, args=["--group", GROUP]).start())
        attempt = lambda: call(agent.socket, "List")  # noqa: E731
        self.denied(errno.EACCES, as_user, self, NOBODY, NOBODY - 1, attempt)

    @test
    def a_member_of_the_group_manages(self):
        agent = reachable(Agent(self, args=["--group", GROUP]).start())
        document = {
            "apiVersion": "rt.takt.dev/v1alpha1",
            "kind": "Reservation",
            "metadata": {"name": "mine"},
            "spec": {"runtime": "1ms", "period": "100ms"},
        }

        def manage():
            return [
                call(agent.socket, "Reserve", document=document)[0],
                call(agent.socket, "List", name="mine")[0],
                call(agent.socket, "Node")[0],
                call(agent.socket, "Release", name="mine")[0],
            ]

        self.assertEqual(as_user(self, NOBODY, NOBODY, manage), ["ok"] * 4)

    @test
    def an_unprivileged_user_reaches_no_file_of_the_agent(self):
        agent = reachable(CrashAgent(self))
        agent.mkdirs = False  # the agent makes what it needs, as on a machine
        agent.start()
        agent.reserve("name", "1ms", "100ms")
        for path in (agent.state_dir / "takt.db", agent.run_dir / "name"):
            self.denied(errno.EACCES, as_user, self, NOBODY, NOBODY, lambda: os.stat(path).st_size)

    @test
    def an_unprivileged_user_cannot_bind_by_the_hook(self):
        agent = reachable(Agent(self).start())
        agent.reserve("name", "1ms", "100ms")
        hook = shutil.copy(program("takt-hook"), agent.folder / "takt-hook")
        os.chmod(hook, 0o755)
        victim = Program(self)
        state = {"ociVersion": "1.0.2", "id": "x", "status": "creating", "bundle": "/"}
        text = json.dumps({**state, "pid": victim.pid})

        def bind():
            done = subprocess.run(
                [hook, "bind", "--socket", str(agent.socket), "--reservation", "name"],
                env={"TAKT_SOCKET": str(agent.socket), "TAKT_RESERVATION": "name"},
                input=text,
                capture_output=True,
                text=True,
            )
            return [done.returncode, done.stderr]

        status, said = as_user(self, NOBODY, NOBODY, bind)
        self.assertEqual(status, HOOK_DENIED, said)
        self.assertIn("no permission", said)
        self.assertEqual(agent.reservations()["name"]["state"], "held")


class OwnSocket(Case):
    """The socket of one reservation, without a container around it."""

    needs = (root, deadline, connector)

    def setUp(self):
        super().setUp()
        if not getattr(self, "agents", None) == []:
            return
        self.agent = reachable(Agent(self).start())
        os.chmod(self.agent.run_dir, 0o755)
        for name in ("mine", "other"):
            self.agent.reserve(name, "1ms", "100ms", cores=2, threads={"attach": True})
        self.own = self.agent.run_dir / "mine" / "takt.sock"

    def bound(self, function):
        """A process that holds the reservation; function(say) begins when it does."""

        def wait(say):
            os.read(go[0], 1)
            function(say)

        go = os.pipe()
        child = Child(self, wait)
        self.agent.call("Bind", name="mine", pid=child.pid)
        os.write(go[1], b"x")
        os.close(go[0])
        os.close(go[1])
        return child

    @test
    def a_stranger_on_an_own_socket_may_do_nothing(self):
        self.bound(lambda say: os.read(os.pipe()[0], 1))

        def attempts():
            me = os.getpid()
            return [
                call(self.own, "List"),
                call(self.own, "Attach", tids=[me]),
                call(self.own, "Attach", name="mine", tids=[me]),
                call(self.own, "Detach", tids=[me]),
                call(self.own, "Bind", name="mine", pid=me),
                call(self.own, "Release", name="mine"),
            ]

        for uid in (NOBODY, 0):
            for answer in as_user(self, uid, uid, attempts):
                self.assertEqual(answer[:2], ["error", "NotPermitted"])

    @test
    def an_attached_program_has_no_socket_that_a_stranger_could_use(self):
        victim = Program(self)
        self.agent.call("Attach", name="mine", tids=[victim.pid])
        answers = []
        try:
            attempt = lambda: call(self.own, "Attach", tids=[os.getpid()])  # noqa: E731
            answers = as_user(self, NOBODY, NOBODY, attempt)
        except OSError:
            return
        self.assertEqual(answers[:2], ["error", "NotPermitted"])

    @test
    def who_inherits_an_own_socket_can_name_only_its_owners_threads(self):
        def hand_over(say):
            door = raw(self.own)
            with socket.socket(socket.AF_UNIX) as to:
                to.connect(meeting)
                fds = array.array("i", [door.fileno()]).tobytes()
                to.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
            door.close()
            say(True)
            while True:
                os.read(os.pipe()[0], 1)

        meeting = self.folder() + "/meeting"
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(meeting)
        listener.listen()
        owner = self.bound(hand_over)
        owner.hear()
        with listener.accept()[0] as connection:
            fds = socket.recv_fds(connection, 1, 1)[1]
        door = socket.socket(fileno=fds[0])
        self.addCleanup(door.close)
        door.settimeout(60)

        def ask(method, **parameters):
            text = {"method": "rt.takt." + method, "parameters": parameters}
            door.sendall(json.dumps(text).encode() + b"\0")
            reply = json.loads(door.recv(65536)[:-1])
            return reply.get("error", "ok").removeprefix("rt.takt.")

        for tid in (os.getpid(), 1, self.agent.pid):
            self.assertEqual(ask("Attach", tids=[tid]), "BadArgument")
        self.assertEqual(ask("Release", name="mine"), "NotPermitted")
        self.assertEqual(ask("Attach", tids=[owner.pid]), "ok")
        self.assertEqual(sched_getattr(owner.pid).policy, SCHED_DEADLINE)
        owner.end()
        wait_for("it is free", lambda: self.agent.reservations()["mine"]["state"] == "held")
        self.denied(errno.EPIPE, lambda: [ask("List") for _ in range(2)])


class Prisoner(Case):
    needs = (root, deadline, connector, podman)

    @test
    def a_container_can_attach_detach_and_list_its_own_and_nothing_else(self):
        agent = Agent(self, cdi_dir="/var/run/cdi").start()
        for name in ("mine", "other"):
            agent.reserve(name, "1ms", "100ms", cores=2, threads={"attach": True})
        victim = Program(self)
        document = agent.reservations()["other"]["document"]
        tries = [
            (["rt.takt.List", {}], "ok"),
            (["rt.takt.List", {"name": "mine"}], "ok"),
            (["rt.takt.Attach", {"tids": ["$THREAD"]}], "ok"),
            (["rt.takt.Attach", {"name": "mine", "tids": ["$SELF"]}], "ok"),
            (["rt.takt.Detach", {"tids": ["$SELF", "$SELF"]}], "BadArgument"),
            (["rt.takt.Detach", {"tids": ["$SELF"]}], "ok"),
            (["rt.takt.Detach", {"name": "mine", "tids": ["$THREAD"]}], "ok"),
            (["org.varlink.service.GetInfo", {}], "ok"),
            (
                ["org.varlink.service.GetInterfaceDescription", {"interface": "rt.takt"}],
                "ok",
            ),
            (["rt.takt.List", {"name": "other"}], "NotPermitted"),
            (["rt.takt.Attach", {"name": "other", "tids": ["$SELF"]}], "NotPermitted"),
            (["rt.takt.Detach", {"name": "other", "tids": ["$SELF"]}], "NotPermitted"),
            (["rt.takt.Attach", {"tids": ["$OTHER"]}], "BadArgument"),
            (["rt.takt.Attach", {"tids": [victim.pid]}], "BadArgument"),
            (["rt.takt.Attach", {"tids": [agent.pid]}], "BadArgument"),
            (["rt.takt.Attach", {"tids": [os.getpid()]}], "BadArgument"),
            (["rt.takt.Attach", {"tids": [0]}], "BadArgument"),
            (["rt.takt.Attach", {"tids": [-1]}], "BadArgument"),
            (["rt.takt.Attach", {"tids": [2**31]}], "BadArgument"),
            (["rt.takt.Attach", {"tids": [2**32 + 1]}], "BadArgument"),
            (["rt.takt.Attach", {"tids": ["1"]}], "BadArgument"),
            (["rt.takt.Attach", {"tids": [1.0]}], "BadArgument"),
            (["rt.takt.Attach", {"tids": []}], "BadArgument"),
            (["rt.takt.Attach", {"tids": ["$SELF"], "pid": victim.pid}], "BadArgument"),
            (["rt.takt.Attach", {"tids": ["$SELF", victim.pid]}], "BadArgument"),
            (["rt.takt.Detach", {"tids": ["$SELF"]}], "BadArgument"),
            (["rt.takt.Detach", {"tids": [victim.pid]}], "BadArgument"),
            (["rt.takt.Reserve", {"document": document}], "NotPermitted"),
            (["rt.takt.Release", {"name": "mine"}], "NotPermitted"),
            (["rt.takt.Release", {"name": "other"}], "NotPermitted"),
            (["rt.takt.Bind", {"name": "other", "pid": "$SELF"}], "NotPermitted"),
            (["rt.takt.Bind", {"name": "mine", "pid": victim.pid}], "NotPermitted"),
            (["rt.takt.Node", {}], "NotPermitted"),
            (["rt.takt.Tell", {"source": "x", "checks": [], "forMs": 1}], "NotPermitted"),
            (["rt.takt.Watch", {}], "NotPermitted"),
            (["rt.takt.History", {"name": "mine"}], "NotPermitted"),
            (["rt.takt.Nothing", {}], "org.varlink.service.MethodNotFound"),
        ]
        box = Container(
            self,
            [sys.executable, str(HERE / "prisoner.py"), json.dumps([t for t, _ in tries])],
            ["--device", "rt.takt.dev/reservation=mine"],
        )
        status, out, err = box.wait()
        self.assertEqual(status, 0, err + out)
        for (attempt, wanted), got in zip(tries, json.loads(out), strict=True):
            with self.subTest(attempt=attempt):
                self.assertEqual(got[0].removeprefix("rt.takt."), wanted)
                if attempt[0] == "rt.takt.List" and wanted == "ok":
                    self.assertEqual([r["name"] for r in got[1]["reservations"]], ["mine"])
        self.assertNotEqual(sched_getattr(victim.pid).policy, SCHED_DEADLINE)

    @test
    def a_container_cannot_reach_the_main_socket_or_change_its_own_folder(self):
        agent = Agent(self, cdi_dir="/var/run/cdi").start()
        agent.reserve("mine", "1ms", "100ms", threads={"attach": True})
        tries = ("rm takt.sock", "touch x", "mount -o remount,rw /run/takt", "rm takt.sock", "true")
        script = "cd /run/takt; ls; " + "; ".join(tries)
        box = Container(self, ["sh", "-c", script], ["--device", "rt.takt.dev/reservation=mine"])
        status, out, err = box.wait()
        self.assertEqual((status, out), (0, "takt.sock\n"), err)
        self.assertIn("Read-only file system", err)


class UnitAgent(Agent):
    """taktd with what its systemd unit leaves of root."""

    def command(self):
        caps = re.search(r"^CapabilityBoundingSet=(.*)$", UNIT.read_text(), re.M).group(1)
        kept = ",".join(f"+{c.lower().removeprefix('cap_')}" for c in caps.split())
        limits = ["setpriv", "--no-new-privs", "--inh-caps=-all", f"--bounding-set=-all,{kept}"]
        limits += [sys.executable, str(HERE / "syscalls.py"), str(UNIT)]
        return [*limits, *super().command()]


class Unit(Case):
    needs = (root, deadline, connector, podman, systemd)

    def runs_under_it(self, options):
        taktd = UnitAgent(self, cdi_dir="/var/run/cdi").start()
        taktd.reserve("mine", "1ms", "100ms")
        stage = Stage(self)
        for path, mode in ((stage.folder, 0o755), (stage.path, 0o666)):
            os.chmod(path, mode)
        puppet = stage.container("mine", options)
        wait_for("it is under its reservation", lambda: is_on(puppet.pid))
        taktd.kill9()
        taktd.start()
        self.assertEqual(taktd.reservations()["mine"]["state"], "active")
        puppet.quit()
        wait_for("it is free", lambda: taktd.reservations()["mine"]["state"] == "held")

    @test
    def the_capabilities_and_calls_of_the_unit_suffice_for_a_container_of_root(self):
        self.runs_under_it([])

    @test
    def the_capabilities_and_calls_of_the_unit_suffice_for_a_container_of_another_user(self):
        self.runs_under_it(["--user", f"{NOBODY}:{NOBODY}"])
