#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The command line as its user sees it: what it sends to an agent, prints, and exits with. The
agent is a fake of a few lines, so this needs neither root nor a kernel feature: takt.py TAKT."""

import json
import os
import pty
import shutil
import signal
import socketserver
import subprocess
import sys
import tempfile
import threading
import unittest

import tap

TAKT = sys.argv.pop(1)
VERBS = "run reserve release apply attach detach ps describe admit doctor report history completion"

DOCUMENT = """\
apiVersion: rt.takt.dev/v1alpha1
kind: Reservation
metadata: {{name: {name}}}
spec: {{runtime: {runtime}, period: {period}}}
"""


def documents(*rows):
    return "---\n".join(
        DOCUMENT.format(name=name, runtime=runtime, period=period) for name, runtime, period in rows
    )


def reservation(name="camera", **more):
    return {
        "name": name,
        "state": "active",
        "runtimeNs": 2_500_000,
        "periodNs": 10_000_000,
        "deadlineNs": 10_000_000,
        "cores": 1,
        "guarantee": "hard",
        "placement": "shared",
        "bandwidthPpm": 250_000,
        "test": "gfb",
        "reason": "it fits",
        "threads": [{"tid": 17, "name": "rt-app"}],
        "labels": {"app": "vision"},
        "document": {},
        **more,
    }


def refusal(error, **parameters):
    return {"error": f"rt.takt.{error}", "parameters": parameters}


class Handler(socketserver.StreamRequestHandler):
    """One connection: each message goes to the agent's table of answers."""

    def handle(self):
        buffered = b""
        while chunk := self.request.recv(65536):
            buffered += chunk
            *messages, buffered = buffered.split(b"\0")
            for message in messages:
                call = json.loads(message)
                answer = self.server.answer(call["method"], call["parameters"])
                self.request.sendall(json.dumps(answer).encode() + b"\0")


class Agent(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, path, answers):
        self.answers, self.calls = answers, []
        super().__init__(path, Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}).start()

    def answer(self, method, parameters):
        name = method.removeprefix("rt.takt.")
        self.calls.append((name, parameters))
        answer = self.answers.get(name, {"parameters": {}})
        return answer(parameters) if callable(answer) else answer

    def names(self):
        return [name for name, _ in self.calls]


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.env = dict(os.environ, TAKT_SOCKET=f"{self.folder}/takt.sock", LC_ALL="C", TZ="UTC")

    def agent(self, **answers):
        agent = Agent(self.env["TAKT_SOCKET"], answers)
        self.addCleanup(agent.server_close)
        self.addCleanup(agent.shutdown)
        return agent

    def takt(self, *args, text=None):
        return subprocess.run(
            [TAKT, *args], env=self.env, input=text, capture_output=True, text=True, timeout=60
        )

    def expect(self, status, *args, text=None):
        run = self.takt(*args, text=text)
        self.assertEqual(run.returncode, status, run.stderr)
        return run

    def refuse(self, status, sentence, *args, text=None):
        """One sentence on stderr, nothing on stdout."""
        run = self.expect(status, *args, text=text)
        self.assertEqual(run.stdout, "")
        self.assertEqual(run.stderr.count("\n"), 1, run.stderr)
        self.assertIn(sentence, run.stderr)
        self.assertTrue(run.stderr.startswith("takt: "), run.stderr)
        return run


