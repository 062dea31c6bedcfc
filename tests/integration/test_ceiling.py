# SPDX-License-Identifier: Apache-2.0
"""What the kernel grants: taktd on a machine where all is taken, and beside a kernel that counts
wrongly."""

import contextlib
import functools
import os
import shlex
import signal
import threading
import time
from pathlib import Path

from harness import (
    MS,
    SCHED_DEADLINE,
    SCHED_OTHER,
    SECOND,
    Agent,
    Case,
    Child,
    TaktError,
    agent,
    connector,
    deadline,
    error_in_child,
    kernel_admission,
    root,
    sched_getattr,
    sched_setattr,
    take_bandwidth,
    test,
    two_cpus,
    wait_for,
)
from puppet import RT_RUNTIME, write_limit

CAPACITY = Path("/sys/devices/system/cpu/cpu0/cpu_capacity")
LONGEST_PERIOD = Path("/proc/sys/kernel/sched_deadline_period_max_us")
CPUSETS = Path("/sys/fs/cgroup/cpuset")
PLACEHOLDER_SECONDS = 3  # after its end the kernel counts it for its period of 2^20 us
DEBT_SECONDS = 3  # end_with_debt()'s debt is counted so long at most
REST_SECONDS = 1  # a cpuset that was removed is counted without some time later
LOOK_SECONDS = 1  # taktd looks at the machine so often while somebody watches
SETTLED_SECONDS = 4.3  # taktd takes no ceiling for certain before the longest period has passed


def cpusets_v1():
    if not (CPUSETS / "cpuset.cpus").exists():
        return "needs the cpuset controller of cgroup v1, whose changes make the kernel miscount"
    return None


def check_of(agent, name):
    return next(c for c in agent.call("Node")["checks"] if c["name"] == name)


def take_everything(case):
    """Other programs hold what the kernel grants, but for less than 1 % of a CPU."""
    takers = []
    share = SECOND // 2
    while share >= SECOND // 128:
        try:
            takers.append(take_bandwidth(case, share, SECOND))
        except OSError:
            share //= 2
    return takers


def end_with_debt(case, threads=1):
    """Deadline threads end early in their period and after much of their budget: the kernel counts
    each until its 0-lag time, some two seconds from now."""

    def settle():
        time.sleep(DEBT_SECONDS)
        with new_cpuset():
            pass

    case.addCleanup(settle)

    def burn(say):
        sched_setattr(0, SCHED_DEADLINE, 800 * MS, 4 * SECOND)
        while time.thread_time() < 0.6:
            pass
        say(True)

    children = [Child(case, burn) for _ in range(threads)]
    for child in children:
        child.hear()
    for child in children:
        child.end()


@contextlib.contextmanager
def new_cpuset():
    """The kernel counts its deadline threads when one comes, and again when it goes."""
    group = CPUSETS / f"takt-test-{os.getpid()}"
    group.mkdir()
    try:
        for name in ("cpuset.cpus", "cpuset.mems"):
            (group / name).write_text((CPUSETS / name).read_text())
        yield group
    finally:
        for tid in (group / "tasks").read_text().split():
            (CPUSETS / "tasks").write_text(tid)
        group.rmdir()


def is_refused(runtime, period):
    """A deadline thread of that size, in a child that ends at once."""
    return bool(error_in_child(lambda: sched_setattr(0, SCHED_DEADLINE, runtime, period)))


def lose_bandwidth():
    """A thread that sleeps and leaves SCHED_DEADLINE never gives back what it had. OSError EBUSY
    when nothing is left to lose."""
    pid = os.fork()
    if pid == 0:
        signal.pause()
    try:
        sched_setattr(pid, SCHED_DEADLINE, 400 * MS, SECOND)
        time.sleep(0.05)  # it sleeps
        sched_setattr(pid, SCHED_OTHER)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@functools.lru_cache(maxsize=None)
def reading_counts_anew():
    """The kernel counts its deadline threads anew when the limit is read."""
    if cpusets_v1():
        return cpusets_v1()
    try:
        while True:
            lose_bandwidth()
    except OSError:
        pass
    RT_RUNTIME.read_text()
    if not is_refused(400 * MS, SECOND):
        return None
    with new_cpuset():
        return "this kernel counts deadline threads anew only with a cpuset (before Linux 6.15)"


def second_thread_spins(say):
    """Nobody has to wait for it when it ends, so that taktd comes too late to shrink it."""

    def burn():
        say(threading.get_native_id())
        while True:
            pass

    threading.Thread(target=burn).start()
    time.sleep(1000)


