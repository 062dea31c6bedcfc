# SPDX-License-Identifier: Apache-2.0
"""Which threads of a container are under its reservation. Most tests bind a program as a runtime's
hook would, so that each step of its life can be looked at; the last ones are real containers."""

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

from harness import (
    MS,
    SCHED_DEADLINE,
    SCHED_OTHER,
    Agent,
    Case,
    TaktError,
    agent,
    connector,
    deadline,
    kernel_admission,
    podman,
    program,
    root,
    sched_getattr,
    sched_setattr,
    spin,
    takt,
    test,
    threads_of,
    wait_for,
)
from puppet import CDI_DIR, KernelRest, Stage, Watcher, is_on, q20, recount, settled

LONG = os.environ.get("TAKT_LONG") == "1"
RUNTIME, PERIOD = "1ms", "100ms"
# More events than taktd's buffer of 2 MiB takes: each needs some 800 bytes of it, or more.
FORK_STORM = "i=0; while [ $i -lt 8000 ]; do (:); i=$((i + 1)); done"
EVENTS_AHEAD = "i=0; while [ $i -lt 300 ]; do (:); i=$((i + 1)); done"  # of which 16 a turn are read
SETTLE_SECONDS = 0.2  # to see that something does not happen


def ran_ns(pid, tid):
    return int(Path(f"/proc/{pid}/task/{tid}/schedstat").read_text().split()[0])


class Threads(Case):
    needs = (root, deadline, kernel_admission, connector, agent)

    def setUp(self):
        super().setUp()
        self.agent = Agent(self, **self.agent_options()).start()
        self.stage = Stage(self)

    def agent_options(self):
        return {}

    def bound(self, **spec):
        """A puppet that holds a new reservation "r", whose program has begun."""
        puppet = self.bound_before_exec(**spec)
        puppet.exec()
        return puppet

    def bound_before_exec(self, **spec):
        self.agent.reserve("r", RUNTIME, PERIOD, **spec)
        puppet = self.stage.start()
        self.agent.call("Bind", name="r", pid=puppet.pid, container="box")
        return puppet

    def told(self):
        """The tids that the agent says are under it."""
        return {t["tid"] for t in self.agent.reservations()["r"]["threads"]}

    def expect_on(self, what, tids):
        """The kernel and the agent agree, at last, that exactly these are under the reservation;
        `tids` may be a function."""

        def agreed():
            wish = tids() if callable(tids) else set(tids)
            return self.told() == wish and self.on_everywhere() == wish

        try:
            wait_for(what, agreed)
        except AssertionError:
            wish = tids() if callable(tids) else set(tids)
            raise AssertionError(
                f"{what}: expected {wish}, kernel {self.on_everywhere()}, agent {self.told()}"
            ) from None

    def on_everywhere(self):
        """All threads of the machine with the parameters of "r"."""
        found = set()
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            for tid in threads_of(pid):
                try:
                    attr = sched_getattr(tid)
                except OSError:
                    continue
                if attr.policy == SCHED_DEADLINE and (attr.runtime, attr.period) == (
                    1 * MS,
                    100 * MS,
                ):
                    found.add(tid)
        return found

    def expect_state(self, state):
        wait_for(
            f"the reservation is {state}",
            lambda: self.agent.reservations()["r"]["state"] == state,
        )


class Apart(Agent):
    """In a PID namespace of its own; to be ended by kill9(): unshare(1) passes no SIGTERM on."""

    def command(self):
        return ["unshare", "--pid", "--mount-proc", "--fork", "--kill-child", *super().command()]


