# SPDX-License-Identifier: Apache-2.0
"""Disks that are full, read-only, damaged or somebody else's: the agent says so in one sentence,
loses nothing that it promised, and works again when that is mended."""

import os
import sqlite3
import subprocess
from pathlib import Path

from harness import Case, TaktError, deadline, root, test, wait_for
from kernel import WAIT_SECONDS
from puppet import settled
from truth import CrashAgent, Program, Stored

NOBODY = 65534
CDI = "rt.takt.dev-reservation_{}.json"


def mount(case, folder, options, kind="tmpfs"):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", kind, "-o", options, kind, folder], check=True)
    case.addCleanup(subprocess.run, ["umount", "--lazy", folder], check=True)
    return folder


def make_read_only(case, folder):
    """The folder's mount for everybody who opens it from now on."""
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    case.addCleanup(subprocess.run, ["umount", "--lazy", folder], capture_output=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)


def make_writable(folder):
    subprocess.run(["umount", folder], check=True)


def fill(folder):
    """Takes all the room that is left; returns the file to delete."""
    filler = Path(folder) / "filler"
    with open(filler, "wb", buffering=0) as f:
        try:
            while True:
                f.write(bytes(4096))
        except OSError:
            pass
    return filler


class Disk(Case):
    needs = (root, deadline)

    def agrees(self, agent):
        """The store, List and the CDI folder name the same reservations."""

        def same():
            listed = set(agent.reservations())
            stored = set(Stored(agent).pids)
            files = {p.name for p in agent.cdi_dir.glob("rt.takt.dev-*")}
            return listed == stored and {CDI.format(n) for n in listed} <= files

        wait_for("store, List and CDI folder agree", same)

    def fails_to_start(self, agent, *words):
        """It ends by itself, with one sentence that has these words."""
        before = len(agent.log())
        agent.spawn()
        self.assertIn(agent.process.wait(WAIT_SECONDS), (70, 77))
        lines = agent.log()[before:].splitlines()
        self.assertEqual(len(lines), 1, lines)
        for word in words:
            self.assertIn(word, lines[0])

    def works(self, agent, name="works"):
        agent.reserve(name, "1ms", "100ms")
        agent.call("Release", name=name)

    def bound(self, agent, name):
        """A reservation that runs."""
        agent.reserve(name, "1ms", "100ms")
        program = Program(self)
        agent.call("Bind", name=name, pid=program.pid)
        program.go()
        wait_for("it runs", lambda: agent.reservations()[name]["threads"])
        return program