class HelpTest(Case):
    def test_every_verb_has_its_help_and_the_overview_names_it(self):
        overview = self.expect(0, "--help").stdout
        for verb in VERBS.split():
            with self.subTest(verb):
                self.assertRegex(overview, rf"(?m)^  {verb} +\w")
                run = self.expect(0, verb, "--help")
                self.assertTrue(run.stdout.startswith(f"usage: takt {verb} "))
                self.assertNotRegex(run.stdout, r"(?m)^.{101,}$")

    def test_the_version_is_printed(self):
        self.assertRegex(self.expect(0, "--version").stdout, r"^takt \d+\.\d+\.\d+\n$")

    def test_wrong_usage_is_one_sentence_and_64(self):
        self.refuse(64, "a verb is missing")
        self.refuse(64, 'there is no verb "dance"', "dance")
        self.refuse(64, "there is no option --dance", "ps", "--dance")
        self.refuse(64, "there is no option -z", "ps", "-z")
        self.refuse(64, "needs an argument", "ps", "--socket")
        self.refuse(64, "name one reservation", "describe")
        self.refuse(64, "name the reservations", "release")
        self.refuse(64, "at least one thread", "attach", "camera")
        self.refuse(64, "thread id", "attach", "camera", "x1")
        self.refuse(64, "name a shell", "completion", "tcsh")

    def test_the_agent_that_is_not_there_is_69_with_the_mend(self):
        for verb in (["ps"], ["doctor"], ["reserve", "a", "-q", "1ms", "-p", "9ms"]):
            run = self.refuse(69, "systemctl start taktd", *verb)
            self.assertIn(self.env["TAKT_SOCKET"], run.stderr)

    def test_the_socket_is_named_before_or_behind_the_verb(self):
        self.agent(List={"parameters": {"reservations": []}})
        path = self.env.pop("TAKT_SOCKET")
        self.env["TAKT_SOCKET"] = "/nonexistent"
        self.expect(0, "--socket", path, "ps")
        self.expect(0, "ps", "--socket", path)

    def test_a_full_disk_behind_stdout_is_told(self):
        with open("/dev/full", "w") as full:
            run = subprocess.run([TAKT, "--help"], stdout=full, stderr=subprocess.PIPE, text=True)
        self.assertEqual(run.returncode, 70)
        self.assertIn("cannot write", run.stderr)


class AdmitTest(Case):
    def file(self, text):
        path = f"{self.folder}/set.yaml"
        with open(path, "w") as f:
            f.write(text)
        return path

    def test_a_set_that_fits_is_0_with_the_documented_shape(self):
        path = self.file(documents(("a", "2ms", "10ms"), ("b", "4ms", "20ms")))
        run = self.expect(0, "admit", "-f", path, "--cpus", "1", "--json")
        answer = json.loads(run.stdout)
        self.assertIs(answer["fits"], True)
        self.assertEqual([r["name"] for r in answer["reservations"]], ["a", "b"])
        for row in answer["reservations"]:
            self.assertEqual(set(row), {"name", "fits", "test", "boundNs", "reason"})
            self.assertIs(row["fits"], True)
        self.assertEqual([r["boundNs"] for r in answer["reservations"]], [10**7, 2 * 10**7])

    def test_a_set_that_does_not_fit_is_75_and_says_who(self):
        text = documents(("a", "5ms", "10ms"), ("b", "5ms", "10ms"), ("c", "4ms", "10ms"))
        run = self.expect(75, "admit", "-f", "-", "--cpus", "1", "--json", text=text)
        answer = json.loads(run.stdout)
        self.assertIs(answer["fits"], False)
        self.assertEqual([r["fits"] for r in answer["reservations"]], [True, False, True])
        self.assertIsNone(answer["reservations"][1]["boundNs"])
        self.assertIn("would fit", answer["reservations"][1]["reason"])

    def test_the_table_has_a_line_for_each(self):
        text = documents(("a", "5ms", "10ms"), ("b", "5ms", "10ms"))
        run = self.expect(75, "admit", "-f", "-", "--cpus", "1", text=text)
        self.assertRegex(run.stdout, r"^NAME +FITS +TEST +BOUND +WHY\na +yes .*\nb +no .*\n$")

    def test_ceiling_and_granularity_decide(self):
        text = documents(("a", "9ms", "10ms"))
        self.expect(0, "admit", "-f", "-", "--cpus", "1", text=text)
        self.expect(75, "admit", "-f", "-", "--cpus", "1", "--ceiling", "800000", text=text)
        two = documents(("a", "2ms", "10ms"), ("b", "2ms", "10ms"))
        self.expect(0, "admit", "-f", "-", "--cpus", "1", text=two)
        self.expect(
            75, "admit", "-f", "-", "--cpus", "1", "--granularity", "8ms", text=two
        )

    def test_the_machine_is_the_agents_unless_an_option_says_otherwise(self):
        node = {"cpus": 1, "ceilingPpmPerCpu": 500_000, "granularityNs": 0}
        agent = self.agent(Node={"parameters": node})
        text = documents(("a", "6ms", "10ms"))
        self.expect(75, "admit", "-f", "-", "--machine", text=text)
        self.expect(0, "admit", "-f", "-", "--machine", "--ceiling", "700000", text=text)
        self.assertEqual(agent.names(), ["Node", "Node"])

    def test_every_mistake_is_a_sentence_with_file_and_line(self):
        path = self.file(documents(("a", "9", "10ms"), ("b!", "1ms", "10ms")))
        run = self.expect(64, "admit", "-f", path)
        self.assertEqual(run.stdout, "")
        lines = run.stderr.splitlines()
        self.assertEqual(len(lines), 2)
        self.assertTrue(lines[0].startswith(f"takt: {path}:4: spec.runtime: "), lines[0])
        self.assertTrue(lines[1].startswith(f"takt: {path}:8: metadata.name: "), lines[1])

    def test_a_file_that_is_not_there_or_empty_is_64(self):
        self.refuse(64, "No such file", "admit", "-f", "/nonexistent.yaml")
        self.refuse(64, "no reservation", "admit", "-f", "-", text="")
        self.refuse(64, "by -f", "admit")
        self.refuse(64, "--cpus", "admit", "-f", "-", "--cpus", "0")


