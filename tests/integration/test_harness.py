# SPDX-License-Identifier: Apache-2.0
"""The harness itself: it must see what a test leaves behind, and what it stands on must work."""

import io
import os
import time
import unittest
from contextlib import redirect_stdout
from pathlib import Path

import tap
from harness import (
    MS,
    SCHED_DEADLINE,
    Case,
    Child,
    Container,
    deadline,
    first_line,
    podman,
    root,
    sched_setattr,
    test,
    wait_for,
)


def outcome_of(body, cleanup=None):
    """Runs body(case) as a test of its own; returns (unittest result, what it printed)."""

    class Inner(Case):
        left_seconds = 2

        @test
        def the_inner_test(self):
            if cleanup:
                # Runs after the machine was looked at, so that the leak is seen.
                self._cleanups.insert(0, (cleanup, (), {}))
            body(self)

    printed = io.StringIO()
    with redirect_stdout(printed):
        result = tap.Result(1)
        unittest.TestSuite([Inner("the_inner_test")]).run(result)
    return result, printed.getvalue()


class Leaks(Case):
    needs = (root,)

    @test
    def a_test_that_leaves_nothing_passes(self):
        result, printed = outcome_of(lambda case: None)
        self.assertTrue(result.wasSuccessful(), printed)

    @test(needs=[deadline])
    def a_deadline_thread_that_is_left_fails_the_test(self):
        child = Child(self, lambda say: (say(True), time.sleep(600)))
        child.hear()
        tid = child.pid
        result, printed = outcome_of(
            lambda case: sched_setattr(tid, SCHED_DEADLINE, 1 * MS, 100 * MS), child.end
        )
        self.assertFalse(result.wasSuccessful())
        self.assertIn(f"({tid} of {tid}", printed)
        self.assertIn("the test left on the machine", printed)

    @test
    def a_cgroup_that_is_left_fails_the_test(self):
        base = next(d for d, _, files in os.walk("/sys/fs/cgroup") if "cgroup.procs" in files)
        left = Path(base) / f"takt-test-{os.getpid()}"
        result, printed = outcome_of(lambda case: left.mkdir(), left.rmdir)
        self.assertFalse(result.wasSuccessful())
        self.assertIn(left.name, printed)

    @test
    def a_missing_feature_skips_with_its_reason(self):
        class Inner(Case):
            needs = (lambda: "no such thing here",)

            @test
            def the_inner_test(self):
                raise AssertionError("ran")

        printed = io.StringIO()
        with redirect_stdout(printed):
            result = tap.Result(1)
            unittest.TestSuite([Inner("the_inner_test")]).run(result)
        self.assertEqual(len(result.skipped), 1)
        self.assertIn("ok 1 - the inner test # SKIP no such thing here", printed.getvalue())


class Machinery(Case):
    needs = (root,)

    @test(needs=[podman])
    def a_container_runs_a_program_of_the_host(self):
        status, out, err = Container(self, ["echo", "here"]).wait()
        self.assertEqual((status, out.strip()), (0, "here"), err)

    @test(needs=[podman])
    def a_container_is_ended_and_its_pid_is_known(self):
        container = Container(self, ["sleep", "600"])
        pid = container.pid()
        wait_for("it is sleep", lambda: first_line(f"/proc/{pid}/comm") == "sleep")
        container.end()
        self.assertFalse(Path(f"/proc/{pid}").exists())