class Full(Disk):
    def fill_by_reserving(self, agent):
        """Until one is refused for want of room; returns the error's sentence."""
        for n in range(1000):
            try:
                agent.reserve(f"more-{n}", "10us", "100ms", guarantee="soft")
            except TaktError as error:
                self.assertEqual(error.name, "Failed")
                self.assertNotIn(f"more-{n}", agent.reservations())
                return error.reason
        raise AssertionError("the disk is never full")

    @test
    def a_full_disk_refuses_and_keeps_what_was_promised(self):
        agent = CrashAgent(self)
        mount(self, agent.state_dir, "size=2m,mode=700")
        agent.start()
        program = self.bound(agent, "kept")
        filler = fill(agent.state_dir)
        self.assertIn("no room is left", self.fill_by_reserving(agent))
        self.agrees(agent)
        error = self.refused("Failed", agent.call, "Release", name="kept")
        self.assertIn("no room is left", error.reason)
        wait_for("its thread is on again", lambda: agent.reservations()["kept"]["threads"])
        self.assertEqual(agent.reservations()["kept"]["threads"][0]["tid"], program.pid)
        self.assertTrue((agent.run_dir / "kept" / "takt.sock").is_socket())
        self.agrees(agent)
        names = set(agent.reservations())
        agent.kill9()
        filler.unlink()
        agent.start()
        self.assertEqual(set(agent.reservations()), names)
        self.works(agent)
        self.agrees(agent)

    @test
    def an_attached_thread_stays_what_it_was_when_the_disk_is_full(self):
        settled()  # the agent of the test before was killed with much of the machine
        agent = CrashAgent(self)
        mount(self, agent.state_dir, "size=2m,mode=700")
        agent.start()
        agent.reserve("hand", "1ms", "100ms", cores=2, threads={"attach": True})
        one, two = Program(self), Program(self)
        agent.call("Attach", name="hand", tids=[one.pid])
        filler = fill(agent.state_dir)
        self.fill_by_reserving(agent)
        self.refused("Failed", agent.call, "Detach", name="hand", tids=[one.pid])
        self.refused("Failed", agent.call, "Attach", name="hand", tids=[two.pid])
        self.assertEqual([t["tid"] for t in agent.reservations()["hand"]["threads"]], [one.pid])
        self.assertEqual(Stored(agent).threads, [("hand", one.pid)])
        filler.unlink()
        agent.call("Detach", name="hand", tids=[one.pid])
        agent.call("Attach", name="hand", tids=[two.pid])
        self.assertEqual([t["tid"] for t in agent.reservations()["hand"]["threads"]], [two.pid])

    @test
    def what_ends_while_the_disk_is_full_is_released_when_there_is_room(self):
        agent = CrashAgent(self)
        mount(self, agent.state_dir, "size=2m,mode=700")
        agent.start()
        document = agent.reserve("kept", "1ms", "100ms")["document"]
        document["metadata"]["name"] = "brief"
        owner = agent.connect()
        owner.call("Reserve", document=document, transient=True)
        filler = fill(agent.state_dir)
        self.fill_by_reserving(agent)
        owner.close()
        wait_for("its end is refused", lambda: "brief: still promised" in agent.log())
        self.assertIn("brief", agent.reservations())
        filler.unlink()
        wait_for("it is released", lambda: "brief" not in agent.reservations())
        self.agrees(agent)

    @test
    def a_full_cdi_folder_refuses_and_does_not_hinder_a_release(self):
        agent = CrashAgent(self)
        mount(self, agent.cdi_dir, "size=64k")
        agent.start()
        agent.reserve("kept", "1ms", "100ms")
        filler = fill(agent.cdi_dir)
        error = self.refused("Failed", agent.reserve, "new", "1ms", "100ms")
        self.assertIn(str(agent.cdi_dir), error.reason)
        self.assertEqual(set(agent.reservations()), {"kept"})
        self.assertEqual(list(Stored(agent).pids), ["kept"])
        self.assertFalse((agent.run_dir / "new").exists())
        agent.call("Release", name="kept")
        filler.unlink()
        self.assertEqual(os.listdir(agent.cdi_dir), [])
        agent.reserve("new", "1ms", "100ms")
        self.agrees(agent)

    @test
    def one_full_disk_for_the_store_and_the_cdi_folder_leaves_no_half_promise(self):
        agent = CrashAgent(self)
        both = mount(self, Path(self.folder()) / "both", "size=2m,mode=700")
        agent.state_dir, agent.cdi_dir = both / "state", both / "cdi"
        agent.state_dir.mkdir(mode=0o700)
        agent.start()
        filler = fill(both)
        self.fill_by_reserving(agent)
        self.agrees(agent)
        names = set(agent.reservations())
        agent.kill9()
        filler.unlink()
        agent.start()
        self.assertEqual(set(agent.reservations()), names)
        self.agrees(agent)

    @test
    def an_agent_does_not_start_on_a_full_disk_and_says_so(self):
        agent = CrashAgent(self)
        mount(self, agent.state_dir, "size=64k,mode=700")
        filler = fill(agent.state_dir)
        self.fails_to_start(agent, "no room is left", str(agent.state_dir))
        filler.unlink()
        subprocess.run(["mount", "-o", "remount,size=2m", agent.state_dir], check=True)
        self.works(agent.start())


class ReadOnly(Disk):
    @test
    def an_agent_does_not_start_on_a_read_only_disk_and_loses_nothing(self):
        agent = CrashAgent(self).start()
        agent.reserve("kept", "1ms", "100ms")
        agent.stop()
        make_read_only(self, agent.state_dir)
        self.fails_to_start(agent, "read-only", str(agent.state_dir))
        make_writable(agent.state_dir)
        agent.start()
        self.assertEqual(set(agent.reservations()), {"kept"})
        self.works(agent)

    @test
    def a_read_only_cdi_folder_refuses_and_is_mended_by_the_next_start(self):
        agent = CrashAgent(self).start()
        agent.reserve("ends", "1ms", "100ms")
        make_read_only(self, agent.cdi_dir)
        error = self.refused("Failed", agent.reserve, "new", "1ms", "100ms")
        self.assertIn("Read-only", error.reason)
        agent.call("Release", name="ends")
        self.assertEqual(agent.reservations(), {})
        make_writable(agent.cdi_dir)
        agent.stop()
        agent.start()
        self.assertEqual(os.listdir(agent.cdi_dir), [])
        self.works(agent)


