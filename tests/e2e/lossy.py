# SPDX-License-Identifier: Apache-2.0
"""A container runtime that loses what it should tell: stands between containerd's NRI socket and a
plugin, passes all on, and while `losing` answers the runtime's calls itself, so that the plugin
never hears of them and both keep their connection. Frames: containerd/nri pkg/net/multiplex, and
containerd/ttrpc PROTOCOL.md. Used by test_nri.py."""

import contextlib
import socket
import struct
import threading

MUX_HEADER = struct.Struct(">II")  # connection, length
TTRPC_HEADER = struct.Struct(">IIBB")  # length, stream, type, flags
PLUGIN_CONNECTION = 1  # on which the runtime calls the plugin
REQUEST, RESPONSE = 1, 2


class Side:
    """One of both sockets; frames are written whole, whoever writes them."""

    def __init__(self, connected):
        self.socket, self._lock = connected, threading.Lock()

    def read(self, length):
        data = b""
        while len(data) < length:
            part = self.socket.recv(length - len(data))
            if not part:
                raise ConnectionError("closed")
            data += part
        return data

    def frames(self):
        while True:
            connection, length = MUX_HEADER.unpack(self.read(MUX_HEADER.size))
            yield connection, self.read(length)

    def write(self, connection, data):
        with self._lock:
            self.socket.sendall(MUX_HEADER.pack(connection, len(data)) + data)

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)


class LossyRuntime:
    """Listens at `path` for a plugin of the runtime at `runtime`. `lost` counts."""

    def __init__(self, case, path, runtime):
        self.runtime, self.losing, self.lost = runtime, False, 0
        self._sides, self._threads = [], []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._begin(self._accept)
        case.addCleanup(self._end)

    def _begin(self, function, *words):
        thread = threading.Thread(target=function, args=words)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                plugin, runtime = Side(self._listener.accept()[0]), socket.socket(socket.AF_UNIX)
                runtime.connect(str(self.runtime))
                sides = plugin, Side(runtime)
                self._sides += sides
                self._begin(self._carry, self._pass_on, *sides)
                self._begin(self._carry, self._pass_or_lose, *reversed(sides))

    @staticmethod
    def _carry(how, source, target):
        with contextlib.suppress(OSError):
            how(source, target)
        source.close()
        target.close()

    @staticmethod
    def _pass_on(plugin, runtime):
        for connection, data in plugin.frames():
            runtime.write(connection, data)

    def _pass_or_lose(self, runtime, plugin):
        """A message of ttrpc may come in several frames."""
        part = b""
        for connection, data in runtime.frames():
            if connection != PLUGIN_CONNECTION:
                plugin.write(connection, data)
                continue
            part += data
            while len(part) >= TTRPC_HEADER.size:
                length, stream, kind, _ = TTRPC_HEADER.unpack_from(part)
                end = TTRPC_HEADER.size + length
                if len(part) < end:
                    break
                message, part = part[:end], part[end:]
                if self.losing and kind == REQUEST:
                    self.lost += 1
                    # Neither a status nor a payload: it went well, and nothing is to be changed.
                    runtime.write(connection, TTRPC_HEADER.pack(0, stream, RESPONSE, 0))
                else:
                    plugin.write(connection, message)

    def _end(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for side in self._sides:
            side.close()
        for thread in self._threads:
            thread.join()
        self._listener.close()
        for side in self._sides:
            side.socket.close()
