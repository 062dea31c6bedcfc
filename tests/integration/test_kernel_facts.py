# SPDX-License-Identifier: Apache-2.0
"""The facts about the kernel that Takt builds on. Where one of these fails, Takt's promises do
not hold on this kernel, whatever the other tests say."""

import collections
import errno
import os
import time

from harness import (
    MS,
    RESET_ON_FORK,
    SCHED_DEADLINE,
    SCHED_OTHER,
    SECOND,
    Case,
    Child,
    deadline,
    deadline_threads,
    in_child,
    kernel_admission,
    root,
    sched_getattr,
    sched_setattr,
    take_bandwidth,
    test,
    two_cpus,
    wait_for,
)

CLOCK_SLACK = 1 * MS  # for the reading of two clocks one after the other
LEAST_RUNTIME, LONGEST_PERIOD = 1024, (1 << 22) * 1000  # kernel/sched/deadline.c, __checkparam_dl
CLOCK_MONOTONIC_COARSE = 6  # include/uapi/linux/time.h; Python has no name for it


def tick_ns():
    return int(time.clock_getres(CLOCK_MONOTONIC_COARSE) * SECOND + 0.5)


def state_of(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rsplit(")", 1)[1].split()[0]


def fork_and_reap():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return True


class Forking(Case):
    needs = (root, deadline)

    @test
    def a_deadline_thread_cannot_fork(self):
        def body():
            sched_setattr(0, SCHED_DEADLINE, 2 * MS, 100 * MS)
            return fork_and_reap()

        self.denied(errno.EAGAIN, in_child, self, body)

    @test
    def a_deadline_thread_with_reset_on_fork_has_children_outside_the_reservation(self):
        def body():
            sched_setattr(0, SCHED_DEADLINE, 2 * MS, 100 * MS, flags=RESET_ON_FORK)
            reading, writing = os.pipe()
            if os.fork() == 0:
                os.write(writing, bytes([sched_getattr(0).policy]))
                os._exit(0)
            return os.read(reading, 1)[0]

        self.assertEqual(in_child(self, body), SCHED_OTHER)

    @test
    def a_thread_is_put_under_a_reservation_from_outside_and_taken_out_again(self):
        child = Child(self, lambda say: (say(True), time.sleep(600)))
        child.hear()
        sched_setattr(child.pid, SCHED_DEADLINE, 2 * MS, 100 * MS, flags=RESET_ON_FORK)
        seen = {t.tid: t for t in deadline_threads()}[child.pid]
        self.assertEqual((seen.runtime, seen.deadline, seen.period), (2 * MS, 100 * MS, 100 * MS))
        sched_setattr(child.pid, SCHED_OTHER)
        self.assertNotIn(child.pid, {t.tid for t in deadline_threads()})


class Bandwidth(Case):
    needs = (root, deadline, kernel_admission)

    def take_until_refused(self, runtime, period):
        """Programs that together hold all that the kernel gives in pieces of that size."""
        held = []
        with self.assertRaises(OSError) as refused:
            while len(held) < 2000:
                held.append(take_bandwidth(self, runtime, period))
        self.assertEqual(refused.exception.errno, errno.EBUSY)
        return held

    @test(needs=[two_cpus])
    def a_mask_narrower_than_the_root_domain_is_refused(self):
        def body():
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
            sched_setattr(0, SCHED_DEADLINE, 2 * MS, 100 * MS)
            return True

        self.denied(errno.EPERM, in_child, self, body)

    @test
    def bandwidth_ends_with_ebusy_below_the_whole_machine(self):
        held = self.take_until_refused(10 * MS, 100 * MS)
        self.assertGreater(len(held), 0)
        self.assertLess(len(held), 10 * os.cpu_count())

    @test
    def bandwidth_is_given_back_when_a_program_exits(self):
        held = self.take_until_refused(10 * MS, 100 * MS)
        held.pop().end()
        # The kernel gives a dead thread's share back at its zero-lag time, a period later at most.
        wait_for("its bandwidth is free again", self.can_take_ten_percent)

    @test
    def bandwidth_given_to_a_dead_thread_is_free_again_once_it_is_shrunk(self):
        """Else it would be lost for good; that can be told here only by losing it."""
        held = self.take_until_refused(10 * MS, 100 * MS)
        dead = Child(self, lambda say: None)
        wait_for("it is a zombie", lambda: state_of(dead.pid) == "Z")
        held.pop().end()
        wait_for("there is room for it", lambda: self.can_give(dead.pid))
        sched_setattr(dead.pid, SCHED_DEADLINE, LEAST_RUNTIME, LONGEST_PERIOD)
        sched_setattr(dead.pid, SCHED_OTHER)
        self.assertTrue(self.can_take_ten_percent())

    def can_give(self, pid):
        try:
            sched_setattr(pid, SCHED_DEADLINE, 10 * MS, 100 * MS)
        except OSError:
            return False
        return True

    def can_take_ten_percent(self):
        try:
            take_bandwidth(self, 10 * MS, 100 * MS)
        except OSError:
            return False
        return True


class Throttling(Case):
    needs = (root, deadline)

    def bursts_of(self, runtime, period, seconds):
        """A program that never yields: the CPU time of each stretch between two pauses, in ns."""

        def burn(say):
            sched_setattr(0, SCHED_DEADLINE, runtime, period)
            ends = time.monotonic_ns() + seconds * SECOND
            bursts, last = [], time.monotonic_ns()
            began = ran = time.thread_time_ns()
            while last < ends:
                now, cpu = time.monotonic_ns(), time.thread_time_ns()
                if now - last > (period - runtime) // 4:
                    bursts.append(ran - began)
                    began = cpu
                elif now - last > MS:  # taken by the hypervisor, and charged where it is not told
                    began += cpu - ran
                last, ran = now, cpu
            say(bursts)

        return Child(self, burn).hear()

    @test
    def an_overrun_is_at_most_one_tick(self):
        bursts = self.bursts_of(10 * MS, 100 * MS, 3)
        self.assertGreater(len(bursts), 10)
        self.assertLessEqual(max(bursts), 10 * MS + tick_ns() + CLOCK_SLACK)

    @test
    def an_overrun_is_taken_back_so_that_k_periods_give_k_budgets_and_one_tick(self):
        bursts = self.bursts_of(10 * MS, 100 * MS, 3)
        for first in range(len(bursts)):
            for last in range(first, len(bursts)):
                budgets = (last - first + 1) * 10 * MS
                ran = sum(bursts[first : last + 1])
                self.assertLessEqual(ran, budgets + tick_ns() + CLOCK_SLACK, bursts)


class Clock(Case):
    @test
    def the_coarse_clock_steps_by_the_tick(self):
        seen, last = collections.Counter(), None
        ends = time.monotonic_ns() + SECOND
        while time.monotonic_ns() < ends:
            now = time.clock_gettime_ns(CLOCK_MONOTONIC_COARSE)
            if last is not None and now != last:
                seen[round((now - last) / tick_ns(), 1)] += 1
            last = now
        self.assertEqual(seen.most_common(1)[0][0], 1.0, seen)
