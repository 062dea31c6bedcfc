# SPDX-License-Identifier: Apache-2.0
"""What tests/run counts: nothing that went wrong in a test program may pass as passed."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import tap

RUN = Path(__file__).resolve().parents[2] / "run"

CMOCKA = """1..3
ok 1 - a good one
# skip: needs two CPUs
not ok 2 # SKIP a skipped one
before
not ok 3 - a bad one
# 0x1 != 0x2
# t.c:3: error: Failure!
# not ok - takt
"""


def verdicts(report):
    return [(c.name, c.verdict) for c in report.checks]


class Parsing(unittest.TestCase):
    def test_cmocka_is_understood(self):
        report = tap.parse(CMOCKA, 1)
        self.assertEqual(
            verdicts(report),
            [("a good one", "passed"), ("a skipped one", "skipped"), ("a bad one", "failed")],
        )
        self.assertEqual(report.checks[1].text, "needs two CPUs")
        self.assertIn("0x1 != 0x2", report.checks[2].text)
        self.assertIn("before", report.checks[2].text)
        self.assertEqual(report.faults, [])

    def test_a_skip_with_its_reason_behind_it_is_understood(self):
        report = tap.parse("1..1\nok 1 - a sentence # SKIP needs root\n", 0)
        self.assertEqual(verdicts(report), [("a sentence", "skipped")])
        self.assertEqual(report.checks[0].text, "needs root")

    def test_a_program_may_skip_as_a_whole(self):
        report = tap.parse("1..0 # SKIP no kernel for it\n", 0)
        self.assertEqual(report.checks[0].text, "no kernel for it")
        self.assertEqual((report.count("skipped"), report.faults), (1, []))

    def test_a_name_with_a_number_and_a_hash_stays_whole(self):
        report = tap.parse("1..1\nok 1 - 2 of #3 are skipped over\n", 0)
        self.assertEqual(verdicts(report), [("2 of #3 are skipped over", "passed")])

    def test_missing_results_are_a_fault(self):
        self.assertEqual(len(tap.parse("1..2\nok 1 - a\n", 0).faults), 1)

    def test_more_results_than_announced_are_a_fault(self):
        self.assertEqual(len(tap.parse("1..1\nok 1 - a\nok 2 - b\n", 0).faults), 1)

    def test_a_missing_plan_is_a_fault(self):
        self.assertEqual(tap.parse("", 0).faults, ["printed no plan (1..N)"])

    def test_a_crash_is_a_fault(self):
        self.assertIn("ended by signal 11", tap.parse("1..1\nok 1 - a\n", -11).faults)

    def test_a_bad_status_without_a_failed_check_is_a_fault(self):
        faults = tap.parse("1..1\nok 1 - a\n", 23).faults
        self.assertEqual(faults, ["ended with status 23, though no check failed"])

    def test_bailing_out_is_a_fault(self):
        faults = tap.parse("1..1\nok 1 - a\nBail out! no disk\n", 0).faults
        self.assertEqual(faults, ["Bail out! no disk"])


class Running(unittest.TestCase):
    """The runner on a build folder of two stand-ins, meson and ninja."""

    def setUp(self):
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.folder = Path(made.name)
        (self.folder / "build.ninja").touch()
        self.script("ninja", "exit 0")
        self.tests = []

    def script(self, name, text):
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return str(path)

    def add(self, name, text, timeout=30, **more):
        test = {"name": name, "cmd": [self.script(name, text)], "env": {}, "workdir": None}
        test |= {"timeout": timeout, "protocol": "tap", "suite": ["takt:unit"], "is_parallel": True}
        self.tests.append(test | more)

    def run_it(self, *options, **more):
        (self.folder / "tests.json").write_text(json.dumps(self.tests))
        self.script("meson", f"cat {self.folder}/tests.json")
        env = {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}", **more}
        command = [sys.executable, RUN, "--build", self.folder, *options]
        return subprocess.run(command, env=env, capture_output=True, text=True)

    def summary(self, *options, **more):
        run = self.run_it(*options, **more)
        return run.returncode, run.stdout.splitlines()[-1]

    def test_the_last_line_sums_up_and_the_status_tells(self):
        self.add("good", "printf '1..2\\nok 1 - a\\nok 2 - b # SKIP why\\n'")
        self.assertEqual(self.summary(), (0, "1 passed, 0 failed, 1 skipped"))
        self.add("bad", "printf '1..1\\nnot ok 1 - c\\n'; exit 1")
        self.assertEqual(self.summary(), (1, "1 passed, 1 failed, 1 skipped"))

    def test_failures_show_their_output_and_skips_their_reason(self):
        self.add("bad", "printf '1..2\\nnot ok 1 - c\\n# it broke\\nok 2 - d # SKIP why\\n'; exit 1")
        out = self.run_it().stdout
        self.assertIn("failed: c\n      it broke\n", out)
        self.assertIn("skipped: d: why\n", out)

    def test_what_a_program_notes_is_shown_though_all_is_well(self):
        self.add("good", "printf '1..1\\n# note: a  b\\n# note:   1  2\\n# other\\nok 1 - a\\n'")
        out = self.run_it().stdout
        self.assertRegex(out, r"ok +good .*\n      a  b\n        1  2\n")
        self.assertNotIn("other", out)

    def test_a_note_is_no_part_of_what_failed(self):
        self.add("bad", "printf '1..1\\nnot ok 1 - c\\n# it broke\\n# note: by the way\\n'; exit 1")
        out = self.run_it().stdout
        self.assertIn("failed: c\n      it broke\n", out)
        self.assertEqual(out.count("by the way"), 1)

    def test_what_failed_is_said_again_in_short_at_the_end(self):
        long = "".join(f"# line {i}\\n" for i in range(100))
        self.add("bad", f"printf '1..2\\nnot ok 1 - c\\n{long}ok 2 - d\\n'; exit 1")
        self.add("short", "printf '1..2\\nok 1 - e\\n'")
        out = self.run_it().stdout
        again = out[out.index("\nfailed: ") :]
        self.assertIn("\nfailed: bad: c\n      line 0\n", again)
        self.assertIn("\nfailed: short: the program announced 2 checks", again)
        self.assertNotIn("line 99", again)

    def test_a_skip_is_a_failure_where_nothing_may_skip(self):
        self.add("good", "printf '1..1\\nok 1 - b # SKIP why\\n'")
        self.assertEqual(self.summary("--no-skip"), (1, "0 passed, 1 failed, 0 skipped"))

    def test_a_long_form_has_more_time(self):
        self.add("slow", "sleep 2; printf '1..1\\nok 1 - a\\n'", timeout=1)
        self.assertEqual(self.summary(TAKT_LONG="0"), (1, "0 passed, 2 failed, 0 skipped"))
        self.assertEqual(self.summary(TAKT_LONG="1"), (0, "1 passed, 0 failed, 0 skipped"))

    def test_a_program_that_hangs_is_ended_and_fails(self):
        self.add("slow", "echo 1..1; sleep 60 & sleep 60", timeout=1)
        code, line = self.summary()
        self.assertEqual(code, 1)
        self.assertNotIn(", 0 failed", line)

    def test_signals_that_we_are_told_to_ignore_are_not_ignored_by_the_programs(self):
        self.add("plain", "! grep 'SigIgn:.*[1-79a-f]$' /proc/self/status", protocol="exitcode")
        ignored = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
        before = [signal.signal(number, signal.SIG_IGN) for number in ignored]
        self.addCleanup(lambda: [signal.signal(n, b) for n, b in zip(ignored, before)])
        self.assertEqual(self.summary(), (0, "1 passed, 0 failed, 0 skipped"))

    def test_a_program_that_cannot_start_fails(self):
        self.add("gone", "")
        os.unlink(self.folder / "gone")
        self.assertEqual(self.summary(), (1, "0 passed, 1 failed, 0 skipped"))

    def test_a_tree_that_does_not_build_fails(self):
        self.script("ninja", "exit 1")
        self.assertEqual(self.summary(), (1, "0 passed, 1 failed, 0 skipped"))

    def test_a_name_or_suite_that_nobody_has_fails(self):
        self.add("good", "printf '1..1\\nok 1 - a\\n'")
        self.assertEqual(self.summary("other"), (1, "0 passed, 1 failed, 0 skipped"))
        self.assertEqual(self.summary("--suite", "unit"), (0, "1 passed, 0 failed, 0 skipped"))
        self.assertEqual(self.summary("--suite", "sim")[0], 1)

    def test_what_needs_a_cluster_runs_only_when_asked_for(self):
        self.add("plain", "exit 0", protocol="exitcode")
        self.add("node", "exit 0", protocol="exitcode", suite=["takt:e2e"])
        self.assertEqual(self.summary(), (0, "1 passed, 0 failed, 0 skipped"))
        self.assertEqual(self.summary("--suite", "e2e"), (0, "1 passed, 0 failed, 0 skipped"))

    def test_a_plain_program_counts_as_one_check(self):
        self.add("plain", "exit 0", protocol="exitcode")
        self.add("skipped", "echo no kernel; exit 77", protocol="exitcode")
        self.assertEqual(self.summary(), (0, "1 passed, 0 failed, 1 skipped"))


if __name__ == "__main__":
    tap.main()
