# SPDX-License-Identifier: Apache-2.0
"""taktd as systemd starts it: on a socket that was handed over, sd_listen_fds(3), and telling how
far it is, sd_notify(3)."""

import os
import socket
from pathlib import Path

from harness import (
    WAIT_SECONDS,
    Agent,
    Case,
    Varlink,
    deadline,
    deadline_threads,
    root,
    systemd,
    test,
    wait_for,
)

EXIT_FAULT = 70
SO_ACCEPTCON = 1 << 16  # include/uapi/linux/net.h, __SO_ACCEPTCON
FULL = "full"
REFUSED = (
    "file descriptor 3, named by LISTEN_FDS, is no listening unix stream socket: "
    "see ListenStream= in taktd.socket"
)


def bound(family, kind, address, backlog=None):
    made = socket.socket(family, kind)
    made.bind(address)
    if backlog is not None:
        made.listen(backlog)
    return made


# What may be handed over by mistake. An abstract address is chosen where it is empty, unix(7).
UNFIT = {
    "a file": lambda: open("/proc/self/status"),
    "an end of a pair": lambda: socket.socketpair()[0],
    "a socket of TCP": lambda: bound(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0), 8),
    "packets": lambda: bound(socket.AF_UNIX, socket.SOCK_SEQPACKET, "", 8),
    "datagrams": lambda: bound(socket.AF_UNIX, socket.SOCK_DGRAM, ""),
    "one that does not listen": lambda: bound(socket.AF_UNIX, socket.SOCK_STREAM, ""),
}


def listens(path):
    """As the kernel says: a peer would have the agent started."""
    lines = Path("/proc/net/unix").read_text().splitlines()[1:]
    return any(l.endswith(f" {path}") and int(l.split()[3], 16) & SO_ACCEPTCON for l in lines)


def listening(case, path):
    """A socket as systemd makes one for taktd.socket."""
    made = bound(socket.AF_UNIX, socket.SOCK_STREAM, str(path), 8)
    case.addCleanup(made.close)
    return made


class Handed(Agent):
    """An agent that has `handed` as its file descriptor 3. LISTEN_PID is a word of the shell that
    becomes the agent, or "" for none."""

    def __init__(self, case, handed=None, listen_pid="$$", listen_fds="1", **options):
        super().__init__(case, **options)
        self.stdin = handed or listening(case, self.socket)
        self.env["LISTEN_FDS"] = listen_fds
        self.say_pid = f"export LISTEN_PID={listen_pid}; " if listen_pid else ""

    def command(self):
        script = self.say_pid + 'exec "$@" 3<&0 </dev/null'
        return ["sh", "-c", script, "sh", *super().command()]


class Activated(Agent):
    """An agent that systemd's own tool starts when the first peer connects."""

    def command(self):
        return ["systemd-socket-activate", f"--listen={self.socket}", *super().command()]