class ReserveTest(Case):
    def test_the_cdi_name_stands_alone_on_stdout(self):
        agent = self.agent(
            Reserve={
                "parameters": {
                    "reservation": reservation(),
                    "device": "rt.takt.dev/reservation=camera",
                }
            }
        )
        run = self.expect(
            0, "reserve", "camera", "-q", "2.5ms", "-p", "10ms", "-d", "8ms", "-c", "2",
            "-g", "soft", "-t", "match=worker-*,io", "--placement", "shared", "--reclaim",
            "-l", "b=2", "-l", "a=1",
        )  # fmt: skip
        self.assertEqual(run.stdout, "rt.takt.dev/reservation=camera\n")
        self.assertEqual(agent.names(), ["Reserve"])
        document = agent.calls[0][1]["document"]
        self.assertEqual(document["metadata"]["name"], "camera")
        self.assertEqual(document["metadata"]["labels"], {"a": "1", "b": "2"})
        spec = document["spec"]
        self.assertEqual((spec["runtime"], spec["period"]), ("2.5ms", "10ms"))
        self.assertEqual((spec["deadline"], spec["cores"]), ("8ms", 2))
        self.assertEqual((spec["guarantee"], spec["placement"]), ("soft", "shared"))
        self.assertEqual(spec["threads"], {"match": ["worker-*", "io"]})
        self.assertIs(spec["reclaim"], True)

    def test_json_is_the_whole_reply_with_null_for_what_there_is_none_of(self):
        reply = {"reservation": reservation(), "device": "rt.takt.dev/reservation=camera"}
        self.agent(Reserve={"parameters": reply})
        run = self.expect(0, "reserve", "camera", "-q", "1ms", "-p", "9ms", "--json")
        none = dict.fromkeys(("boundNs", "container", "cgroup", "via", "trouble"))
        reply["reservation"] = none | reply["reservation"]
        self.assertEqual(json.loads(run.stdout), reply)

    def test_what_is_wrong_is_told_before_anything_is_sent(self):
        agent = self.agent()
        for sentence, args in {
            "runtime is missing": ["-p", "9ms"],
            "period is missing": ["-q", "1ms"],
            "no unit": ["-q", "1", "-p", "9ms"],
            "neither hard nor soft": ["-q", "1ms", "-p", "9ms", "-g", "firm"],
            "is not one of main": ["-q", "1ms", "-p", "9ms", "-t", "some"],
            "a pattern has": ["-q", "1ms", "-p", "9ms", "-t", "match="],
            "is not KEY=VALUE": ["-q", "1ms", "-p", "9ms", "-l", "x"],
            "given twice": ["-q", "1ms", "-p", "9ms", "-l", "x=1", "-l", "x=2"],
            "--cores": ["-q", "1ms", "-p", "9ms", "-c", "0"],
            "spec.deadline": ["-q", "1ms", "-p", "9ms", "-d", "10ms"],
        }.items():
            with self.subTest(sentence):
                self.refuse(64, sentence, "reserve", "camera", *args)
        self.refuse(64, "name", "reserve", "cam/era", "-q", "1ms", "-p", "9ms")
        self.assertEqual(agent.calls, [])

    def test_each_refusal_has_its_exit_status_and_the_agents_sentence(self):
        sentence = "9 ms every 10 ms asked, 0.85 CPU of 1.90 free; 8.5 ms would fit"
        for status, error in {
            75: "DoesNotFit",
            77: "NotPermitted",
            70: "Failed",
            64: "BadArgument",
            1: "Exists",
        }.items():
            with self.subTest(error):
                agent = Agent(
                    f"{self.folder}/{error}.sock", {"Reserve": refusal(error, reason=sentence)}
                )
                run = self.takt(
                    "reserve", "camera", "-q", "9ms", "-p", "10ms", "--socket",
                    agent.server_address,
                )  # fmt: skip
                agent.shutdown()
                agent.server_close()
                self.assertEqual(run.returncode, status)
                self.assertEqual(run.stderr, f"takt: camera: {sentence}\n")

    def test_release_goes_on_after_a_failure(self):
        agent = self.agent(
            Release=lambda p: refusal("NoSuchReservation", name="a", reason="there is none")
            if p["name"] == "a"
            else {"parameters": {}}
        )
        run = self.expect(1, "release", "a", "b")
        self.assertEqual(run.stderr, "takt: a: there is none\n")
        self.assertEqual([p["name"] for _, p in agent.calls], ["a", "b"])

    def test_attach_and_detach_send_all_threads_at_once(self):
        agent = self.agent()
        self.expect(0, "attach", "camera", "17", "18")
        self.expect(0, "detach", "camera", "18")
        self.assertEqual(
            agent.calls,
            [
                ("Attach", {"name": "camera", "tids": [17, 18]}),
                ("Detach", {"name": "camera", "tids": [18]}),
            ],
        )


