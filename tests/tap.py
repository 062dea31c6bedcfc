# SPDX-License-Identifier: Apache-2.0
"""TAP, the lines that a test program prints: `Result` writes them for our Python tests, `parse`
reads them for tests/run, also in the dialects of cmocka 1.1.5 and later."""

import re
import sys
import unittest
from dataclasses import dataclass, field

_PLAN = re.compile(r"^1\.\.(\d+)(?:\s*#\s*skip\S*\s*(.*))?\s*$", re.IGNORECASE)
_RESULT = re.compile(
    r"^(?P<no>not )?ok\b *(?P<number>\d+)?(?: *- *| +)?(?P<name>.*?)"
    r"(?: *# *(?P<skip>skip)\S* *(?P<rest>.*))?$",
    re.IGNORECASE,
)
_REASON = re.compile(r"^# skip: *(.*)$")
_NOTE = re.compile(r"^# note: ?(.*)$")


@dataclass
class Check:
    """One tested sentence: `verdict` is passed, failed or skipped; `text` is what was printed
    about it, for a skipped one the reason."""

    name: str
    verdict: str
    text: str = ""


@dataclass
class Report:
    """What one program said. `faults` is what is wrong with the program as a whole; `notes` are
    its lines `# note: ...`, for people to see also when all is well."""

    checks: list = field(default_factory=list)
    faults: list = field(default_factory=list)
    notes: list = field(default_factory=list)

    def count(self, verdict):
        return sum(c.verdict == verdict for c in self.checks)


def _skipped(match, reason):
    """cmocka 1.1.5 prints `not ok 4 # SKIP name`, everybody else `ok 4 - name # SKIP reason`."""
    rest = match["rest"].strip()
    if match["name"].strip():
        return Check(match["name"].strip(), "skipped", rest or reason)
    return Check(rest, "skipped", reason)


def _collect(lines, report):
    """Fills report.checks; returns the number of checks that was announced, or None."""
    plan, before, failed, reason = None, [], None, ""
    for line in lines:
        planned, result = _PLAN.match(line), _RESULT.match(line)
        if planned:
            plan = int(planned[1])
            if plan == 0:
                report.checks.append(Check("the whole program", "skipped", planned[2] or ""))
        elif line.startswith("Bail out!"):
            report.faults.append(line)
        elif result and result["skip"]:
            report.checks.append(_skipped(result, reason))
            before, failed, reason = [], None, ""
        elif result:
            failed = None
            if result["no"]:
                failed = Check(result["name"].strip(), "failed", "\n".join(before))
            report.checks.append(failed or Check(result["name"].strip(), "passed"))
            before, reason = [], ""
        elif _NOTE.match(line):
            report.notes.append(_NOTE.match(line)[1])
        elif _REASON.match(line):
            reason = _REASON.match(line)[1]
            failed = None
        elif failed and line.startswith("#"):
            failed.text = (failed.text + "\n" + line[1:].strip()).strip("\n")
        else:
            before.append(line)
    return plan


def parse(text, status):
    """The report of a program that printed `text` and ended with the exit status `status`
    (negative: by that signal). A crash, a missing plan and missing lines are faults."""
    report = Report()
    plan = _collect(text.splitlines(), report)
    said = 0 if plan == 0 else len(report.checks)
    if status < 0:
        report.faults.append(f"ended by signal {-status}")
    elif status > 0 and not report.count("failed"):
        report.faults.append(f"ended with status {status}, though no check failed")
    if plan is None:
        report.faults.append("printed no plan (1..N)")
    elif plan != said:
        report.faults.append(f"announced {plan} checks and told of {said}")
    for check in report.checks:
        if check.verdict == "skipped" and not check.text:
            check.text = "no reason given"
    return report


def sentence(test):
    """`a_deadline_task_cannot_fork` -> `a deadline task cannot fork`."""
    return test._testMethodName.removeprefix("test_").replace("_", " ")


class Result(unittest.TestResult):
    """Prints a unittest run as TAP, each line as soon as it is known."""

    def __init__(self, total):
        super().__init__()
        self.number = 0
        self._bad = set()
        print(f"1..{total}", flush=True)

    def _line(self, verdict, test, tail=""):
        self.number += 1
        print(f"{verdict} {self.number} - {sentence(test)}{tail}", flush=True)

    def _failure(self, test, trace):
        if id(test) not in self._bad:
            self._bad.add(id(test))
            self._line("not ok", test)
        for line in trace.rstrip().splitlines():
            print(f"# {line}", flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self._line("ok", test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._failure(test, self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self._failure(test, self.errors[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._failure(test, self._exc_info_to_string(err, test))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._line("ok", test, f" # SKIP {reason}")


def run(suite):
    """Runs a unittest suite as TAP; returns the exit status for the program."""
    result = Result(suite.countTestCases())
    suite.run(result)
    return 0 if result.wasSuccessful() else 1


def main():
    """For a file of plain unittest cases that is itself the program."""
    module = sys.modules["__main__"]
    sys.exit(run(unittest.defaultTestLoader.loadTestsFromModule(module)))