class Notices:
    """What is said to NOTIFY_SOCKET."""

    def __init__(self, case, abstract=False):
        path = f"{case.folder()}/notify"
        self.name = "@" + path if abstract else path
        self._address = "\0" + path if abstract else path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        case.addCleanup(self._socket.close)
        self._socket.bind(self._address)
        self._socket.settimeout(WAIT_SECONDS)

    def next(self):
        return self._socket.recv(4096).decode()

    def all(self):
        """What was said and not read yet."""
        said = []
        self._socket.settimeout(0)
        try:
            while True:
                said.append(self.next())
        except BlockingIOError:
            return said
        finally:
            self._socket.settimeout(WAIT_SECONDS)

    def fill(self):
        """From now on, who says something waits until it is read."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            try:
                while True:
                    sender.sendto(FULL.encode(), socket.MSG_DONTWAIT, self._address)
            except BlockingIOError:
                pass


def holds_bandwidth(taktd):
    return any(t.pid == taktd.pid and t.comm == "takt-hold" for t in deadline_threads())


class HandedOver(Case):
    needs = (root, deadline)

    @test
    def calls_come_by_the_socket_that_was_handed_over(self):
        taktd = Handed(self).start()
        taktd.reserve("mine", "1ms", "100ms")
        self.assertEqual(list(taktd.reservations()), ["mine"])

    @test
    def the_agent_removes_its_own_socket_and_no_other(self):
        given, own = Handed(self), Agent(self)
        made = os.stat(given.socket).st_ino
        given.start()
        self.assertEqual(given.stop(), 0)
        self.assertEqual(os.stat(given.socket).st_ino, made)
        own.start()
        self.assertEqual(own.stop(), 0)
        self.assertFalse(own.socket.exists())

    @test
    def a_call_while_no_agent_runs_is_answered_by_the_next(self):
        taktd = Handed(self).start()
        taktd.kill9()
        with taktd.connect() as door:
            door.send("List")
            taktd.spawn()
            self.assertEqual(door.receive()["parameters"]["reservations"], [])

    @test
    def a_socket_that_is_for_another_process_is_left_alone(self):
        for why, options in (
            ("another's number", {"listen_pid": "$PPID"}),
            ("no number", {"listen_pid": ""}),
            ("no sockets", {"listen_fds": "0"}),
        ):
            with self.subTest(why):
                path = f"{self.folder()}/another"
                anothers = listening(self, path)
                taktd = Handed(self, anothers, **options).start()
                with Varlink(path):
                    taktd.call("Node")  # whoever also listens has taken the peer by then
                    anothers.setblocking(False)
                    anothers.accept()[0].close()
                self.assertEqual(taktd.stop(), 0)

    @test
    def what_is_not_a_listening_stream_socket_is_refused(self):
        for what, make in UNFIT.items():
            with self.subTest(what), make() as unfit:
                notices = Notices(self)
                taktd = Handed(self, unfit, env={"NOTIFY_SOCKET": notices.name}).spawn()
                self.assertEqual(taktd.process.wait(WAIT_SECONDS), EXIT_FAULT)
                self.assertEqual(taktd.log().splitlines()[-1], f"taktd: {REFUSED}")
                self.assertNotIn("READY=1", notices.all())

    @test(needs=[systemd])
    def the_tool_of_systemd_starts_it_for_the_first_call(self):
        taktd = Activated(self).spawn()
        wait_for("the tool listens", lambda: listens(taktd.socket))
        self.assertNotIn("ready", taktd.log())
        self.assertEqual(taktd.reservations(), {})
        self.assertIn("ready", taktd.log())
        self.assertEqual(taktd.stop(), 0)
        self.assertTrue(taktd.socket.exists())


class Notified(Case):
    needs = (root, deadline)

    @test
    def ready_is_said_once_and_stopping_at_the_end(self):
        for abstract in (False, True):
            with self.subTest(abstract=abstract):
                notices = Notices(self, abstract)
                taktd = Handed(self, env={"NOTIFY_SOCKET": notices.name}).start()
                self.assertEqual(notices.next(), "READY=1")
                self.assertEqual(notices.all(), [])
                self.assertEqual(taktd.stop(), 0)
                self.assertEqual(notices.all(), ["STOPPING=1"])

    @test
    def ready_is_said_when_what_was_promised_is_kept_again(self):
        notices = Notices(self)
        taktd = Handed(self, env={"NOTIFY_SOCKET": notices.name}).start()
        taktd.reserve("mine", "1ms", "100ms")
        taktd.kill9()
        self.assertEqual(notices.all(), ["READY=1"])
        (device,) = taktd.cdi_dir.iterdir()
        device.unlink()
        notices.fill()
        taktd.spawn()
        wait_for("its device is there again", device.exists)
        wait_for("its bandwidth is held again", lambda: holds_bandwidth(taktd))
        said = notices.next()
        while said == FULL:
            said = notices.next()
        self.assertEqual(said, "READY=1")

    @test
    def without_anybody_who_hears_it_the_agent_runs_all_the_same(self):
        for path in ("/nonexistent/notify", "notify", "/" + "x" * 200, ""):
            with self.subTest(path=path):
                taktd = Agent(self, env={"NOTIFY_SOCKET": path}).start()
                self.assertEqual(taktd.stop(), 0)