class ApplyTest(Case):
    def test_each_document_is_reserved_unchanged_or_refused(self):
        def reserve(parameters):
            if parameters["document"]["metadata"]["name"] == "other":
                return refusal("Exists", name="other", reason="the name is taken")
            return {"parameters": {"reservation": {}, "device": "x"}}

        self.agent(
            Reserve=reserve,
            List={"parameters": {"reservations": [reservation("old"), reservation("other")]}},
        )
        text = documents(("new", "1ms", "9ms"), ("other", "1ms", "9ms"), ("old", "1ms", "9ms"))
        run = self.expect(1, "apply", "-f", "-", text=text)
        self.assertEqual(run.stdout, "new: reserved\nold: unchanged\n")
        self.assertEqual(run.stderr, "takt: other: the name is taken\n")
        run = self.expect(1, "apply", "-f", "-", "--json", text=text)
        rows = json.loads(run.stdout)["reservations"]
        self.assertEqual([r["result"] for r in rows], ["reserved", "refused", "unchanged"])
        self.assertEqual([r["reason"] for r in rows], [None, "the name is taken", None])

    def test_nothing_is_sent_where_one_document_is_wrong(self):
        agent = self.agent()
        text = documents(("a", "1ms", "9ms"), ("b", "1", "9ms"))
        self.refuse(64, "standard input:9: spec.runtime", "apply", "-f", "-", text=text)
        self.assertEqual(agent.calls, [])