class Damaged(Disk):
    def damaged(self, damage, kept=True):
        """Promises, a damaged store, and what the next agent makes of it."""
        agent = CrashAgent(self).start()
        for n in range(20):
            agent.reserve(f"r{n}", "100us", "100ms")
        agent.stop()
        database = agent.state_dir / "takt.db"
        damage(database)
        left = database.read_bytes()
        agent.start()
        self.assertEqual(agent.reservations(), {})
        self.works(agent)
        self.agrees(agent)
        aside = list(agent.state_dir.glob("takt.db.damaged-*"))
        aside = [p for p in aside if not p.name.endswith("-wal")]
        if kept:
            self.assertEqual([p.read_bytes() for p in aside], [left])
            self.assertIn("was set aside as takt.db.damaged-", agent.log())
            checks = agent.call("Node")["checks"]
            self.assertTrue(any(aside[0].name in c["detail"] for c in checks), checks)

    @test
    def a_store_with_flipped_bytes_is_set_aside(self):
        def flip(path):
            data = bytearray(path.read_bytes())
            for at in range(4096, len(data), 97):
                data[at] ^= 0x55
            path.write_bytes(data)

        self.damaged(flip)

    @test
    def a_store_with_a_damaged_header_is_set_aside(self):
        self.damaged(lambda path: path.write_bytes(b"?" * 100 + path.read_bytes()[100:]))

    @test
    def a_store_that_is_cut_short_is_set_aside(self):
        self.damaged(lambda path: os.truncate(path, path.stat().st_size // 2))

    @test
    def a_store_of_a_few_bytes_is_set_aside(self):
        self.damaged(lambda path: os.truncate(path, 100))

    @test
    def garbage_instead_of_a_store_is_set_aside(self):
        self.damaged(lambda path: path.write_bytes(os.urandom(70000)))

    @test
    def an_empty_file_is_a_new_store(self):
        self.damaged(lambda path: os.truncate(path, 0), kept=False)

    @test
    def a_store_of_a_newer_version_is_left_as_it_is(self):
        agent = CrashAgent(self).start()
        agent.reserve("kept", "1ms", "100ms")
        agent.stop()
        path = agent.state_dir / "takt.db"

        def set_version(number):
            with sqlite3.connect(path) as db:
                old = db.execute("PRAGMA user_version").fetchone()[0]
                db.execute(f"PRAGMA user_version = {number}")
            db.close()
            return old

        version = set_version(99)
        before = path.read_bytes()
        self.fails_to_start(agent, "newer Takt", "99")
        self.assertEqual(path.read_bytes(), before)
        set_version(version)
        agent.start()
        self.assertEqual(set(agent.reservations()), {"kept"})

    @test
    def another_programs_database_is_set_aside(self):
        def another(path):
            path.unlink()
            with sqlite3.connect(path) as db:
                db.execute("CREATE TABLE recipes (name TEXT)")
            db.close()

        self.damaged(another)


class Foreign(Disk):
    @test
    def foreign_files_are_left_as_they_are(self):
        agent = CrashAgent(self)
        other = CrashAgent(self)
        strange = [
            "state/notes.txt", "state/takt.db.old", "state/.hidden", "cdi/vendor-device.json",
            "cdi/rt.takt.dev-reservation_mine.json", "cdi/rt.takt.dev-reservation_bad name.json",
            "cdi/.rt.takt.dev-notes", "run/notes.txt", "run/kept/notes.txt", "run/folder/notes",
        ]  # fmt: skip
        for name in strange:
            path = agent.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"not of Takt: {name}")
        os.chmod(agent.state_dir, 0o700)
        os.symlink("/etc/hostname", agent.cdi_dir / "rt.takt.dev-reservation_link.json")
        other.cdi_dir = agent.cdi_dir
        other.start()
        other.reserve("theirs", "1ms", "100ms")
        agent.start()
        agent.reserve("kept", "1ms", "100ms")
        agent.kill9()
        agent.start()
        for name in ("mine", "link", "theirs"):
            error = self.refused("Failed", agent.reserve, name, "1ms", "100ms")
            self.assertIn(CDI.format(name), error.reason)
            self.assertNotIn(name, agent.reservations())
        agent.call("Release", name="kept")
        agent.stop()
        for name in strange:
            self.assertEqual((agent.folder / name).read_text(), f"not of Takt: {name}")
        self.assertTrue((agent.cdi_dir / "rt.takt.dev-reservation_link.json").is_symlink())
        self.assertTrue((agent.cdi_dir / CDI.format("theirs")).exists())

    @test
    def a_file_where_the_socket_shall_be_is_left_as_it_is(self):
        agent = CrashAgent(self)
        agent.socket.write_text("precious")
        self.fails_to_start(agent, "not a socket", str(agent.socket))
        self.assertEqual(agent.socket.read_text(), "precious")
        agent.socket.unlink()
        self.works(agent.start())

    @test
    def a_file_where_an_own_socket_shall_be_is_left_as_it_is(self):
        agent = CrashAgent(self).start()
        agent.reserve("name", "1ms", "100ms")
        precious = agent.run_dir / "name" / "takt.sock"
        precious.write_text("precious")
        program = Program(self)
        error = self.refused("NotApplicable", agent.call, "Bind", name="name", pid=program.pid)
        self.assertIn("not a socket", error.reason)
        self.assertEqual(precious.read_text(), "precious")
        precious.unlink()
        agent.call("Bind", name="name", pid=program.pid)

    @test
    def a_missing_state_folder_is_made_for_root_alone(self):
        agent = CrashAgent(self)
        agent.state_dir = agent.folder / "new"
        agent.mkdirs = False
        self.works(agent.start())
        self.assertEqual(agent.state_dir.stat().st_mode & 0o777, 0o700)

    @test
    def a_state_folder_that_cannot_be_made_is_named(self):
        agent = CrashAgent(self)
        agent.mkdirs = False
        agent.state_dir = agent.folder / "missing" / "state"
        self.fails_to_start(agent, str(agent.state_dir))
        agent.state_dir = agent.folder / "file"
        agent.state_dir.write_text("precious")
        self.fails_to_start(agent, str(agent.state_dir))
        self.assertEqual(agent.state_dir.read_text(), "precious")

    @test
    def a_state_folder_that_others_may_write_to_is_refused(self):
        agent = CrashAgent(self).start()
        agent.reserve("kept", "1ms", "100ms")
        agent.stop()
        for mode in (0o770, 0o707, 0o1777):
            os.chmod(agent.state_dir, mode)
            self.fails_to_start(agent, "others may write", str(agent.state_dir))
        os.chmod(agent.state_dir, 0o700)
        os.chown(agent.state_dir, NOBODY, NOBODY)
        self.fails_to_start(agent, f"belongs to user {NOBODY}", str(agent.state_dir))
        os.chown(agent.state_dir, 0, 0)
        agent.start()
        self.assertEqual(set(agent.reservations()), {"kept"})


class Second(Disk):
    @test
    def a_second_agent_on_the_same_state_folder_is_refused(self):
        first, second = CrashAgent(self).start(), CrashAgent(self)
        first.reserve("kept", "1ms", "100ms")
        second.state_dir = first.state_dir
        self.fails_to_start(second, f"process {first.pid}", str(first.state_dir))
        self.assertEqual(set(first.reservations()), {"kept"})
        self.works(first)
        first.stop()
        second.start()
        self.assertEqual(set(second.reservations()), {"kept"})

    @test
    def a_second_agent_on_the_same_socket_is_refused(self):
        first, second = CrashAgent(self).start(), CrashAgent(self)
        first.reserve("kept", "1ms", "100ms")
        second.socket = first.socket
        self.fails_to_start(second, "another taktd answers", str(first.socket))
        self.assertEqual(set(first.reservations()), {"kept"})
        self.works(first)
