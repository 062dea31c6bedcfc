# SPDX-License-Identifier: Apache-2.0
"""The agent is killed at random moments while clients reserve, bind, attach and release and every
CPU is loaded; after each restart nothing that was answered is lost, and nothing else is kept."""

import os
import random
import threading
import time

from harness import Case, TaktError, deadline, kernel_admission, root, spin, test, wait_for
from truth import CrashAgent, Program, Truth, state_template

KILLS = 500 if os.environ.get("TAKT_LONG") == "1" else 60
CLIENTS = 4
NAMES = 3  # reservations of one client
SEED = int(os.environ.get("TAKT_SEED", "7"))


class Client(threading.Thread):
    """Random operations on its own reservations, and what was answered of them. It rests while
    the agent is dead."""

    def __init__(self, case, agent, number):
        super().__init__(daemon=True)
        self.case, self.agent = case, agent
        self.random = random.Random(SEED * 1000 + number)
        self.names = [f"c{number}-{n}" for n in range(NAMES)]
        # Of each name: True, False, or None where the answer was lost.
        self.promised = dict.fromkeys(self.names, False)
        self.programs = {}  # name: (program, how), of acknowledged Bind and Attach
        self.done = 0
        self.go, self.rests = threading.Event(), threading.Event()
        self.ends, self.fault = False, None

    def run(self):
        while True:
            self.rests.set()
            self.go.wait()
            if self.ends:
                return
            self.rests.clear()
            try:
                while self.go.is_set():
                    self.step(self.random.choice(self.names))
                    self.done += 1
            except (OSError, TaktError) as error:
                if isinstance(error, TaktError) and error.name not in ("Busy", "Failed"):
                    self.fault = error
                self.go.clear()

    def step(self, name):
        if not self.promised[name]:
            self.reserve(name)
        elif name in self.programs:
            self.random.choice((self.release, self.let_go, self.let_go))(name)
        else:
            self.random.choice((self.release, self.bind, self.bind, self.attach))(name)

    def reserve(self, name):
        runtime, cores = self.random.choice(("1ms", "2ms")), self.random.choice((1, 2))
        self.drop(name)
        self.promised[name] = None
        rule = {"all": True} if self.random.random() < 0.5 else {"main": True}
        try:
            self.agent.reserve(name, runtime, "100ms", cores=cores, threads=rule)
            self.promised[name] = True
        except TaktError as error:
            if error.name == "Exists":  # of an answer that was lost
                self.release(name)
            elif error.name != "DoesNotFit":
                raise
            else:
                self.promised[name] = False

    def release(self, name):
        self.promised[name] = None
        self.drop(name)
        try:
            self.agent.call("Release", name=name)
        except TaktError as error:
            if error.name != "NoSuchReservation":
                raise
        self.promised[name] = False

    def drop(self, name):
        if name in self.programs:
            self.programs.pop(name)[0].end()

    def bind(self, name):
        program = Program(self.case)
        try:
            self.agent.call("Bind", name=name, pid=program.pid)
        except BaseException:
            program.end()
            raise
        self.programs[name] = (program, "bind")
        program.go()

    def attach(self, name):
        program = Program(self.case)
        try:
            self.agent.call("Attach", name=name, tids=[program.pid])
        except BaseException:
            program.end()
            raise
        self.programs[name] = (program, "attach")

    def let_go(self, name):
        program, how = self.programs.pop(name)
        try:
            if how == "attach" and self.random.random() < 0.5:
                self.agent.call("Detach", name=name, tids=[program.pid])
        finally:
            program.end()

    def check(self, listed):
        """What was answered, and is not so."""
        found = []
        for name in self.names:
            there = name in listed
            if self.promised[name] is not None and self.promised[name] != there:
                found.append(f"{name}: answered {self.promised[name]}, List has it: {there}")
            if name in self.programs and there:
                tids = {t["tid"] for t in listed[name]["threads"]}
                if self.programs[name][0].pid not in tids:
                    found.append(f"{name}: {self.programs[name]} is not on, but {tids}")
        return found


class RandomKills(Case):
    needs = (root, deadline, kernel_admission)

    @test
    def an_agent_killed_at_random_under_load_loses_nothing(self):
        template, chance = state_template(self), random.Random(SEED)
        truth = Truth(self)
        agent = CrashAgent(self, template).start_plain()
        clients = [Client(self, agent, n) for n in range(CLIENTS)]
        self.addCleanup(self.finish, clients)
        for _ in range(os.cpu_count()):
            spin(self)
        for client in clients:
            client.start()
        for kill in range(KILLS):
            for client in clients:
                client.go.set()
            time.sleep(chance.uniform(0.005, 0.25))
            agent.kill9()
            for client in clients:
                client.go.clear()
                self.assertTrue(client.rests.wait(60))
                self.assertIsNone(client.fault)
            truth.restart(agent)
            self.answered_holds(agent, clients, kill)
        steps = sum(client.done for client in clients)
        print(f"# {KILLS} kills (seed {SEED}), {steps} operations of {CLIENTS} clients", flush=True)
        self.finish(clients)
        agent.release_all()
        agent.stop()
        truth.all_is_back()

    def answered_holds(self, agent, clients, kill):
        found = []

        def holds():
            listed = agent.reservations()
            found[:] = [f for client in clients for f in client.check(listed)]
            return not found

        try:
            wait_for("what was answered holds", holds)
        except AssertionError:
            raise AssertionError(f"after kill {kill}: {found}") from None

    def finish(self, clients):
        for client in clients:
            client.ends = True
            client.go.set()
            client.join(60)
            for name in list(client.programs):
                client.drop(name)
