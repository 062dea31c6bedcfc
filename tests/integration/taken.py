# SPDX-License-Identifier: Apache-2.0
"""What took the CPU from everybody while jobs were timed, so that a late one can be told from one
that was not served."""

import os
import threading
import time

from kernel import SECOND


class Taken:
    """What steal and interrupts took of all CPUs, looked at all the time; the kernel counts both by
    ticks. What is taken from a thread is charged to it as if it had run, so that a reservation
    pays it back, a budget in each period. Times are CLOCK_MONOTONIC's, in ns."""

    SECONDS = 0.1
    BEFORE, AFTER = 3 * SECOND, SECOND // 5  # of what is near a job

    def __enter__(self):
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()

    @staticmethod
    def _ticks():
        with open("/proc/stat") as f:
            return sum(map(int, f.readline().split()[6:9]))  # irq, softirq, steal: proc(5)

    def _look(self):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))  # of this thread alone
        self._seen = [(time.monotonic_ns(), self._ticks())]
        while not self._end.wait(self.SECONDS):
            self._seen.append((time.monotonic_ns(), self._ticks()))

    def near(self, at):
        """In ns, about a job that ended then."""
        ticks = [n for t, n in self._seen if at - self.BEFORE <= t <= at + self.AFTER]
        hidden = self._seen[-1][1] > self._seen[0][1]  # of a tick that is not full yet
        return (ticks[-1] - ticks[0] + hidden) * SECOND // os.sysconf("SC_CLK_TCK")

    def explains(self, late, end, budget):
        """Whether a job that ended then can be that late, in ns, by what was taken alone; `budget`
        is the share of each period in which its reservation pays back."""
        return late <= self.near(end) / budget

    def most(self):
        """The most that was near any moment."""
        return max(self.near(t) for t, _ in self._seen)