class ShowTest(Case):
    def test_ps_prints_an_aligned_table(self):
        self.agent(
            List={
                "parameters": {
                    "reservations": [
                        reservation(boundNs=8_000_000, container="0123456789abcdef"),
                        reservation("x", trouble="broken", bandwidthPpm=333_334),
                    ]
                }
            }
        )
        lines = self.expect(0, "ps").stdout.splitlines()
        self.assertEqual(len(lines), 3)
        self.assertEqual(lines[1].split(), [
            "camera", "active", "2.5ms", "10ms", "1", "0.25", "hard", "shared", "8ms", "1",
            "0123456789ab",
        ])  # fmt: skip
        self.assertIn("trouble", lines[2])
        self.assertIn("0.333", lines[2])
        for head in ("STATE", "PERIOD", "BOUND"):
            column = lines[0].index(head)
            self.assertEqual([line[column - 1] for line in lines], [" "] * 3)

    def test_ps_json_has_every_documented_field(self):
        self.agent(List={"parameters": {"reservations": [reservation()]}})
        row = json.loads(self.expect(0, "ps", "--json").stdout)["reservations"][0]
        for key in (
            "name state runtimeNs periodNs deadlineNs cores guarantee placement boundNs"
            " bandwidthPpm container cgroup threads"
        ).split():
            self.assertIn(key, row)
        self.assertIsNone(row["boundNs"])
        self.assertIsNone(row["container"])
        self.assertEqual(row["threads"], [{"tid": 17, "name": "rt-app"}])

    def test_describe_tells_of_one_and_json_is_a_list_of_one(self):
        agent = self.agent(
            List={"parameters": {"reservations": [reservation(cgroup="/machine/x")]}}
        )
        text = self.expect(0, "describe", "camera").stdout
        for words in (
            "camera", "2.5ms every 10ms", "it fits", "17 rt-app", "app=vision", "/machine/x",
        ):  # fmt: skip
            self.assertIn(words, text)
        answer = json.loads(self.expect(0, "describe", "camera", "--json").stdout)
        self.assertEqual([r["name"] for r in answer["reservations"]], ["camera"])
        self.assertEqual(agent.calls[0], ("List", {"name": "camera"}))

    def test_containers_that_share_a_reservation_are_all_told(self):
        first, second = "0123456789abcdef", "fedcba9876543210"
        shared = reservation(container=first, containers=[first, second, "c\x1b[2J"])
        self.agent(List={"parameters": {"reservations": [shared]}})
        self.assertIn("0123456789ab +2", self.expect(0, "ps").stdout)
        text = self.expect(0, "describe", "camera").stdout
        self.assertIn(first, text)
        self.assertIn(second, text)
        self.assertNotIn("\x1b", text)

    def test_describe_of_nothing_is_1(self):
        self.agent(List={"parameters": {"reservations": []}})
        self.refuse(1, "takt: ghost: there is no such reservation", "describe", "ghost")

    def test_what_a_terminal_would_obey_is_made_harmless(self):
        self.agent(
            List={"parameters": {"reservations": [reservation(
                state="\x1b[2J", threads=[{"tid": 1, "name": "\x1b]0;x\x07"}])]}}
        )  # fmt: skip
        for verb in (["ps"], ["describe", "camera"]):
            self.assertNotIn("\x1b", self.expect(0, *verb).stdout)

    def test_an_answer_of_another_shape_is_survived(self):
        for reply in ({}, {"reservations": 7}, {"reservations": [7, {}]}):
            with self.subTest(reply):
                agent = Agent(f"{self.folder}/x.sock", {"List": {"parameters": reply}})
                run = self.takt("ps", "--socket", agent.server_address)
                agent.shutdown()
                agent.server_close()
                os.unlink(agent.server_address)
                self.assertEqual(run.returncode, 0, run.stderr)

    def test_history_has_a_line_for_each_change(self):
        change = {"atMs": 1_700_000_000_123, "name": "camera", "what": "bound", "why": "podman"}
        self.agent(History={"parameters": {"changes": [change]}})
        lines = self.expect(0, "history", "camera").stdout.splitlines()
        self.assertEqual(lines[1].split(maxsplit=3), [
            "2023-11-14", "22:13:20.123", "bound", "podman",
        ])  # fmt: skip
        answer = json.loads(self.expect(0, "history", "camera", "--json").stdout)
        self.assertEqual(answer, {"changes": [change]})

    def test_history_of_nothing_is_1(self):
        self.agent(History={"parameters": {"changes": []}})
        self.refuse(1, "takt: ghost: nothing is known", "history", "ghost")


