# SPDX-License-Identifier: Apache-2.0
"""The command line against the real agent: every verb, what it prints as JSON, its exit status and
its sentences. What it sends and how it looks is tested in tests/unit/client/cli."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from harness import (
    MS,
    Agent,
    Case,
    agent,
    connector,
    deadline,
    kernel_admission,
    program,
    root,
    take_bandwidth,
    takt,
    test,
    wait_for,
)
from puppet import KernelRest, Stage, is_on, q20

RESERVATION_KEYS = {
    "name",
    "state",
    "runtimeNs",
    "periodNs",
    "deadlineNs",
    "cores",
    "guarantee",
    "placement",
    "boundNs",
    "bandwidthPpm",
    "container",
    "cgroup",
    "via",
    "threads",
}
NOBODY = 65534


def document(name, **spec):
    """The JSON of a document, which is YAML as well."""
    return json.dumps(
        {
            "apiVersion": "rt.takt.dev/v1alpha1",
            "kind": "Reservation",
            "metadata": {"name": name},
            "spec": {"runtime": "1ms", "period": "100ms", **spec},
        }
    )


class Cli(Case):
    needs = (root, deadline, kernel_admission, connector, agent)

    def setUp(self):
        super().setUp()
        self.agent = Agent(self).start()

    def takt(self, *args, **options):
        return takt(*args, socket_path=self.agent.socket, **options)

    def does(self, *args, **options):
        """Must end with 0 and without a complaint; returns what it printed."""
        done = self.takt(*args, **options)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done)
        return done.stdout

    def json(self, *args):
        return json.loads(self.does(*args, "--json"))

    def fails(self, status, sentence, *args, **options):
        """Must end with that status, one sentence on stderr, and nothing on stdout."""
        done = self.takt(*args, **options)
        self.assertEqual((done.returncode, done.stdout), (status, ""), done)
        self.assertRegex(done.stderr, sentence)
        self.assertTrue(done.stderr.startswith("takt: "), done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)

    def file(self, *documents):
        path = Path(self.folder(), "set.yaml")
        path.write_text("\n---\n".join(documents))
        return path


class Verbs(Cli):
    @test
    def reserve_prints_the_device_and_release_ends_it(self):
        out = self.does("reserve", "camera", "-q", "1ms", "-p", "100ms")
        self.assertEqual(out, "rt.takt.dev/reservation=camera\n")
        spec = self.agent.cdi_dir / "rt.takt.dev-reservation_camera.json"
        self.assertEqual(json.loads(spec.read_text())["kind"], "rt.takt.dev/reservation")
        self.assertEqual(self.does("release", "camera"), "")
        self.assertFalse(spec.exists())
        self.assertEqual(self.agent.reservations(), {})

    @test
    def reserve_again_is_the_same_promise_and_another_one_is_refused(self):
        words = ["reserve", "camera", "-p", "100ms", "-q"]
        self.assertEqual(self.does(*words, "1ms"), self.does(*words, "1ms"))
        self.fails(1, "another reservation has this name: release it first", *words, "2ms")
        self.assertEqual(self.agent.reservations()["camera"]["runtimeNs"], 1 * MS)

    @test
    def reserve_json_tells_the_promise_and_the_device(self):
        told = self.json("reserve", "camera", "-q", "1ms", "-p", "100ms", "-l", "app=vision")
        self.assertEqual(told["device"], "rt.takt.dev/reservation=camera")
        self.assertEqual(told["reservation"]["labels"], {"app": "vision"})
        self.assertIsNone(told["reservation"]["container"])  # as takt ps tells it

    @test
    def ps_and_describe_json_have_the_promised_keys(self):
        self.does("reserve", "camera", "-q", "1ms", "-p", "100ms", "-d", "50ms")
        self.does("reserve", "lidar", "-q", "2ms", "-p", "100ms", "-c", "2", "-g", "soft")
        rows = {r["name"]: r for r in self.json("ps")["reservations"]}
        self.assertEqual(set(rows), {"camera", "lidar"})
        for row in rows.values():
            self.assertLessEqual(RESERVATION_KEYS, set(row))
        camera = rows["camera"]
        self.assertEqual(
            [camera[k] for k in ("state", "runtimeNs", "periodNs", "deadlineNs", "cores")],
            ["held", 1 * MS, 100 * MS, 50 * MS, 1],
        )
        self.assertEqual((camera["bandwidthPpm"], camera["container"]), (10_000, None))
        self.assertEqual((rows["lidar"]["guarantee"], rows["lidar"]["cores"]), ("soft", 2))
        self.assertEqual(self.json("describe", "camera")["reservations"], [camera])

    @test
    def ps_and_describe_name_the_threads_that_are_under_it(self):
        puppet = Stage(self).start()
        self.does("reserve", "camera", "-q", "1ms", "-p", "100ms")
        self.does("attach", "camera", puppet.pid)
        row = self.json("ps")["reservations"][0]
        self.assertEqual(row["threads"], [{"tid": puppet.pid, "name": "puppet"}])
        self.assertEqual(row["state"], "active")
        self.assertIn(f"{puppet.pid} puppet", self.does("describe", "camera"))
        self.assertRegex(self.does("ps"), r"camera +active")

    @test
    def apply_makes_all_documents_of_a_file_and_says_what_it_did(self):
        file = self.file(document("a"), document("b", cores=2), document("c"))
        self.assertEqual(self.does("apply", "-f", file), "a: reserved\nb: reserved\nc: reserved\n")
        told = self.json("apply", "-f", file)["reservations"]
        self.assertEqual([r["result"] for r in told], ["unchanged"] * 3)
        self.assertEqual(set(self.agent.reservations()), {"a", "b", "c"})

    @test
    def apply_makes_what_fits_and_exits_with_the_first_refusal(self):
        huge = document("b", runtime="99ms", cores=os.cpu_count() + 1)
        file = self.file(document("a"), huge, document("c"))
        done = self.takt("apply", "-f", file)
        self.assertEqual((done.returncode, done.stdout), (75, "a: reserved\nc: reserved\n"))
        self.assertRegex(done.stderr, r"^takt: b: .* asked, .*\n$")
        self.assertEqual(set(self.agent.reservations()), {"a", "c"})

    @test
    def apply_makes_nothing_of_a_file_with_a_mistake(self):
        file = self.file(document("a"), document("b", runtime="4"))
        done = self.takt("apply", "-f", file)
        self.assertEqual(done.returncode, 64)
        self.assertIn("spec.runtime", done.stderr)
        self.assertEqual(self.agent.reservations(), {})

    @test
    def admit_says_the_same_as_reserve_for_this_machine(self):
        for runtime in range(5, 100, 15):
            text = document("a", runtime=f"{runtime}ms", cores=os.cpu_count())
            admit = self.takt("admit", "-f", self.file(text), "--machine", "--json")
            told = json.loads(admit.stdout)
            self.assertEqual(set(told["reservations"][0]), {
                "name", "fits", "test", "boundNs", "reason",
            })
            self.assertEqual(admit.returncode, 0 if told["fits"] else 75)
            if not told["fits"]:
                done = self.takt("apply", "-f", self.file(text))
                self.assertEqual(done.returncode, 75, (told, done))

    @test
    def admit_needs_no_agent(self):
        self.agent.stop()
        file = self.file(document("a", runtime="60ms"), document("b", runtime="60ms"))
        told = self.json("admit", "-f", file, "--cpus", "2")
        self.assertTrue(told["fits"])
        done = self.takt("admit", "-f", file, "--cpus", "1", "--json")
        self.assertEqual(done.returncode, 75)
        told = json.loads(done.stdout)
        self.assertEqual((told["fits"], len(told["reservations"])), (False, 2))

    @test
    def doctor_tells_what_the_kernel_gives(self):
        rest = KernelRest(self)
        told = self.json("doctor")
        self.assertLessEqual({"ceilingPpmPerCpu", "granularityNs", "checks"}, set(told))
        for check in told["checks"]:
            self.assertLessEqual({"name", "status", "detail"}, set(check))
            self.assertIn(check["status"], ("ok", "limited", "no"))
        checks = {c["name"]: c for c in told["checks"]}
        self.assertEqual(checks["deadline"]["status"], "ok")
        wait_for(
            "its ceiling is what the kernel gives", lambda: abs(self.ceiling_beyond(rest)) < 16
        )
        self.assertIn("mend", self.does("doctor"))

    def ceiling_beyond(self, rest):
        """What doctor says is granted, less what is free and what the agent's thread has."""
        told = self.json("doctor")
        ceiling = told["ceilingPpmPerCpu"] * told["cpus"] * (1 << 20) // 1_000_000
        return ceiling - rest.units() - q20(500_000, 10 * MS)

    @test
    def doctor_names_deadline_threads_of_other_programs(self):
        other = take_bandwidth(self, 10 * MS, 100 * MS)
        told = self.json("doctor")
        check = next(c for c in told["checks"] if c["name"] == "other-deadline")
        self.assertEqual(check["status"], "limited")
        self.assertIn(f"({other.pid})", check["detail"])
        self.assertAlmostEqual(told["foreignPpm"], 100_000, delta=2)

    def line(self, name):
        """(status, detail, mend) of the doctor's line, or None."""
        found = [c for c in self.json("doctor")["checks"] if c["name"] == name]
        self.assertLessEqual(len(found), 1)
        return (found[0]["status"], found[0]["detail"], found[0].get("mend")) if found else None

    def tell(self, source, for_ms, *lines):
        keys = ("name", "status", "detail", "mend")
        checks = [dict(zip(keys, line, strict=False)) for line in lines]
        self.agent.call("Tell", source=source, checks=checks, forMs=for_ms)

    @test
    def doctor_tells_what_others_told_until_it_is_old_or_they_tell_anew(self):
        own = self.line("runtimes")
        kubelet = ("kubelet", "no", "it is away", "start it")
        self.tell("node", 600000, kubelet, ("runtimes", "ok", "one that taktd cannot see"))
        self.assertEqual(self.line("kubelet"), kubelet[1:])
        self.assertEqual(self.line("runtimes"), ("ok", "one that taktd cannot see", None))
        self.assertRegex(self.does("doctor"), r"no +kubelet +it is away\n +mend: start it\n")
        self.tell("other", 600000, ("kubelet", "ok", "it is there"))
        self.assertEqual(self.line("kubelet"), ("ok", "it is there", None))
        self.tell("other", 600000)
        self.assertEqual(self.line("kubelet"), kubelet[1:])
        self.tell("node", 100, kubelet)
        self.assertEqual(self.line("runtimes"), own)
        wait_for("the line is old", lambda: self.line("kubelet") is None)

    @test
    def what_is_told_is_forgotten_when_taktd_starts_anew(self):
        self.tell("node", 600000, ("kubelet", "ok", "it is there"))
        self.agent.stop()
        self.agent.start()
        self.assertIsNone(self.line("kubelet"))

    @test
    def history_tells_a_reservations_life_also_after_its_end_and_a_restart(self):
        puppet = Stage(self).start()
        self.does("reserve", "camera", "-q", "1ms", "-p", "100ms")
        self.does("attach", "camera", puppet.pid)
        self.does("detach", "camera", puppet.pid)
        self.does("release", "camera")
        self.agent.kill9()
        self.agent.start()
        changes = self.json("history", "camera")["changes"]
        whats = [c["what"] for c in changes]
        self.assertEqual((whats[0], whats[-1]), ("reserved", "released"))
        self.assertIn("bound", whats)
        self.assertIn("unbound", whats)
        self.assertEqual([c["atMs"] for c in changes], sorted(c["atMs"] for c in changes))
        self.assertTrue(all(c["name"] == "camera" and c["why"] for c in changes), changes)
        self.assertRegex(self.does("history", "camera"), r"(?s)reserved .*released ")

    @test
    def report_writes_a_page_with_what_is_promised(self):
        self.does("reserve", "camera", "-q", "1ms", "-p", "100ms")
        page = Path(self.folder(), "report.html")
        self.does("report", "-o", page)
        text = page.read_text()
        self.assertIn("camera", text)
        self.assertNotIn("http://", text.replace("http://www.w3.org", ""))

    @test
    def completions_are_printed_and_the_shell_takes_them(self):
        for shell in ("bash", "zsh", "fish"):
            self.assertIn("takt", self.does("completion", shell))
        script = self.does("completion", "bash")
        checked = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True)
        self.assertEqual((checked.returncode, checked.stderr), (0, ""))
        self.fails(64, "name a shell: bash, zsh or fish", "completion", "tcsh")

    @test
    def completion_knows_the_reservations_of_the_agent(self):
        self.does("reserve", "camera", "-q", "1ms", "-p", "100ms")
        script = self.does("completion", "bash") + (
            "\nCOMP_WORDS=(takt release cam); COMP_CWORD=2; COMP_LINE='takt release cam'\n"
            "COMP_POINT=${#COMP_LINE}\n"
            "fn=$(complete -p takt | sed 's/.*-F \\([^ ]*\\).*/\\1/'); $fn takt cam release\n"
            'echo "${COMPREPLY[@]}"\n'
        )
        path = f"{Path(program('takt')).parent}:{os.environ['PATH']}"
        env = {**os.environ, "PATH": path, "TAKT_SOCKET": str(self.agent.socket)}
        done = subprocess.run(["bash"], input=script, text=True, capture_output=True, env=env)
        self.assertEqual(done.stdout.strip(), "camera", done)


