# SPDX-License-Identifier: Apache-2.0
"""What took the CPU while jobs were timed, so that a late one can be told from one that was not
served."""

import bisect
import os
import statistics
import threading
import time

from kernel import MS, SECOND

PERIODS = 50  # that a debt may be paid back in


def slow_share(seconds=3):
    """The share of equal pieces of work that this thread was charged for a quarter more than for most:
    what a hypervisor takes without telling it as steal."""
    charged, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        before = time.thread_time_ns()
        sum(i * i for i in range(5000))
        charged.append(time.thread_time_ns() - before)
    usual = statistics.median(charged)
    return sum(one > 1.25 * usual for one in charged) / len(charged)


class Taken:
    """Looks, until its end, at what the kernel counts of its own accord. Steal and interrupts of all
    CPUs: it counts them by ticks. And what a watched thread is charged for: where a hypervisor
    slows a CPU down without a word, a thread uses up its budget with less done, and has to wait
    for the next. It had what was promised, and that is a budget. Times are CLOCK_MONOTONIC's, in ns."""

    SECONDS = 0.01
    ABOUT = SECOND // 5  # ticks may be counted so much later
    SHOWN = 20  # explanations

    def __init__(self):
        self._tids = []
        self._explained = 0

    def __enter__(self):
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()

    def watch(self, tid):
        self._tids.append(tid)

    @staticmethod
    def _ticks():
        with open("/proc/stat") as f:
            return sum(map(int, f.readline().split()[6:9]))  # irq, softirq, steal: proc(5)

    @staticmethod
    def _charged(tid):
        try:
            with open(f"/proc/{tid}/schedstat") as f:
                return int(f.read().split()[0])
        except OSError:
            return None  # it has ended

    def _look(self):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))  # of this thread alone
        self._seen = []
        while True:
            charged = {tid: self._charged(tid) for tid in list(self._tids)}
            self._seen.append((time.monotonic_ns(), self._ticks(), charged))
            if self._end.wait(self.SECONDS):
                return

    def _between(self, since, until):
        """What was seen from the last look before to the first look after."""
        first = bisect.bisect_right(self._seen, since, key=lambda s: s[0]) - 1
        last = bisect.bisect_left(self._seen, until, key=lambda s: s[0])
        return self._seen[max(first, 0) : last + 1]

    def stolen(self, since, until):
        """By steal and interrupts, of all CPUs, in ns, rounded up."""
        seen = self._between(since - self.ABOUT, until + self.ABOUT)
        ticks = seen[-1][1] - seen[0][1]
        return (ticks + 1) * SECOND // os.sysconf("SC_CLK_TCK") if ticks else 0

    def late(self, since, until):
        """How much later than it wanted to this program looked, in ns, all pauses together: under
        SCHED_FIFO it waits for nobody but deadline threads, which have far less than all CPUs. So it
        was the machine that stood still, which not every hypervisor tells as steal."""
        seen = self._between(since, until)
        gaps = (after[0] - before[0] for before, after in zip(seen, seen[1:]))
        pauses = (int(gap - self.SECONDS * SECOND) for gap in gaps)
        return sum(pause for pause in pauses if pause > MS)

    def charged(self, tid, since, until):
        """To that thread, in ns."""
        known = [c[tid] for *_, c in self._between(since, until) if c.get(tid) is not None]
        return known[-1] - known[0] if known else 0

    def was_served(self, tid, release, runtime, period):
        """Whether it had a budget by the end of the period that began then, or so many of them in so
        many periods: what it was charged for beyond its budget is taken off the next ones."""
        return any(
            self.charged(tid, release - n * period, release + period) >= (n + 1) * runtime
            for n in range(PERIODS)
        )

    def explains(self, tid, release, response, runtime, period):
        """Whether a job that took longer than a period may have: for what was stolen, or as its
        thread had all that was promised and needed more."""
        stolen = self.stolen(release, release + response)
        late = self.late(release, release + response)
        self._explained += 1
        if self._explained == self.SHOWN + 1:
            print(f"# after {self.SHOWN} no more of them are shown", flush=True)
        elif self._explained <= self.SHOWN:
            print(
                f"# a job took {response / MS:.3f} ms: {stolen / MS:.0f} ms were stolen near it, "
                f"who looked was {late / MS:.3f} ms late, its thread was charged "
                f"{self.charged(tid, release, release + period) / MS:.3f} ms",
                flush=True,
            )
        return response - period <= max(stolen, late) or self.was_served(tid, release, runtime, period)

    def explains_worst(self, tid, response, runtime, period):
        """The same where it is not known which job it was."""
        most = max(self.charged(tid, t - period, t) for t, *_ in self._seen)
        stolen = max(self.stolen(t - response, t) for t, *_ in self._seen)
        late = max(self.late(t - response, t) for t, *_ in self._seen)
        print(
            f"# one took {response / MS:.3f} ms: its thread was charged {most / MS:.3f} ms in a period, "
            f"{stolen / MS:.0f} ms were stolen about a job, and who looked was "
            f"{late / MS:.3f} ms late, at most",
            flush=True,
        )
        return response - period <= max(stolen, late) or most >= runtime