NODE = {
    "cpus": 2,
    "ceilingPpmPerCpu": 950_000,
    "granularityNs": 4_000_000,
    "promisedPpm": 250_000,
    "foreignPpm": 50_000,
    "placements": ["shared"],
    "checks": [
        {"name": "kernel", "status": "ok", "detail": "6.12"},
        {"name": "granularity", "status": "limited", "detail": "4 ms", "mend": "do this"},
        {"name": "pinned", "status": "no", "detail": "not offered"},
    ],
}


class DoctorTest(Case):
    def test_each_check_is_a_line_with_its_mend_below(self):
        self.agent(Node={"parameters": NODE})
        lines = self.expect(0, "doctor").stdout.splitlines()
        self.assertEqual(lines[0].split(), ["ok", "kernel", "6.12"])
        self.assertEqual(lines[1].split(), ["limited", "granularity", "4", "ms"])
        self.assertEqual(lines[2].split(), ["mend:", "do", "this"])
        self.assertEqual(lines[3].split()[0], "no")
        self.assertIn("0.95 of each", lines[-2])
        self.assertIn("promised 0.25 CPU, held by others 0.05 CPU, free 1.6 CPU", lines[-1])

    def test_json_has_the_documented_fields(self):
        self.agent(Node={"parameters": NODE})
        answer = json.loads(self.expect(0, "doctor", "--json").stdout)
        self.assertEqual(answer, {**NODE, "freePpm": 1_600_000})

    def colours(self, **env):
        """What doctor prints on a terminal."""
        main, other = pty.openpty()
        environment = {**self.env, "TERM": "xterm", **env}
        environment = {k: v for k, v in environment.items() if v is not None}
        run = subprocess.run([TAKT, "doctor"], stdout=other, env=environment, timeout=60)
        os.close(other)
        self.assertEqual(run.returncode, 0)
        printed = os.read(main, 65536).decode()
        os.close(main)
        return "\x1b[" in printed

    def test_colour_is_for_terminals_that_want_it(self):
        self.agent(Node={"parameters": NODE})
        self.assertTrue(self.colours(NO_COLOR=None))
        self.assertFalse(self.colours(NO_COLOR="1"))
        self.assertFalse(self.colours(NO_COLOR=None, TERM="dumb"))
        self.assertNotIn("\x1b", self.expect(0, "doctor").stdout)


