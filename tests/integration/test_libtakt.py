# SPDX-License-Identifier: Apache-2.0
"""A container's own socket, and libtakt through it: a program in a container puts its threads into
the container's reservation, and can do nothing else there."""

import json
import os
import re
import subprocess
from pathlib import Path

from harness import (
    Agent,
    Case,
    Container,
    agent,
    connector,
    deadline,
    kernel_admission,
    podman,
    program,
    root,
    test,
    wait_for,
)
from puppet import CDI_DIR, PuppetError, Stage, is_on, remove_device

ATTACH = {"attach": True}
INSIDE = "/run/takt/takt.sock"


class OwnSocket(Case):
    needs = (root, deadline, kernel_admission, connector, agent, podman)

    def setUp(self):
        super().setUp()
        self.name = f"test-{os.getpid()}"
        self.addCleanup(remove_device, self.name)
        self.agent = Agent(self, cdi_dir=CDI_DIR).start()
        self.stage = Stage(self)

    def container(self, *options, **spec):
        self.agent.reserve(self.name, "2ms", "100ms", **spec)
        return self.stage.container(self.name, options)

    def cannot(self, words, puppet, *order):
        with self.assertRaises(PuppetError) as refused:
            puppet.do("main", *order)
        self.assertIn(words, str(refused.exception))

    @test
    def the_example_attaches_its_worker_and_has_no_miss_to_tell_of(self):
        self.agent.reserve(self.name, "3ms", "10ms", threads=ATTACH, guarantee="soft")
        lib = str(Path(program("attach")).parent.parent / "src" / "client" / "lib")
        box = Container(
            self,
            [program("attach")],
            self.stage.options(self.name, "--env", f"LD_LIBRARY_PATH={lib}"),
        )
        (thread,) = wait_for(
            "its worker is under it",
            lambda: self.agent.reservations()[self.name]["threads"],
        )
        status = Path(f"/proc/{thread['tid']}/status").read_text()
        pid = int(re.search(r"^Tgid:\s*(\d+)", status, re.MULTILINE)[1])
        self.assertNotEqual(thread["tid"], pid)
        self.assertFalse(is_on(pid))
        status, out, err = box.wait()
        self.assertEqual((status, err), (0, ""))
        self.assertRegex(out, r"\d+ jobs, median .* ms, worst .* ms, \d+ missed")
        wait_for(
            "it is held again", lambda: self.agent.reservations()[self.name]["state"] == "held"
        )

    @test
    def a_thread_puts_itself_in_and_takes_itself_out(self):
        puppet = self.container(threads=ATTACH)
        puppet.start("worker")
        tid = puppet.tid("worker")
        self.assertEqual(puppet.do("worker", "attach"), "6", "SCHED_DEADLINE when it returns")
        self.assertTrue(is_on(tid))
        self.assertFalse(is_on(puppet.pid))
        puppet.do("worker", "detach")
        self.assertEqual(puppet.do("worker", "policy"), "0")
        self.assertFalse(is_on(tid))

    @test
    def no_more_threads_than_cores_can_put_themselves_in(self):
        puppet = self.container(cores=2, threads=ATTACH)
        puppet.start("a", "b", "c")
        puppet.do("a", "attach")
        puppet.do("b", "attach")
        with self.assertRaises(PuppetError) as refused:
            puppet.do("c", "attach")
        self.assertIn("EBUSY", str(refused.exception))
        self.assertEqual(puppet.on(), {puppet.tid("a"), puppet.tid("b")})
        puppet.do("a", "end")
        wait_for("the server is free", lambda: len(puppet.on()) == 1)
        self.assertEqual(puppet.do("c", "attach"), "6")

    @test
    def its_socket_tells_of_its_own_reservation_alone(self):
        self.agent.reserve("secret", "1ms", "100ms")
        puppet = self.container(threads=ATTACH)
        told = json.loads(puppet.do("main", "call", "rt.takt.List"))
        self.assertEqual([r["name"] for r in told["reservations"]], [self.name])
        self.cannot("NotPermitted", puppet, "call", "rt.takt.List", '{"name":"secret"}')

    @test
    def its_socket_does_nothing_else(self):
        stranger = self.stage.start()
        self.agent.reserve("other", "1ms", "100ms", threads=ATTACH)
        puppet = self.container(threads=ATTACH)
        document = {
            "apiVersion": "rt.takt.dev/v1alpha1",
            "kind": "Reservation",
            "metadata": {"name": "mine"},
            "spec": {"runtime": "1ms", "period": "100ms"},
        }
        before = sorted(self.agent.reservations())
        for method, parameters in (
            ("Reserve", {"document": document}),
            ("Release", {"name": self.name}),
            ("Release", {"name": "other"}),
            ("Bind", {"name": "other", "pid": 1}),
            ("Node", {}),
            ("Watch", {}),
            ("History", {"name": self.name}),
            ("Attach", {"name": "other", "tids": [1]}),
            ("Detach", {"name": "other", "tids": [1]}),
        ):
            text = json.dumps(parameters, separators=(",", ":"))
            self.cannot("NotPermitted", puppet, "call", f"rt.takt.{method}", text)
        for tid in (stranger.pid, os.getpid(), 0, -1):
            text = json.dumps({"tids": [tid]})
            self.cannot("BadArgument", puppet, "call", "rt.takt.Attach", text)
        self.assertFalse(is_on(stranger.pid))
        self.assertEqual(sorted(self.agent.reservations()), before)

    @test
    def a_thread_of_another_process_of_the_container_is_not_the_callers_own(self):
        puppet = self.container(threads=ATTACH)
        inside = puppet.do("main", "fork")
        child = self.stage.next()
        self.cannot("BadArgument", puppet, "call", "rt.takt.Attach", f'{{"tids":[{inside}]}}')
        self.assertFalse(is_on(child.pid))
        self.assertEqual(child.do("main", "attach"), "6")
        self.assertTrue(is_on(child.pid))

    @test
    def an_unprivileged_user_of_the_container_can_use_it_too(self):
        os.chmod(self.stage.folder, 0o755)
        os.chmod(self.stage.path, 0o666)
        puppet = self.container("--user", "65534:65534", "--cap-drop", "all", threads=ATTACH)
        self.assertEqual(puppet.do("main", "attach"), "6")
        self.assertTrue(is_on(puppet.pid))

    @test
    def it_works_after_the_agent_was_started_anew(self):
        puppet = self.container(threads=ATTACH)
        puppet.do("main", "attach")
        for leave in (self.agent.stop, self.agent.kill9):
            leave()
            self.cannot("no agent answers", puppet, "attach")
            self.agent.start()
            self.assertTrue(is_on(puppet.pid))
            puppet.do("main", "detach")
            self.assertFalse(is_on(puppet.pid))
            self.assertEqual(puppet.do("main", "attach"), "6")

    @test
    def it_hangs_up_and_is_gone_when_the_reservation_is_released(self):
        puppet = self.container(threads=ATTACH)
        puppet.do("main", "attach")
        self.agent.call("Release", name=self.name)
        self.assertEqual(puppet.do("main", "policy"), "0")
        with self.assertRaises(PuppetError):
            puppet.do("main", "attach")
        self.assertFalse(is_on(puppet.pid))

    @test
    def the_container_sees_its_name_and_its_socket_and_no_more_of_the_agent(self):
        self.agent.reserve(self.name, "2ms", "100ms")
        box = Container(
            self,
            ["sh", "-c", "env | grep TAKT | sort; ls /run/takt; touch /run/takt/x"],
            self.stage.options(self.name),
        )
        status, out, err = box.wait()
        self.assertEqual(
            out.splitlines(),
            [f"TAKT_RESERVATION={self.name}", f"TAKT_SOCKET={INSIDE}", "takt.sock"],
        )
        self.assertIn("Read-only", err)
        self.assertEqual(status, 1)

    @test
    def a_program_outside_attaches_by_the_name(self):
        self.agent.reserve(self.name, "3ms", "10ms", threads=ATTACH, guarantee="soft")
        process = subprocess.Popen(
            [program("attach"), self.name],
            env={**os.environ, "TAKT_SOCKET": str(self.agent.socket)},
            stdout=subprocess.DEVNULL,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        wait_for(
            "its worker is under it",
            lambda: self.agent.reservations()[self.name]["threads"],
        )
        self.assertFalse(is_on(process.pid))
        process.kill()
        wait_for(
            "it is held again", lambda: self.agent.reservations()[self.name]["state"] == "held"
        )