class AllIsTaken(Case):
    needs = (root, deadline, kernel_admission, connector, agent)

    @test
    def taktd_starts_where_all_is_taken_and_says_who_has_it(self):
        takers = take_everything(self)
        taktd = Agent(self).start()
        node = taktd.call("Node")
        self.assertEqual(node["cpus"], os.cpu_count())
        self.assertEqual(check_of(taktd, "other-deadline")["status"], "limited")
        self.assertEqual(check_of(taktd, "agent")["status"], "limited")
        why = self.refused("DoesNotFit", taktd.reserve, "late", "10ms", "100ms")
        self.assertIn("free", why.reason)
        for taker in takers:
            taker.end()
        wait_for("room for it", lambda: self.fits(taktd))
        wait_for("its own room", lambda: check_of(taktd, "agent")["status"] == "ok")

    def fits(self, taktd):
        try:
            return taktd.reserve("late", "10ms", "100ms")
        except TaktError as error:
            self.assertIn("DoesNotFit", error.name)
            return None

    @test
    def taktd_keeps_its_promises_when_it_starts_again_where_all_is_taken(self):
        taktd = Agent(self).start()
        taktd.reserve("early", "30ms", "100ms")
        taktd.kill9()
        time.sleep(PLACEHOLDER_SECONDS)
        takers = take_everything(self)
        taktd.start()
        self.assertEqual(list(taktd.reservations()), ["early"])
        self.assertEqual(check_of(taktd, "held")["status"], "no")
        for taker in takers:
            taker.end()
        wait_for("it is held", lambda: check_of(taktd, "held")["status"] == "ok")


class Watched(Case):
    needs = (root, deadline, kernel_admission, connector, agent)

    @test
    def who_watches_is_told_that_another_program_has_taken_room(self):
        taktd = Agent(self).start()
        with taktd.connect() as door:
            changes = door.watch()
            time.sleep(SETTLED_SECONDS)
            taker = take_bandwidth(self, 100 * MS, SECOND)
            self.expect_change(changes)
            self.assertGreaterEqual(taktd.call("Node")["foreignPpm"], 99_000)
            time.sleep(2 * LOOK_SECONDS)  # what comes and goes between two looks is not seen
            taker.end()
            self.expect_change(changes)
            wait_for("it is counted no more", lambda: taktd.call("Node")["foreignPpm"] == 0)

    @test
    def a_limit_that_is_lowered_is_believed_and_then_named(self):
        before = RT_RUNTIME.read_text()
        taktd = Agent(self).start()
        time.sleep(SETTLED_SECONDS)
        self.addCleanup(write_limit, before)
        write_limit("500000")
        wait_for("it is believed", lambda: self.slowly(taktd)["ceilingPpmPerCpu"] < 500_000)
        wait_for("it is named", lambda: self.slowly(taktd)["limitPpm"] == 500_000)
        self.assertEqual(check_of(taktd, "ceiling")["status"], "limited")
        write_limit(before)
        wait_for("it is back", lambda: self.slowly(taktd)["ceilingPpmPerCpu"] > 500_000)
        wait_for("it is named", lambda: self.slowly(taktd)["limitPpm"] > 500_000)

    def slowly(self, taktd):
        time.sleep(LOOK_SECONDS)
        return taktd.call("Node")

    def expect_change(self, changes):
        self.assertEqual(next(c for c in changes if c["what"] == "machine")["name"], "")


class JustEnded(Case):
    needs = (root, deadline, kernel_admission, connector, agent)

    @test
    def what_a_program_had_that_was_killed_is_free_for_the_next(self):
        """The kernel counts a dead thread until its 0-lag time, here up to a second later; until
        then neither yes nor no would be right."""
        taktd = Agent(self).start()
        node = taktd.call("Node")
        free = node["cpus"] * node["ceilingPpmPerCpu"] - node["promisedPpm"] - node["foreignPpm"]
        rest = (free - 310_000) // 2000
        for name in "rest-1", "rest-2":
            taktd.reserve(name, f"{rest}us", "1000us", guarantee="soft")
        for number in range(5):
            taktd.reserve(f"run-{number}", "300ms", "1s", guarantee="soft")
            program = Child(self, second_thread_spins)
            taktd.call("Attach", name=f"run-{number}", tids=[program.hear()])
            time.sleep(0.2)  # most of its budget in little of its period
            program.end()
            wait_for("its end is seen", lambda n=number: self.is_held(taktd, f"run-{n}"))
            taktd.call("Release", name=f"run-{number}")

    def is_held(self, taktd, name):
        return taktd.reservations()[name]["state"] == "held"