class RunTest(Case):
    ARGS = ("run", "-q", "2ms", "-p", "10ms")
    LIFE = ["List", "Reserve", "Bind", "Release"]

    def agent(self, **answers):
        none = refusal("NoSuchReservation", name="x", reason="there is none")
        return super().agent(**{"List": none, **answers})

    def test_the_exit_status_is_the_commands_and_the_reservation_ends(self):
        agent = self.agent()
        self.expect(7, *self.ARGS, "--", "sh", "-c", "exit 7")
        self.assertEqual(agent.names(), self.LIFE)
        name = agent.calls[0][1]["name"]
        self.assertRegex(name, r"^run-\d+$")
        self.assertEqual(agent.calls[1][1]["document"]["metadata"]["name"], name)
        self.assertEqual(agent.calls[3][1], {"name": name})

    def test_options_behind_the_command_are_the_commands(self):
        self.agent()
        run = self.expect(0, *self.ARGS, "echo", "-q", "--help")
        self.assertEqual(run.stdout, "-q --help\n")

    def test_the_process_is_bound_before_it_becomes_the_command(self):
        seen = {}

        def bind(parameters):
            with open(f"/proc/{parameters['pid']}/comm") as comm:
                seen["name"] = comm.read().strip()
            seen["pid"] = parameters["pid"]
            return {"parameters": {}}

        self.agent(Bind=bind)
        run = self.expect(0, *self.ARGS, "sh", "-c", "echo $$")
        self.assertEqual(seen["name"], os.path.basename(TAKT))
        self.assertEqual(int(run.stdout), seen["pid"])

    def test_a_signal_that_ends_the_command_is_128_and_more(self):
        agent = self.agent()
        self.expect(128 + signal.SIGKILL, *self.ARGS, "sh", "-c", "kill -9 $$")
        self.assertEqual(agent.names(), self.LIFE)

    def test_what_does_not_fit_is_75_and_nothing_runs(self):
        agent = self.agent(Reserve=refusal("DoesNotFit", reason="no room"))
        self.refuse(75, "no room", *self.ARGS, "sh", "-c", "echo ran")
        self.assertEqual(agent.names(), ["List", "Reserve"])

    def test_own_failures_are_125(self):
        self.refuse(125, "no agent answers", *self.ARGS, "true")
        self.refuse(125, "name the command", *self.ARGS)
        self.refuse(125, "there is no option", "run", "--dance", "true")
        agent = self.agent(Bind=refusal("NotApplicable", reason="not here"))
        self.refuse(125, "not here", *self.ARGS, "sh", "-c", "echo ran")
        self.assertEqual(agent.names(), self.LIFE)

    def test_a_command_that_cannot_run_is_126_or_127(self):
        agent = self.agent()
        self.refuse(127, "No such file", *self.ARGS, "/nonexistent/command")
        self.refuse(126, "Permission denied", *self.ARGS, "/etc")
        self.assertEqual(agent.names(), self.LIFE * 2)

    def test_a_name_that_is_there_is_somebody_elses(self):
        agent = self.agent(List={"parameters": {"reservations": [reservation()]}})
        self.refuse(125, "already", *self.ARGS, "--name", "camera", "true")
        self.assertEqual(agent.names(), ["List"])

    def signalled(self, number, script):
        agent = self.agent()
        run = subprocess.Popen(
            [TAKT, *self.ARGS, "sh", "-c", script],
            env=self.env, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        self.addCleanup(run.kill)
        self.assertEqual(run.stdout.readline(), "ready\n")
        run.send_signal(number)
        out, _ = run.communicate(timeout=60)
        self.assertEqual(agent.names(), self.LIFE)
        return run.returncode, out

    def test_a_signal_goes_on_to_the_command(self):
        script = "trap 'echo got; exit 3' {}; echo ready; while :; do sleep 0.05; done"
        for name in ("TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "WINCH"):
            with self.subTest(name):
                number = getattr(signal, f"SIG{name}")
                self.assertEqual(self.signalled(number, script.format(name)), (3, "got\n"))
                self.doCleanups()
                self.setUp()

    def test_an_interrupted_run_ends_its_reservation_too(self):
        status, _ = self.signalled(signal.SIGINT, "echo ready; exec sleep 60")
        self.assertEqual(status, 128 + signal.SIGINT)

    def test_the_command_has_the_signal_mask_that_we_had(self):
        self.agent()
        script = "grep SigBlk /proc/self/status"
        ours = subprocess.run(["sh", "-c", script], capture_output=True, text=True).stdout
        self.assertEqual(self.expect(0, *self.ARGS, "sh", "-c", script).stdout, ours)

    def test_when_the_command_stops_we_stop_and_go_on_with_it(self):
        self.agent()
        run = subprocess.Popen(
            [TAKT, *self.ARGS, "sh", "-c", "kill -STOP $$; echo on"],
            env=self.env, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        _, status = os.waitpid(run.pid, os.WUNTRACED)
        self.assertTrue(os.WIFSTOPPED(status))
        run.send_signal(signal.SIGCONT)
        out, _ = run.communicate(timeout=60)
        self.assertEqual((run.returncode, out), (0, "on\n"))


    def test_an_interrupt_from_the_terminal_reaches_the_command_once(self):
        agent = self.agent()
        wait = "until [ $n ]; do sleep 0.1; done; sleep 0.3"
        script = f"trap 'echo got; n=1' INT; echo ready; {wait}; echo end"
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(TAKT, [TAKT, *self.ARGS, "sh", "-c", script], self.env)
        printed = b""
        while b"end" not in printed:
            chunk = os.read(terminal, 4096)
            if b"ready" in chunk:
                os.write(terminal, b"\x03")
            printed += chunk
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
        self.assertEqual(os.waitstatus_to_exitcode(status), 0)
        self.assertEqual(printed.count(b"got"), 1)
        self.assertEqual(agent.names(), self.LIFE)


class CompletionTest(Case):
    def script(self, shell):
        path = f"{self.folder}/completion.{shell}"
        with open(path, "w") as f:
            f.write(self.expect(0, "completion", shell).stdout)
        return path

    def complete(self, *words):
        """What bash offers for the last word."""
        bash = (
            'source "$1"; shift; PATH=$TAKT_FOLDER:$PATH; COMP_WORDS=("$@");'
            " COMP_CWORD=$(($# - 1)); _takt; printf '%s\\n' \"${COMPREPLY[@]}\""
        )
        self.env["TAKT_FOLDER"] = os.path.dirname(os.path.abspath(TAKT))
        run = subprocess.run(
            ["bash", "-c", bash, "bash", self.script("bash"), "takt", *words],
            env=self.env, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        return run.stdout.split()

    def test_bash_takes_its_script(self):
        subprocess.run(["bash", "-n", self.script("bash")], check=True)

    def test_bash_offers_verbs_options_words_and_names(self):
        names = [
            reservation("camera", threads=[{"tid": 1, "name": "thread"}]),
            reservation("lidar"),
        ]
        self.agent(List={"parameters": {"reservations": names}})
        self.assertEqual(self.complete("de"), ["detach", "describe"])
        self.assertEqual(self.complete("reserve", "x", "--run"), ["--runtime"])
        self.assertEqual(self.complete("reserve", "x", "-g", ""), ["hard", "soft"])
        self.assertEqual(self.complete("release", ""), ["camera", "lidar"])
        self.assertEqual(self.complete("--socket", "/x", "completion", "z"), ["zsh"])

    def test_every_verb_and_option_is_in_every_script(self):
        for shell in ("bash", "zsh", "fish"):
            with open(self.script(shell)) as f:
                text = f.read()
            for word in (*VERBS.split(), "placement", "granularity", "machine"):
                with self.subTest(shell=shell, word=word):
                    self.assertIn(word, text)

    @unittest.skipUnless(shutil.which("zsh"), "zsh is not installed")
    def test_zsh_takes_its_script(self):
        subprocess.run(["zsh", "-n", self.script("zsh")], check=True)

    @unittest.skipUnless(shutil.which("fish"), "fish is not installed")
    def test_fish_takes_its_script(self):
        subprocess.run(["fish", "--no-execute", self.script("fish")], check=True)


if __name__ == "__main__":
    tap.main()