class Untold(Case):
    """What nobody would be told of."""

    needs = (root, deadline, connector, agent)

    @test
    def a_caller_that_numbers_processes_otherwise_binds_none(self):
        taktd = Agent(self).start()
        command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", program("takt")]
        command += ["run", "--socket", taktd.socket, "-q", RUNTIME, "-p", PERIOD, "true"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
        self.assertNotEqual(ended.returncode, 0)
        self.assertIn("PID namespace", ended.stderr)
        wait_for("nothing is promised", lambda: not taktd.reservations())

    @test
    def a_hard_promise_whose_proof_does_not_hold_after_a_reboot_is_in_trouble(self):
        taktd = Agent(self).start()
        taktd.reserve("small", "100us", "1s", guarantee="soft")
        taktd.reserve("hard", "1ms", "20ms")
        taktd.stop()
        with contextlib.closing(sqlite3.connect(taktd.state_dir / "takt.db")) as db, db:
            # As if this kernel let budgets be passed by more than it was measured to.
            db.execute("UPDATE probe SET value = '90000000 90000000' WHERE key = 'overrun'")
        taktd.start()
        self.assertIn("does not hold", taktd.reservations()["hard"]["trouble"])
        self.assertNotIn("trouble", taktd.reservations()["small"])

    @test
    def a_taktd_that_the_kernel_does_not_tell_of_threads_says_so_and_lets_no_container_in(self):
        taktd = Apart(self).start()
        self.addCleanup(taktd.kill9)
        (events,) = (c for c in taktd.call("Node")["checks"] if c["name"] == "events")
        self.assertEqual(events["status"], "no")
        taktd.reserve("r", RUNTIME, PERIOD)
        with self.assertRaises(TaktError) as refused:
            taktd.call("Bind", name="r", pid=1, container="box")
        self.assertEqual(refused.exception.name, "NotApplicable")
        self.assertIn("does not answer", refused.exception.reason)
        taktd.release_all()


class Main(Threads):
    @test
    def no_thread_is_caught_before_the_program_has_begun(self):
        puppet = self.bound_before_exec(cores=2, threads={"all": True})
        puppet.start("init-1", "init-2")
        time.sleep(SETTLE_SECONDS)
        self.assertEqual(self.on_everywhere(), set())
        self.expect_state("bound")
        puppet.exec()
        self.expect_on("the program is under it", {puppet.pid})

    @test
    def the_first_thread_and_no_other_is_under_it(self):
        puppet = self.bound()
        puppet.start("other")
        puppet.do("main", "fork")
        self.stage.next()
        self.expect_on("the first thread alone", {puppet.pid})
        time.sleep(SETTLE_SECONDS)
        self.expect_on("the first thread alone", {puppet.pid})
        attr = sched_getattr(puppet.pid)
        self.assertEqual(
            (attr.runtime, attr.deadline, attr.period), (1 * MS, 100 * MS, 100 * MS)
        )

    @test
    def it_is_under_it_when_another_thread_of_the_init_becomes_the_program(self):
        rounds = 300 if LONG else 30
        for _ in range(rounds):
            puppet = self.bound_before_exec()
            puppet.start("go-1", "go-2", "go-3")
            puppet.exec("go-2")
            self.expect_on("the thread that became the program", {puppet.pid})
            self.assertEqual(threads_of(puppet.pid), [puppet.pid])
            self.agent.call("Release", name="r")
            puppet.quit()
        print(f"# {rounds} programs")

    @test
    def what_happens_while_events_are_lost_is_found_and_what_comes_later_is_told_again(self):
        puppet = self.bound(threads={"all": True}, cores=3)
        self.expect_on("the first thread", {puppet.pid})
        other = self.sleeper()
        self.agent.reserve("other", RUNTIME, PERIOD)
        self.agent.call("Bind", name="other", pid=other.pid)
        os.kill(self.agent.pid, signal.SIGSTOP)
        try:
            subprocess.run(["sh", "-c", FORK_STORM], check=True)
            puppet.start("late")
            puppet.do("main", "fork")
            child = self.stage.next()
            other.kill()
            other.wait()
        finally:
            os.kill(self.agent.pid, signal.SIGCONT)
        wait_for("taktd says so", lambda: "events of the kernel were lost" in self.agent.log())
        self.expect_on("all three", {puppet.pid, puppet.tid("late"), child.pid})
        wait_for("it is free", lambda: self.agent.reservations()["other"]["state"] == "held")
        puppet.start("later")
        child.quit()
        self.expect_on("another three", {puppet.tid(t) for t in ("main", "late", "later")})
        puppet.quit()
        self.expect_state("held")

    @test
    def a_bind_that_overtakes_the_news_of_the_last_holders_end_is_no_refusal(self):
        self.agent.reserve("r", RUNTIME, PERIOD)
        first, second = self.sleeper(), self.sleeper()
        self.agent.call("Bind", name="r", pid=first.pid, running=True)
        self.expect_on("the first one", {first.pid})
        with self.agent.connect() as door, self.agent.still():
            subprocess.run(["sh", "-c", EVENTS_AHEAD], check=True)
            first.kill()
            first.wait()
            door.send("Bind", name="r", pid=second.pid, running=True)
            os.kill(self.agent.pid, signal.SIGCONT)
            self.assertEqual(door.receive()["parameters"]["reservation"]["name"], "r")
        self.expect_on("the second one", {second.pid})

    @test
    def a_child_whose_news_wait_before_those_of_the_last_holders_end_keeps_it(self):
        self.agent.reserve("r", RUNTIME, PERIOD)
        puppet, other = self.stage.start(), self.sleeper()
        self.agent.call("Bind", name="r", pid=puppet.pid, running=True)
        self.expect_on("the first one", {puppet.pid})
        with self.agent.connect() as door, self.agent.still():
            subprocess.run(["sh", "-c", EVENTS_AHEAD], check=True)
            puppet.do("main", "fork")
            child = self.stage.next()
            puppet.quit()
            puppet.process.wait()
            door.send("Bind", name="r", pid=other.pid, running=True)
            os.kill(self.agent.pid, signal.SIGCONT)
            with self.assertRaises(TaktError) as refused:
                door.receive()
        self.assertEqual(refused.exception.name, "Busy")
        child.quit()
        self.expect_state("held")

    @test
    def an_attach_that_overtakes_the_news_of_the_last_holders_end_is_no_refusal(self):
        self.agent.reserve("r", RUNTIME, PERIOD, threads={"attach": True})
        first, second = self.sleeper(), self.sleeper()
        self.agent.call("Attach", name="r", tids=[first.pid])
        self.expect_on("the first one", {first.pid})
        with self.agent.connect() as door, self.agent.still():
            door.send("Attach", name="r", tids=[second.pid])  # first, so that taktd reads it first
            first.kill()
            first.wait()
            os.kill(self.agent.pid, signal.SIGCONT)
            self.assertEqual(door.receive()["parameters"]["reservation"]["name"], "r")
        self.expect_on("the second one", {second.pid})

    @test
    def what_ends_while_the_kernel_tells_nothing_is_found(self):
        puppet = self.bound(threads={"match": ["rt-*"]})
        puppet.start("rt-1")
        self.expect_on("the first", {puppet.tid("rt-1")})
        puppet.start("rt-2")
        self.agent.kill9()
        # The connector answers in the first network namespace alone.
        command = ["unshare", "--net", *self.agent.command()]
        self.agent.command = lambda: command
        self.agent.start()
        self.expect_on("the first as before", {puppet.tid("rt-1")})
        puppet.do("rt-1", "end")
        self.expect_on("the second", {puppet.tid("rt-2")})
        puppet.quit()
        self.expect_state("held")

    def sleeper(self):
        process = subprocess.Popen(["sleep", "1000"])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    @test
    def what_a_running_program_had_started_before_is_found_when_it_is_bound(self):
        self.agent.reserve("r", RUNTIME, PERIOD, threads={"all": True}, cores=2)
        puppet = self.stage.start()
        puppet.do("main", "fork")
        child = self.stage.next()
        self.agent.call("Bind", name="r", pid=puppet.pid, container="box", running=True)
        self.expect_on("it and its child", {puppet.pid, child.pid})

    @test
    def it_stays_under_it_through_another_exec(self):
        puppet = self.bound()
        self.expect_on("the first thread", {puppet.pid})
        watcher = Watcher(lambda: is_on(puppet.pid))
        puppet.exec()
        self.assertEqual(watcher.stop().seen, [True], f"looked {watcher.count} times")
        self.expect_on("the first thread", {puppet.pid})

    @test
    def a_thread_that_leaves_by_itself_is_put_in_again(self):
        puppet = self.bound()
        self.expect_on("the first thread", {puppet.pid})
        sched_setattr(puppet.pid, SCHED_OTHER)
        wait_for("it is noticed", lambda: "left it by itself" in self.agent.log())
        self.expect_on("the first thread again", {puppet.pid})
        self.assertNotIn("trouble", self.agent.reservations()["r"])

    @test
    def a_thread_that_is_let_go_is_as_nice_as_before(self):
        puppet = self.bound()
        self.expect_on("the first thread", {puppet.pid})
        os.setpriority(os.PRIO_PROCESS, puppet.pid, 7)
        self.agent.call("Release", name="r")
        wait_for("it is out", lambda: not is_on(puppet.pid))
        self.assertEqual(os.getpriority(os.PRIO_PROCESS, puppet.pid), 7)

    @test
    def it_comes_back_when_a_thread_without_it_execs(self):
        puppet = self.bound()
        puppet.start("other")
        self.expect_on("the first thread", {puppet.pid})
        puppet.exec("other")
        self.expect_on("the thread that took the first one's place", {puppet.pid})

    @test
    def children_and_threads_never_inherit_it(self):
        puppet = self.bound()
        self.expect_on("the first thread", {puppet.pid})
        rounds = 200 if LONG else 30
        for _ in range(rounds):
            puppet.do("main", "fork")
            child = self.stage.next()
            self.assertEqual(child.do("main", "policy"), str(SCHED_OTHER))
            child.quit()
            puppet.start("thread")
            self.assertEqual(puppet.do("thread", "policy"), str(SCHED_OTHER))
            puppet.do("thread", "end")
        print(f"# {rounds} forks and threads")
        self.expect_on("the first thread", {puppet.pid})

    @test
    def when_the_first_thread_ends_before_the_others_its_server_is_held_again(self):
        rest = KernelRest(self)
        before = rest.settled()
        puppet = self.bound()
        puppet.start("other")
        self.expect_on("the first thread", {puppet.pid})
        puppet.do("main", "end")
        self.expect_on("nobody", set())
        self.expect_state("bound")
        rest.expect(before - q20(1 * MS, 100 * MS))

    @test
    def it_is_free_for_the_next_when_all_processes_have_ended(self):
        puppet = self.bound()
        puppet.do("main", "fork")
        child = self.stage.next()
        puppet.do("main", "daemon")
        orphan = self.stage.next()
        puppet.quit()
        child.quit()
        time.sleep(SETTLE_SECONDS)
        self.assertEqual(self.agent.reservations()["r"]["container"], "box")
        orphan.quit()
        self.expect_state("held")
        following = self.stage.start()
        self.agent.call("Bind", name="r", pid=following.pid)
        following.exec()
        self.expect_on("the next program", {following.pid})


class Match(Threads):
    @test
    def threads_come_in_and_go_out_by_their_names(self):
        puppet = self.bound(cores=2, threads={"match": ["rt-*", "audio"]})
        self.expect_on("nobody: no name matches", set())
        puppet.start("rt-1", "slow")
        self.expect_on("the matching thread", lambda: {puppet.tid("rt-1")})
        puppet.do("slow", "rename", "audio")
        self.expect_on("both", lambda: {puppet.tid("rt-1"), puppet.tid("audio")})
        puppet.do("rt-1", "rename", "idle")
        self.expect_on("the one that still matches", lambda: {puppet.tid("audio")})
        puppet.do("rt-1", "rename", "rt-2")
        self.expect_on("both again", lambda: {puppet.tid("rt-2"), puppet.tid("audio")})

    @test
    def a_server_is_handed_on_when_its_thread_ends_or_is_renamed(self):
        puppet = self.bound(threads={"match": ["rt-*"]})
        puppet.start("rt-1")
        self.expect_on("the first", lambda: {puppet.tid("rt-1")})
        puppet.start("rt-2", "rt-3")
        time.sleep(SETTLE_SECONDS)
        self.expect_on("still the first", lambda: {puppet.tid("rt-1")})
        puppet.do("rt-1", "end")
        names = {puppet.tid(name): name for name in ("rt-2", "rt-3")}
        wait_for("one of the others has it", lambda: self.on_everywhere() & set(names))
        (holder,) = (names.pop(tid) for tid in self.on_everywhere())
        (waiting,) = names.values()
        self.expect_on("one of the others", lambda: {puppet.tid(holder)})
        puppet.do(holder, "rename", "idle")
        self.expect_on("the last one", lambda: {puppet.tid(waiting)})

    @test
    def the_name_of_a_program_matches_too(self):
        puppet = self.bound(threads={"match": ["puppet"]})
        self.expect_on("the first thread, by its program's name", {puppet.pid})
        puppet.do("main", "rename", "nobody")
        self.expect_on("nobody", set())
        puppet.exec()
        self.expect_on("the first thread, named by exec", {puppet.pid})

    @test
    def matching_threads_of_children_are_under_it(self):
        puppet = self.bound(cores=2, threads={"match": ["rt-*"]})
        puppet.do("main", "daemon")
        child = self.stage.next()
        child.start("rt-child")
        self.expect_on("the child's thread", lambda: {child.tid("rt-child")})


class All(Threads):
    @test
    def at_most_as_many_threads_as_cores_are_under_it(self):
        puppet = self.bound(cores=2, threads={"all": True})
        puppet.start("a", "b", "c")
        wait_for("two threads are", lambda: len(self.on_everywhere()) == 2)
        time.sleep(SETTLE_SECONDS)
        on = self.on_everywhere()
        self.assertEqual(len(on), 2)
        self.expect_on("the kernel and the agent agree", on)

    @test
    def no_fork_fails_while_children_come_and_go(self):
        """Children that fork and die at once, while taktd puts them under SCHED_DEADLINE."""
        rest = KernelRest(self)
        before = rest.settled()
        script = "i=0; while [ $i -lt 10 ]; do (true &); (true &); i=$((i+1)); done"
        ask = "run -q 200us -p 10ms -g soft -c 8 -t all".split()
        runs = 1000 if LONG else 150
        for _ in range(runs):
            done = subprocess.run(
                [program("takt"), *ask, "sh", "-c", script],
                env={**os.environ, "TAKT_SOCKET": str(self.agent.socket)},
                capture_output=True,
                text=True,
            )
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            time.sleep(0.02)  # what ended has given back
        settled()
        lost, each = before - rest.units(), q20(200_000, 10_000_000)
        print(f"# {runs} runs, {20 * runs} children, lost {lost / each:.0f} of them", flush=True)
        recount()
        # One that dies and is waited for within taktd's two looks would be lost (ARCHITECTURE.md).
        self.assertLess(lost, 20 * runs * each / 100)

    @test
    def a_server_is_handed_on_when_its_thread_ends(self):
        puppet = self.bound(cores=2, threads={"all": True})
        puppet.start("a")
        self.expect_on("both", lambda: {puppet.pid, puppet.tid("a")})
        puppet.start("b")
        puppet.do("a", "end")
        self.expect_on("the next thread has it", lambda: {puppet.pid, puppet.tid("b")})

    @test
    def it_is_handed_on_when_the_first_thread_ends_before_the_others(self):
        puppet = self.bound(threads={"all": True})
        puppet.start("a")
        self.expect_on("the first thread", {puppet.pid})
        puppet.do("main", "end")

        def another_has_it():
            on = self.on_everywhere() - {puppet.pid}
            return len(on) == 1 and on <= set(threads_of(puppet.pid))

        wait_for("another thread has it", another_has_it)

    @test
    def a_server_goes_on_to_a_child_when_its_process_ends(self):
        puppet = self.bound(threads={"all": True})
        self.expect_on("the first thread", {puppet.pid})
        puppet.do("main", "daemon")
        child = self.stage.next()
        puppet.quit()
        self.expect_on("the child", {child.pid})

    @test
    def no_moment_has_more_threads_than_cores_while_they_come_and_go(self):
        puppet = self.bound(cores=2, threads={"match": ["rt-*"]})
        draw = random.Random(1)
        # One look is no moment: a server may go on from a thread that was looked at to one that is
        # still to come. What three looks saw had it between them.
        watcher = Watcher(lambda: len(puppet.on() & puppet.on() & puppet.on()))
        alive, steps = {}, 3000 if LONG else 400
        for step in range(steps):
            if len(alive) < 12 and draw.random() < 0.5:
                alive[f"{'rt' if draw.random() < 0.6 else 'no'}-{step}"] = None
                puppet.start(list(alive)[-1])
            elif alive:
                name = draw.choice(list(alive))
                if draw.random() < 0.5:
                    puppet.do(name, "end")
                    del alive[name]
                else:
                    alive[name] = f"{draw.choice(['rt', 'no'])}-r{step}"
                    puppet.do(name, "rename", alive[name])
        names = [name for name in (alive[n] or n for n in alive) if name.startswith("rt-")]

        def served():
            on = puppet.on()
            return len(on) == min(2, len(names)) and on <= {puppet.tid(n) for n in names}

        wait_for("the servers are with those that want one", served)
        watcher.stop()
        print(f"# {steps} steps, looked {watcher.count} times")
        self.assertLessEqual(max(watcher.seen), 2)
        self.expect_on("those that match", puppet.on)


class ByHand(Threads):
    def takt(self, *args):
        return takt(*args, socket_path=self.agent.socket)

    def fails(self, status, words, *args):
        done = self.takt(*args)
        self.assertEqual(done.returncode, status, done)
        self.assertIn(words, done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)

    @test
    def only_attached_threads_are_under_it_and_detached_ones_are_out(self):
        puppet = self.bound(cores=2, threads={"attach": True})
        puppet.start("a", "b")
        time.sleep(SETTLE_SECONDS)
        self.expect_on("nobody before attach", set())
        a, b = puppet.tid("a"), puppet.tid("b")
        self.assertEqual(self.takt("attach", "r", a, b).returncode, 0)
        self.expect_on("those that were attached", {a, b})
        self.assertEqual(self.takt("detach", "r", a).returncode, 0)
        self.expect_on("the other one", {b})
        puppet.do("b", "end")
        self.expect_on("nobody", set())
        self.assertEqual(self.takt("attach", "r", a).returncode, 0)
        self.expect_on("the first again", {a})

    @test
    def a_running_program_is_put_in_and_the_promise_is_free_when_it_ends(self):
        self.agent.reserve("r", RUNTIME, PERIOD)
        puppet = self.stage.start()
        self.assertEqual(self.takt("attach", "r", puppet.pid).returncode, 0)
        self.expect_on("the program", {puppet.pid})
        puppet.do("main", "fork")
        child = self.stage.next()
        self.assertEqual(child.do("main", "policy"), str(SCHED_OTHER))
        child.quit()
        puppet.quit()
        self.expect_state("held")

    @test
    def a_thread_that_was_out_of_budget_runs_when_it_comes_back(self):
        puppet = self.bound(threads={"attach": True})
        puppet.start("a")
        a = puppet.tid("a")
        puppet.do("a", "burn")
        rounds = 40 if LONG else 8
        for _ in range(rounds):
            self.assertEqual(self.takt("attach", "r", a).returncode, 0)
            self.expect_on("the one that never sleeps", {a})
            for _ in range(2):
                before = ran_ns(puppet.pid, a)
                wait_for("it runs", lambda: ran_ns(puppet.pid, a) > before + 2 * MS)
            time.sleep(random.uniform(0, 0.1))
            self.assertEqual(self.takt("detach", "r", a).returncode, 0)
            time.sleep(random.choice((0, random.uniform(0, 0.3))))
        self.assertNotIn("never run", self.agent.log())

    @test
    def a_thread_that_the_kernel_has_forgotten_is_put_in_anew(self):
        puppet = self.bound(threads={"attach": True})
        puppet.start("a")
        a = puppet.tid("a")
        puppet.do("a", "burn")
        self.assertEqual(self.takt("attach", "r", a).returncode, 0)
        for _ in range(3):
            self.expect_on("the one that never sleeps", {a})
            time.sleep(0.3)
            # It is out of budget now, and another program takes it out and in: see unpaid.c.
            sched_setattr(a, SCHED_OTHER)
            time.sleep(0.11)
            sched_setattr(a, SCHED_DEADLINE, 1 * MS, 100 * MS, 100 * MS)
            before = ran_ns(puppet.pid, a)
            wait_for("it runs", lambda: ran_ns(puppet.pid, a) > before + 5 * MS)

    @test
    def the_last_detach_frees_a_promise_that_attach_had_taken(self):
        self.agent.reserve("r", RUNTIME, PERIOD)
        puppet = self.stage.start()
        self.takt("attach", "r", puppet.pid)
        self.assertEqual(self.takt("detach", "r", puppet.pid).returncode, 0)
        self.expect_on("nobody", set())
        self.expect_state("held")

    @test
    def wrong_threads_are_refused_with_a_sentence_and_nothing_changes(self):
        puppet = self.bound(cores=1, threads={"attach": True})
        puppet.start("a", "b")
        stranger = self.stage.start()
        a, b = puppet.tid("a"), puppet.tid("b")
        gone = subprocess.Popen(["true"])
        gone.wait()
        self.fails(64, "is not there", "attach", "r", gone.pid)
        self.fails(1, "does not belong to the container", "attach", "r", stranger.pid)
        self.fails(1, "no reservation has this name", "attach", "nobody", a)
        self.fails(1, "1 server", "attach", "r", a, b)
        self.fails(64, "only threads that were attached", "detach", "r", a)
        self.fails(64, "thread id", "attach", "r", "0")
        self.fails(64, "thread id", "attach", "r", "self")
        self.expect_on("nobody", set())
        self.assertEqual(self.takt("attach", "r", a).returncode, 0)
        self.fails(1, "detach a thread first", "attach", "r", b)
        self.assertEqual(self.takt("attach", "r", a).returncode, 0)
        self.expect_on("the one that was attached", {a})

    @test
    def an_attached_thread_goes_before_one_that_came_by_the_rule(self):
        puppet = self.bound(threads={"match": ["rt-*"]})
        puppet.start("rt-1", "other")
        self.expect_on("by the rule", lambda: {puppet.tid("rt-1")})
        self.assertEqual(self.takt("attach", "r", puppet.tid("other")).returncode, 0)
        self.expect_on("by hand", lambda: {puppet.tid("other")})
        self.assertEqual(self.takt("detach", "r", puppet.tid("other")).returncode, 0)
        self.expect_on("by the rule again", lambda: {puppet.tid("rt-1")})

    @test
    def a_running_thread_is_under_it_when_its_attach_is_answered(self):
        """Also when it left a moment before, and the kernel cannot take it back at once."""
        busy = spin(self)
        self.agent.reserve("again", "2ms", "50ms", threads={"attach": True})
        for _ in range(5):
            self.agent.call("Attach", name="again", tids=[busy.pid])
            self.assertTrue(is_on(busy.pid))
            self.agent.call("Detach", name="again", tids=[busy.pid])
            self.assertFalse(is_on(busy.pid))

    @test
    def a_thread_by_the_rule_that_is_attached_counts_as_one_by_hand(self):
        puppet = self.bound(cores=2, threads={"match": ["rt-*"]})
        puppet.start("rt-1", "a", "b")
        self.expect_on("by the rule", lambda: {puppet.tid("rt-1")})
        self.agent.call("Attach", name="r", tids=[puppet.tid("a")])
        tids = [puppet.tid("rt-1"), puppet.tid("b")]
        refused = self.refused("Busy", self.agent.call, "Attach", name="r", tids=tids)
        self.assertIn("2 servers", refused.reason)
        self.expect_on("as before", lambda: {puppet.tid("rt-1"), puppet.tid("a")})

    @test
    def a_thread_of_another_reservation_is_not_taken_from_it(self):
        puppet = self.bound()
        self.agent.reserve("second", RUNTIME, PERIOD)
        self.expect_on("the first thread", {puppet.pid})
        self.fails(1, "does not belong", "attach", "second", puppet.pid)
        self.expect_on("still the first thread", {puppet.pid})


class InContainers(Threads):
    needs = (*Threads.needs, podman)

    def agent_options(self):
        return {"cdi_dir": CDI_DIR}

    def exec_in(self, puppet):
        """A puppet that podman starts inside the running container of another."""
        process = subprocess.Popen(
            ["podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs", "exec"]
            + [puppet.container.name, *self.stage.command()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.addCleanup(process.wait)
        return self.stage.next()

    @test
    def a_process_executed_in_a_running_container_takes_part(self):
        self.agent.reserve("r", RUNTIME, PERIOD, cores=2, threads={"match": ["rt-*"]})
        puppet = self.stage.container("r")
        puppet.start("rt-1")
        self.expect_on("the container's thread", lambda: {puppet.tid("rt-1")})
        entered = self.exec_in(puppet)
        entered.start("rt-2")
        self.expect_on("both", lambda: {puppet.tid("rt-1"), entered.tid("rt-2")})
        entered.quit()
        self.expect_on("the container's thread", lambda: {puppet.tid("rt-1")})

    @test
    def all_takes_in_a_process_executed_in_a_running_container(self):
        self.agent.reserve("r", RUNTIME, PERIOD, cores=2, threads={"all": True})
        puppet = self.stage.container("r")
        self.expect_on("the container's thread", {puppet.pid})
        entered = self.exec_in(puppet)
        self.expect_on("both", {puppet.pid, entered.pid})

    @test
    def main_leaves_a_process_executed_in_a_running_container_out(self):
        self.agent.reserve("r", RUNTIME, PERIOD, cores=2)
        puppet = self.stage.container("r")
        entered = self.exec_in(puppet)
        time.sleep(SETTLE_SECONDS)
        self.expect_on("the container's first thread", {puppet.pid})
        self.assertFalse(is_on(entered.pid))

    @test
    def threads_of_the_runtimes_init_are_never_caught(self):
        self.agent.reserve("r", RUNTIME, PERIOD, cores=2, threads={"all": True})
        changes = self.agent.connect()
        self.addCleanup(changes.close)
        stream = changes.watch()
        rounds, seen = 20 if LONG else 4, []
        for _ in range(rounds):
            watcher = Watcher(lambda: frozenset(t for t in self.on_everywhere()))
            puppet = self.stage.container("r")
            self.expect_on("the program", {puppet.pid})
            watcher.stop()
            seen.append(watcher.count)
            self.assertEqual(set().union(*watcher.seen), {puppet.pid})
            on = []
            while not on or on[-1]["what"] != "thread-on":
                on.append(next(stream))
            self.assertEqual(on[-1]["why"], f"thread {puppet.pid}")
            puppet.quit()
            self.expect_state("held")
            while on[-1]["what"] != "unbound":
                on.append(next(stream))
            self.assertEqual([c["what"] for c in on].count("thread-on"), 1, on)
        print(f"# {rounds} containers, looked {seen} times")