class Failures(Cli):
    @test
    def what_does_not_fit_exits_with_75_and_the_numbers(self):
        self.fails(
            75,
            r"camera: .* asked, .* free",
            *("reserve", "camera", "-q", "99ms", "-p", "100ms", "-c", str(os.cpu_count() + 1)),
        )
        self.assertEqual(self.agent.reservations(), {})

    @test
    def wrong_usage_exits_with_64(self):
        for sentence, args in (
            ("a verb is missing", []),
            ("there is no verb", ["frobnicate"]),
            ("there is no option", ["ps", "--frobnicate"]),
            ("the runtime is missing", ["reserve", "camera", "-p", "10ms"]),
            ("unit", ["reserve", "camera", "-q", "4", "-p", "10ms"]),
            ("name one reservation", ["describe"]),
            ("name a reservation and at least one thread", ["attach", "camera"]),
            ("by -f", ["apply"]),
            ("name the reservations", ["release"]),
        ):
            self.fails(64, sentence, *args)

    @test
    def an_agent_that_is_not_reachable_exits_with_69(self):
        self.agent.stop()
        for args in (
            ["ps"],
            ["describe", "camera"],
            ["doctor"],
            ["history", "camera"],
            ["release", "camera"],
            ["attach", "camera", str(os.getpid())],
            ["reserve", "camera", "-q", "1ms", "-p", "10ms"],
            ["apply", "-f", str(self.file(document("a")))],
        ):
            self.fails(69, str(self.agent.socket), *args)

    @test
    def whoever_may_not_manage_exits_with_77(self):
        os.chmod(self.agent.folder, 0o755)

        def drop():
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)

        for args in (["ps"], ["reserve", "a", "-q", "1ms", "-p", "10ms"]):
            self.fails(77, "you may not use the agent", *args, preexec_fn=drop)

    @test
    def takts_own_fault_exits_with_70(self):
        folder = self.agent.cdi_dir
        folder.rename(f"{folder}.gone")
        folder.write_text("a file where the folder was")
        try:
            self.fails(70, "cdi", "reserve", "camera", "-q", "1ms", "-p", "100ms")
        finally:
            folder.unlink()
            Path(f"{folder}.gone").rename(folder)
        self.assertEqual(self.agent.reservations(), {})

    @test
    def a_full_pipe_reader_that_left_is_an_error_too(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [program("takt"), "--socket", str(self.agent.socket), "ps"],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
            )
        self.assertEqual(done.returncode, 70, done)

    @test
    def a_name_that_is_not_there_exits_with_1(self):
        self.fails(1, "no reservation has this name", "release", "camera")
        self.fails(1, "no reservation has this name", "describe", "camera")