class Miscounted(Case):
    needs = (root, deadline, kernel_admission, connector, agent, cpusets_v1)

    @test
    def what_the_kernel_grants_by_a_miscount_is_not_promised(self):
        counts_anew = reading_counts_anew() is None
        time.sleep(REST_SECONDS)
        with new_cpuset():
            pass  # nothing that other programs left behind
        time.sleep(REST_SECONDS)
        taktd = Agent(self).start()
        taktd.reserve("camera", "40ms", "100ms")
        time.sleep(SETTLED_SECONDS)
        before = taktd.call("Node")["ceilingPpmPerCpu"]
        end_with_debt(self)
        with new_cpuset():
            wait_for("a miscount", lambda: "not promised" in self.at_rest(taktd)["detail"])
            self.assertEqual(taktd.call("Node")["ceilingPpmPerCpu"], before)
            if counts_anew:
                wait_for("taktd has it count", lambda: self.at_rest(taktd)["status"] == "ok")
            else:
                time.sleep(REST_SECONDS)
        wait_for("a new count", lambda: self.at_rest(taktd)["status"] == "ok")
        self.assertEqual(taktd.call("Node")["ceilingPpmPerCpu"], before)

    def at_rest(self, taktd):
        """Asking without a pause has taktd leave its own reservation, which the kernel can
        miscount as well."""
        time.sleep(REST_SECONDS)
        return check_of(taktd, "ceiling")

    @test(needs=[reading_counts_anew])
    def a_thread_comes_under_its_reservation_though_the_kernels_sum_is_below_zero(self):
        """It is unsigned there: whatever does not bring it above zero again is refused."""
        taktd = Agent(self).start()
        taktd.reserve("camera", "1ms", "100ms", threads={"attach": True})
        program = Child(self, lambda say: (say(True), time.sleep(1000)))
        program.hear()
        time.sleep(REST_SECONDS)
        end_with_debt(self, threads=4)
        with new_cpuset():
            wait_for("a sum below zero", lambda: is_refused(MS, 100 * MS))
            taktd.call("Attach", name="camera", tids=[program.pid])
        self.assertEqual(sched_getattr(program.pid).runtime, MS)


class Missing(Case):
    needs = (root, deadline, kernel_admission, connector, agent, cpusets_v1, two_cpus)

    @test
    def nothing_hard_is_promised_while_a_cpu_is_missing(self):
        taktd = Agent(self).start()
        taktd.reserve("before", "1ms", "100ms")
        with new_cpuset() as group:
            (group / "tasks").write_text(str(taktd.pid))
            all_of_them = (group / "cpuset.cpus").read_text()
            (group / "cpuset.cpus").write_text("0")
            self.assertIn("out of taktd's cpuset", taktd.reservations()["before"]["trouble"])
            with self.assertRaises(TaktError) as refused:
                taktd.reserve("hard", "1ms", "100ms")
            self.assertEqual(refused.exception.name, "DoesNotFit")
            self.assertIn("nothing hard can be proven", refused.exception.reason)
            taktd.reserve("soft", "1ms", "100ms", guarantee="soft")
            (group / "cpuset.cpus").write_text(all_of_them)
            taktd.reserve("hard", "1ms", "100ms")
        self.assertNotIn("trouble", taktd.reservations()["before"])


class OnUnequalCpus(Agent):
    """As where CPU 0 has half the size of the others."""

    def command(self):
        capacity = self.folder / "cpu_capacity"
        capacity.write_text("512\n")
        mount = f"mount --bind {capacity} {CAPACITY} && exec "
        return ["unshare", "--mount", "sh", "-c", mount + shlex.join(super().command())]


def period_setting():
    return None if LONGEST_PERIOD.exists() else f"the kernel has no {LONGEST_PERIOD}"


def capacity():
    return None if CAPACITY.exists() else "the kernel does not tell the size of CPUs"


class Unequal(Case):
    needs = (root, deadline, connector, agent, capacity, two_cpus)

    @test
    def cpus_of_different_sizes_have_no_hard_promise(self):
        taktd = OnUnequalCpus(self).start()
        self.assertEqual(check_of(taktd, "speed")["status"], "no")
        with self.assertRaises(TaktError) as refused:
            taktd.reserve("hard", "1ms", "100ms")
        self.assertEqual(refused.exception.name, "DoesNotFit")
        self.assertIn("differ in size", refused.exception.reason)
        taktd.reserve("soft", "1ms", "100ms", guarantee="soft")


class Periods(Case):
    needs = (root, deadline, connector, agent, period_setting)

    @test
    def a_period_that_the_kernel_was_told_not_to_take_is_refused(self):
        taktd = Agent(self).start()
        self.addCleanup(LONGEST_PERIOD.write_text, LONGEST_PERIOD.read_text())
        LONGEST_PERIOD.write_text("2000000")
        taktd.reserve("longest", "1ms", "2s")
        with self.assertRaises(TaktError) as refused:
            taktd.reserve("longer", "1ms", "2001ms")
        self.assertEqual(refused.exception.name, "DoesNotFit")
        self.assertIn("to 2 s here", refused.exception.reason)
