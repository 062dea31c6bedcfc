# SPDX-License-Identifier: Apache-2.0
"""Real containers and the agent: who may start, what is left when one ends, and what happens to
one that runs while the agent is away."""

import contextlib
import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
from pathlib import Path

from harness import (
    MS,
    SCHED_FIFO,
    SCHED_OTHER,
    Agent,
    Case,
    Container,
    TaktError,
    agent,
    connector,
    deadline,
    first_line,
    kernel_admission,
    podman,
    root,
    sched_getattr,
    test,
    two_cpus,
    wait_for,
)
from puppet import (
    CDI_DIR,
    DEVICE,
    KernelRest,
    Stage,
    Watcher,
    is_on,
    q20,
    remove_device,
    rt_groups,
    rt_shares,
)

LONG = os.environ.get("TAKT_LONG") == "1"
CPU_CGROUPS = "/sys/fs/cgroup/cpu"


def cpuset_of(pid):
    """The process's folder of the cpuset controller, of either version of cgroups."""
    lines = [l.split(":", 2) for l in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    v1 = [path for _, names, path in lines if "cpuset" in names.split(",")]
    root, path = ("/sys/fs/cgroup/cpuset", v1[0]) if v1 else ("/sys/fs/cgroup", lines[-1][2])
    return Path(root + path)


class Containers(Case):
    needs = (root, deadline, kernel_admission, connector, agent, podman)

    def setUp(self):
        super().setUp()
        # Two tests at a time would take each other's files in the one CDI folder.
        self.name = f"test-{os.getpid()}"
        self.addCleanup(remove_device, self.name)
        self.agent = Agent(self, cdi_dir=CDI_DIR).start()
        self.stage = Stage(self)

    def reserve(self, runtime="2ms", period="100ms", **spec):
        return self.agent.reserve(self.name, runtime, period, **spec)

    def state(self):
        return self.resv()["state"]

    def resv(self):
        return self.agent.reservations()[self.name]

    def expect_state(self, state):
        wait_for(f"the reservation is {state}", lambda: self.state() == state)

    def start(self, *options, name=None):
        return self.stage.container(name or self.name, options)

    def expect_on(self, puppet):
        wait_for("its first thread is under it", lambda: is_on(puppet.pid))

    def expect_refused(self, *words, options=(), name=None):
        """A container with the reservation does not start, and podman says these words."""
        mark = Path(self.stage.folder, "it-ran")
        box = Container(
            self,
            ["touch", str(mark)],
            self.stage.options(name or self.name, *options),
        )
        status, _, err = box.wait()
        self.assertNotEqual(status, 0, err)
        for word in words:
            self.assertIn(word, err)
        self.assertFalse(mark.exists(), "its program ran")


class FailsClosed(Containers):
    @test
    def no_container_starts_while_the_agent_is_not_running(self):
        self.reserve()
        self.agent.stop()
        self.expect_refused(f"takt: {self.name}: taktd is not running at {self.agent.socket}")
        self.agent.start()
        self.expect_state("held")

    @test
    def no_container_starts_after_the_agent_was_killed(self):
        self.reserve()
        self.agent.kill9()
        self.expect_refused("taktd is not running")
        self.agent.start()

    @test
    def no_container_starts_while_the_agent_does_not_answer(self):
        self.reserve()
        self.agent.process.send_signal(signal.SIGSTOP)
        try:
            self.expect_refused("does not answer in time")
        finally:
            self.agent.process.send_signal(signal.SIGCONT)
        self.expect_state("held")
        puppet = self.start()
        self.expect_on(puppet)

    @test
    def no_container_starts_with_a_reservation_that_was_released_before(self):
        self.reserve()
        file = Path(CDI_DIR, f"rt.takt.dev-reservation_{self.name}.json")
        kept = file.read_text()
        self.agent.call("Release", name=self.name)
        self.assertFalse(file.exists())
        file.write_text(kept)
        run_dir = self.agent.run_dir / self.name
        run_dir.mkdir()
        try:
            self.expect_refused("no reservation has this name")
        finally:
            file.unlink()
            run_dir.rmdir()

    @test
    def no_second_container_starts_while_the_first_holds_it(self):
        self.reserve()
        puppet = self.start()
        self.expect_on(puppet)
        first = self.resv()["container"]
        self.expect_refused(f"held by container {first}", f"(process {puppet.pid})")
        self.assertTrue(is_on(puppet.pid))
        self.assertEqual(self.resv()["container"], first)

    @test
    def of_two_containers_started_at_the_same_time_one_gets_it(self):
        self.reserve()
        boxes = [
            Container(self, ["sleep", "600"], self.stage.options(self.name)) for _ in range(2)
        ]
        wait_for("one of them ended", lambda: any(b.process.poll() is not None for b in boxes))
        loser = next(b for b in boxes if b.process.poll() is not None)
        status, _, err = loser.wait()
        self.assertNotEqual(status, 0)
        self.assertRegex(err, "held by container|is being changed")
        winner = next(b for b in boxes if b is not loser)
        pid = winner.pid()
        wait_for("the other one is under it", lambda: is_on(pid))

    def reserve_shareable(self, cores=1, **spec):
        document = {
            "apiVersion": "rt.takt.dev/v1alpha1",
            "kind": "Reservation",
            "metadata": {"name": self.name},
            "spec": {"runtime": "2ms", "period": "100ms", "cores": cores, **spec},
        }
        self.agent.call("Reserve", document=document, shareable=True)

    @test
    def two_containers_share_the_servers_of_a_shareable_one_first_come_first_served(self):
        self.reserve_shareable(cores=2)
        first, second = self.start(), self.start()
        self.expect_on(first)
        self.expect_on(second)
        resv = self.resv()
        self.assertEqual(len(resv["containers"]), 2)
        self.assertEqual(resv["container"], resv["containers"][0])
        third = self.start()
        self.assertEqual(len(self.resv()["containers"]), 3)
        self.assertFalse(is_on(third.pid), "two servers, and three hold them")
        first.container.end()
        self.expect_on(third)
        self.assertTrue(is_on(second.pid))
        second.container.end()
        third.container.end()
        self.expect_state("held")
        self.expect_on(self.start())

    @test
    def containers_that_share_a_reservation_and_start_at_the_same_time_all_get_it(self):
        self.reserve_shareable(cores=3)
        options = self.stage.options(self.name)
        boxes = [Container(self, ["sleep", "600"], options) for _ in range(3)]
        for box in boxes:
            pid = box.pid()
            wait_for("it is under it", lambda pid=pid: is_on(pid))

    @test
    def containers_that_share_a_reservation_keep_it_when_the_agent_is_killed(self):
        self.reserve_shareable(cores=2)
        first, second = self.start(), self.start()
        self.expect_on(first)
        self.expect_on(second)
        self.agent.kill9()
        self.assertTrue(is_on(first.pid) and is_on(second.pid))
        self.agent.start()
        self.assertEqual(len(self.resv()["containers"]), 2)
        self.assertTrue(is_on(first.pid) and is_on(second.pid))
        self.agent.stop()
        first.container.end()
        self.agent.start()
        wait_for(
            "one is left",
            lambda: len(self.resv()["containers"]) == 1,
        )
        self.assertTrue(is_on(second.pid))

    @test
    def a_reservation_that_somebody_holds_is_not_released_as_unheld(self):
        self.reserve()
        puppet = self.start()
        self.expect_on(puppet)
        with self.assertRaises(TaktError) as refused:
            self.agent.call("Release", name=self.name, unheld=True)
        self.assertEqual(refused.exception.name, "Busy")
        self.assertTrue(is_on(puppet.pid))
        puppet.container.end()
        self.expect_state("held")
        self.agent.call("Release", name=self.name, unheld=True)
        self.assertEqual(self.agent.reservations(), {})

    @test(needs=[two_cpus])
    def no_container_with_a_narrow_cpuset_starts(self):
        self.reserve()
        self.expect_refused(
            "the container may use CPUs 0 only", options=["--cpuset-cpus", "0"]
        )
        self.expect_state("held")
        self.expect_on(self.start())

    @test(needs=[two_cpus])
    def a_cpuset_that_is_narrowed_under_it_is_told_until_it_is_widened(self):
        self.reserve()
        puppet = self.start()
        self.expect_on(puppet)
        cpus = cpuset_of(puppet.pid) / "cpuset.cpus"
        all_of_them = cpus.read_text()
        cpus.write_text("0")
        wait_for("it is told", lambda: "narrowed" in self.resv().get("trouble", ""))
        self.assertTrue(is_on(puppet.pid))  # the kernel lets it: nothing else tells
        cpus.write_text(all_of_them)
        wait_for("it is well again", lambda: "trouble" not in self.resv())
        wait_for("its end is in the history", lambda: self.troubles()[-1:] == ["over"])
        self.assertIn("narrowed", self.troubles()[0])

    def troubles(self):
        changes = self.agent.call("History", name=self.name)["changes"]
        return [c["why"] for c in changes if c["what"] == "trouble"]

    @test
    def no_container_starts_with_a_device_that_was_never_reserved(self):
        self.expect_refused(f"{DEVICE}=never", name="never")


class Ends(Containers):
    def ends(self, end):
        """A container that ended by end(puppet) leaves the promise held, and nothing else."""
        rest = KernelRest(self)
        before = rest.settled()
        self.reserve()
        promised = q20(2 * MS, 100 * MS)
        rest.expect(before - promised)
        puppet = self.start()
        self.expect_on(puppet)
        rest.expect(before - promised)
        end(puppet)
        self.expect_state("held")
        resv = self.resv()
        self.assertEqual((resv["threads"], resv.get("container")), ([], None))
        rest.expect(before - promised)
        puppet.container.end()
        following = self.start()
        self.expect_on(following)
        following.quit()
        self.expect_state("held")
        following.container.end()
        self.agent.call("Release", name=self.name)
        self.assertEqual(list(self.agent.run_dir.iterdir()), [])
        rest.expect(before)

    @test
    def by_itself(self):
        self.ends(lambda puppet: puppet.quit())

    @test
    def when_its_program_is_killed(self):
        self.ends(lambda puppet: os.kill(puppet.pid, signal.SIGKILL))

    @test
    def by_podman_rm_force(self):
        self.ends(lambda puppet: puppet.container.end())

    @test
    def with_all_its_processes_killed_at_once_as_when_it_is_out_of_memory(self):
        def kill_all(puppet):
            puppet.do("main", "daemon")
            self.stage.next()
            puppet.start("a", "b")
            cgroup = self.resv()["cgroup"]
            for pid in Path(CPU_CGROUPS + cgroup, "cgroup.procs").read_text().split():
                with contextlib.suppress(ProcessLookupError):  # the first takes the others along
                    os.kill(int(pid), signal.SIGKILL)

        self.ends(kill_all)

    @test
    def when_it_is_released_while_it_runs_its_program_goes_on_without(self):
        rest = KernelRest(self)
        before = rest.settled()
        self.reserve()
        puppet = self.start()
        self.expect_on(puppet)
        self.agent.call("Release", name=self.name)
        self.assertEqual(puppet.do("main", "policy"), str(SCHED_OTHER))
        self.assertFalse(Path(CDI_DIR, f"rt.takt.dev-reservation_{self.name}.json").exists())
        rest.expect(before)
        puppet.exec()
        self.assertEqual(puppet.do("main", "policy"), str(SCHED_OTHER))

    @test
    def one_after_the_other_gets_it(self):
        rest = KernelRest(self)
        before = rest.settled()
        self.reserve()
        rounds = 200 if LONG else 15
        for _ in range(rounds):
            puppet = self.start()
            self.expect_on(puppet)
            puppet.quit(3)
            status, _, err = puppet.container.wait()
            self.assertEqual(status, 3, err)
        print(f"# {rounds} containers")
        self.expect_state("held")
        rest.expect(before - q20(2 * MS, 100 * MS))


class Restarts(Containers):
    def bind_in_store(self):
        """The container that the store has for the reservation, read from a copy that is made
        while the agent stands still: it keeps its own for itself."""
        with tempfile.TemporaryDirectory() as folder:
            with self.agent.still():
                for file in self.agent.state_dir.glob("takt.db*"):
                    shutil.copy(file, folder)
            with contextlib.closing(sqlite3.connect(f"{folder}/takt.db")) as store:
                found = store.execute(
                    "SELECT container FROM binding JOIN reservation r ON r.id = reservation"
                    " WHERE r.name = ?",
                    (self.name,),
                )
                row = found.fetchone()
                return row and row[0]

    def keeps_through(self, leave):
        """A running container keeps its reservation all the time while the agent is restarted."""
        self.reserve()
        puppet = self.start()
        self.expect_on(puppet)
        container = self.bind_in_store()
        self.assertTrue(container)
        watcher = Watcher(lambda: is_on(puppet.pid))
        for _ in range(3):
            leave()
            self.agent.start()
            resv = self.resv()
            self.assertEqual(resv["container"], container)
            self.assertEqual([t["tid"] for t in resv["threads"]], [puppet.pid])
            self.assertEqual(resv["state"], "active")
        self.assertEqual(watcher.stop().seen, [True])
        print(f"# looked {watcher.count} times")
        self.assertEqual(puppet.do("main", "call", "rt.takt.List")[:1], "{")
        puppet.quit()
        self.expect_state("held")
        wait_for("the store has no container either", lambda: not self.bind_in_store())

    @test
    def a_container_keeps_its_reservation_while_the_agent_is_stopped_and_started(self):
        self.keeps_through(self.agent.stop)

    @test
    def a_container_keeps_its_reservation_while_the_agent_is_killed_and_started(self):
        self.keeps_through(self.agent.kill9)

    def ended_while_away(self, leave):
        rest = KernelRest(self)
        before = rest.settled()
        self.reserve()
        puppet = self.start()
        self.expect_on(puppet)
        leave()
        puppet.quit()
        puppet.container.wait()
        self.agent.start()
        self.assertEqual(self.state(), "held")
        rest.expect(before - q20(2 * MS, 100 * MS))
        self.expect_on(self.start())

    @test
    def a_container_that_ended_while_the_agent_was_stopped_is_unbound_at_its_start(self):
        self.ended_while_away(self.agent.stop)

    @test
    def a_container_that_ended_after_the_agent_was_killed_is_unbound_at_its_start(self):
        self.ended_while_away(self.agent.kill9)

    @test
    def a_promise_outlives_the_agent_and_its_device_with_it(self):
        rest = KernelRest(self)
        before = rest.settled()
        self.reserve()
        for leave in (self.agent.kill9, self.agent.stop):
            leave()
            self.agent.start()
            self.assertEqual(self.state(), "held")
            rest.expect(before - q20(2 * MS, 100 * MS))
        self.expect_on(self.start())

    @test
    def a_program_that_began_while_the_agent_was_away_is_put_in_at_its_start(self):
        for leave in (self.agent.stop, self.agent.kill9):
            self.reserve()
            # A program that another one becomes, as a runtime's init does.
            other = Path(self.stage.folder, "init")
            if not other.exists():
                shutil.copy(self.stage.command()[0], other)
            init = subprocess.Popen([other, self.stage.path], stdin=subprocess.DEVNULL)
            self.addCleanup(init.wait)
            puppet = self.stage.next()
            self.agent.call("Bind", name=self.name, pid=puppet.pid, container="box")
            leave()
            puppet.become(self.stage.command()[0])
            self.agent.start()
            self.expect_on(puppet)
            self.agent.call("Release", name=self.name)

    @test
    def a_process_that_joined_while_the_agent_was_away_is_taken_in_at_its_start(self):
        self.reserve(cores=2, threads={"match": ["rt-*"]})
        puppet = self.start()
        puppet.start("rt-1")
        wait_for("its thread is under it", lambda: is_on(puppet.tid("rt-1")))
        self.agent.kill9()
        puppet.do("main", "daemon")
        child = self.stage.next()
        child.start("rt-2")
        puppet.do("rt-1", "rename", "idle")
        self.agent.start()
        wait_for(
            "the child's thread is, and the renamed one is not",
            lambda: is_on(child.tid("rt-2")) and not is_on(puppet.tid("idle")),
        )
        puppet.quit()
        child.quit()
        self.expect_state("held")


class Group(Containers):
    needs = (*Containers.needs, rt_groups)

    def group(self):
        resv = self.resv()
        folder = Path(CPU_CGROUPS + resv["cgroup"])
        return tuple(int(first_line(folder / f"cpu.rt_{n}_us")) for n in ("runtime", "period"))

    @test
    def a_container_gets_its_share_as_a_group_and_leaves_nothing(self):
        self.start_plain_first()
        before = rt_shares()
        self.reserve("2ms", "20ms", placement="group", guarantee="soft", cores=1)
        self.assertNotIn("boundNs", self.agent.reservations()[self.name])
        puppet = self.start()
        wait_for("its thread is SCHED_FIFO", lambda: self.is_fifo(puppet.pid))
        self.assertEqual(self.group(), (2000, 20000))
        parents = {g: s for g, s in rt_shares().items() if before.get(g, s) != s}
        self.assertTrue(all(runtime > 0 for runtime, _ in parents.values()), parents)
        self.assertEqual(puppet.do("main", "policy"), str(SCHED_FIFO))
        puppet.do("main", "fork")
        self.assertEqual(self.stage.next().do("main", "policy"), str(SCHED_OTHER))
        puppet.container.end()
        self.expect_state("held")
        self.expect_groups_as(before)

    def start_plain_first(self):
        """So that podman's own groups, which stay, are there before."""
        Container(self, ["true"]).wait()

    def expect_groups_as(self, before):
        """Other programs' groups may have come or gone."""

        def changed():
            now = rt_shares()
            return {g: (share, now[g]) for g, share in before.items() if now.get(g, share) != share}

        try:
            wait_for("the groups are as before", lambda: not changed())
        except AssertionError:
            raise AssertionError(f"not as before: {changed()}\n{self.agent.log()}") from None

    @staticmethod
    def is_fifo(tid):
        attr = sched_getattr(tid)
        return attr.policy == SCHED_FIFO and attr.priority == 1

    @test
    def its_threads_keep_it_while_the_agent_is_killed_and_all_is_undone_after(self):
        self.start_plain_first()
        before = rt_shares()
        self.reserve("2ms", "20ms", placement="group", guarantee="soft")
        puppet = self.start()
        wait_for("its thread is SCHED_FIFO", lambda: self.is_fifo(puppet.pid))
        watcher = Watcher(lambda: self.is_fifo(puppet.pid))
        self.agent.kill9()
        self.agent.start()
        self.assertEqual(watcher.stop().seen, [True])
        self.assertEqual(self.group(), (2000, 20000))
        self.agent.kill9()
        puppet.container.end()
        self.agent.start()
        self.assertEqual(self.state(), "held")
        self.expect_groups_as(before)

    @test
    def its_thread_is_normal_and_the_group_empty_when_it_is_released(self):
        self.start_plain_first()
        self.reserve("2ms", "20ms", placement="group", guarantee="soft")
        puppet = self.start()
        wait_for("its thread is SCHED_FIFO", lambda: self.is_fifo(puppet.pid))
        folder = Path(CPU_CGROUPS + self.resv()["cgroup"])
        self.agent.call("Release", name=self.name)
        self.assertEqual(puppet.do("main", "policy"), str(SCHED_OTHER))
        self.assertEqual(first_line(folder / "cpu.rt_runtime_us"), "0")

    @test
    def two_containers_below_one_cgroup_have_their_shares_and_it_has_what_both_need(self):
        """As in a pod: parents of more than one level, which grow and shrink with each."""
        top = Path(CPU_CGROUPS, f"takt-{os.getpid()}")
        self.addCleanup(self.remove_cgroups, top.name)
        other = f"{self.name}-other"
        self.addCleanup(remove_device, other)
        self.reserve("2ms", "20ms", placement="group", guarantee="soft")
        self.agent.reserve(other, "1ms", "20ms", placement="group", guarantee="soft")

        def has(runtime):
            shares = [first_line(f / "cpu.rt_runtime_us") for f in (top, top / "pod")]
            # Their period is the kernel's own: 1 s.
            return shares == [str(runtime)] * 2

        inside = ("--cgroup-parent", f"/{top.name}/pod")
        first = self.start(*inside)
        wait_for("both levels have the first one's", lambda: has(100_000))
        second = self.start(*inside, name=other)
        wait_for("both levels have what both need", lambda: has(150_000))
        for puppet in (first, second):
            wait_for("its thread is SCHED_FIFO", lambda puppet=puppet: self.is_fifo(puppet.pid))
        first.container.end()
        wait_for("both levels have the second one's", lambda: has(50_000))
        self.assertTrue(self.is_fifo(second.pid))
        self.agent.kill9()
        second.container.end()
        self.remove_cgroups(f"{top.name}/pod")
        self.agent.start()
        wait_for("nothing is left", lambda: first_line(top / "cpu.rt_runtime_us") == "0")

    def remove_cgroups(self, name):
        for top in Path("/sys/fs/cgroup").glob(f"*/{name}"):
            for folder, _, _ in os.walk(top, topdown=False):
                # podman's monitor may be leaving
                wait_for(f"{folder} is empty", lambda folder=folder: self.removed(folder))

    @staticmethod
    def removed(folder):
        try:
            os.rmdir(folder)
        except OSError as error:
            return error.errno == errno.ENOENT
        return True

    @test
    def a_hard_guarantee_is_refused(self):
        refused = self.refused("DoesNotFit", self.reserve, placement="group")
        self.assertIn("soft", refused.reason)


class FullMachine(Case):
    needs = (root, deadline, kernel_admission, connector, agent)

    @test
    def the_agent_comes_back_to_its_own_reservation_where_all_is_promised(self):
        taktd = Agent(self).start()
        for runtime in ("100ms", "10ms", "1ms", "100us"):
            with self.assertRaises(TaktError) as refused:
                for n in range(100):
                    taktd.reserve(f"r-{runtime}-{n}", runtime, "1s", guarantee="soft")
            self.assertEqual(refused.exception.name, "DoesNotFit")
        for _ in range(20):  # work that takes it out of its reservation for a while
            taktd.call("List")
        wait_for("it is under its own reservation", lambda: is_on(taktd.pid))

        def statuses():
            return {c["name"]: c["status"] for c in taktd.call("Node")["checks"]}

        wait_for("doctor says so", lambda: statuses()["agent"] == "ok")
        wait_for("all that is promised is held", lambda: statuses()["held"] == "ok")