class Run(Cli):
    """takt run: a program inside a reservation of its own."""

    ASK = ("-q", "1ms", "-p", "100ms", "--")

    def setUp(self):
        super().setUp()
        self.stage = Stage(self)

    def run_puppet(self, *options):
        """takt run with a puppet as its command."""
        process = subprocess.Popen(
            [program("takt"), "run", *options, *self.ASK, *self.stage.command()],
            env={**os.environ, "TAKT_SOCKET": str(self.agent.socket)},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        puppet = self.stage.next()
        wait_for("it is under its reservation", lambda: is_on(puppet.pid))
        return process, puppet

    def expect_nothing_promised(self):
        wait_for("nothing is promised", lambda: not self.agent.reservations())

    @test
    def the_exit_status_is_the_commands(self):
        for status in (0, 3, 200):
            done = self.takt("run", *self.ASK, "sh", "-c", f"exit {status}")
            self.assertEqual((done.returncode, done.stderr), (status, ""))
            self.assertEqual(self.agent.reservations(), {})
        done = self.takt("run", *self.ASK, "sh", "-c", "kill -USR1 $$")
        self.assertEqual(done.returncode, 128 + signal.SIGUSR1)

    @test
    def the_command_is_under_the_reservation_from_its_first_instruction_that_we_see(self):
        process, puppet = self.run_puppet("--name", "mine")
        resv = self.agent.reservations()["mine"]
        self.assertEqual([t["tid"] for t in resv["threads"]], [puppet.pid])
        puppet.quit(7)
        self.assertEqual(process.wait(60), 7)
        self.expect_nothing_promised()

    @test
    def takts_own_failures_have_numbers_of_their_own(self):
        self.fails(127, "no-such-program", "run", *self.ASK, "no-such-program")
        plain = Path(self.folder(), "plain")
        plain.write_text("text")
        self.fails(126, "plain", "run", *self.ASK, plain)
        self.fails(125, "command", "run", *self.ASK)
        self.fails(125, "runtime is missing", "run", "-p", "10ms", "true")
        self.fails(
            75, "asked", "run", "-q", "99ms", "-p", "100ms", "-c", str(os.cpu_count() + 1), "true"
        )
        self.does("reserve", "taken", "-q", "1ms", "-p", "100ms")
        self.fails(125, "of that name already", "run", "--name", "taken", *self.ASK, "true")
        self.assertEqual(set(self.agent.reservations()), {"taken"})
        self.agent.stop()
        self.fails(125, str(self.agent.socket), "run", *self.ASK, "true")

    @test
    def signals_are_handed_on(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP):
            process, puppet = self.run_puppet()
            process.send_signal(number)
            self.assertEqual(process.wait(60), 128 + number)
            self.expect_nothing_promised()

    @test
    def its_reservation_ends_with_the_command_when_takt_is_terminated(self):
        rest = KernelRest(self)
        before = rest.settled()
        process, puppet = self.run_puppet()
        rest.expect(before - q20(1 * MS, 100 * MS))
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        self.expect_nothing_promised()
        rest.expect(before)

    @test
    def after_takt_was_killed_the_command_keeps_its_reservation_until_it_ends(self):
        process, puppet = self.run_puppet("--name", "left")
        process.kill()
        process.wait()
        time.sleep(0.2)
        self.assertTrue(is_on(puppet.pid))
        self.assertIn("left", self.does("ps"))
        puppet.quit()
        wait_for("it is gone", lambda: not self.agent.reservations())
        self.expect_nothing_promised()

    @test
    def its_reservation_is_kept_while_the_agent_is_started_anew(self):
        process, puppet = self.run_puppet("--name", "mine")
        self.agent.kill9()
        self.agent.start()
        self.assertTrue(is_on(puppet.pid))
        puppet.quit(4)
        self.assertEqual(process.wait(60), 4)
        self.expect_nothing_promised()
