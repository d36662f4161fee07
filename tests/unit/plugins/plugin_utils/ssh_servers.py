# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ports behind which no ssh server works as it should, and a ControlMaster that dies.

Such a server sends nothing, does not go on, or does not accept.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

#: See PROTOCOL.mux of OpenSSH.
_HELLO, _NEW_SESSION, _ALIVE_CHECK, _ALIVE = 0x00000001, 0x10000002, 0x10000004, 0x80000005


class Port:
    """A port of this machine. What is accepted there stays open."""

    def __init__(self, says: bytes = b"", family: socket.AddressFamily = socket.AF_INET) -> None:
        self._says = says
        self._listener = socket.socket(family)
        self._listener.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        self._listener.listen()
        self.number = int(self._listener.getsockname()[1])
        self.accepted: list[socket.socket] = []

    def accept(self) -> socket.socket:
        """Return the next connection."""
        self._listener.settimeout(60)
        connection, dummy = self._listener.accept()
        connection.sendall(self._says)
        self.accepted.append(connection)
        return connection

    def close(self) -> None:
        for connection in (self._listener, *self.accepted):
            connection.close()


@contextlib.contextmanager
def port(says: bytes = b"", family: socket.AddressFamily = socket.AF_INET) -> Iterator[Port]:
    """A port that accepts connections, and sends these words, or none."""
    one = Port(says, family)
    try:
        yield one
    finally:
        one.close()


@contextlib.contextmanager
def firewalled_port() -> Iterator[int]:
    """A port that answers no packet: its queue is full, and the kernel drops what comes."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for dummy in range(3):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(listener.getsockname())
        yield int(listener.getsockname()[1])


class DyingMaster:
    """A ControlMaster at this path that takes the request for a session.

    It dies before it answers. The host may have got the command.
    """

    def __init__(self, path: Path) -> None:
        self.took_request = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        client, dummy = self._listener.accept()
        self._listener.close()
        with client, client.makefile("rb") as stream:
            client.sendall(_packet(_HELLO, 4))
            while True:
                length = struct.unpack("!I", stream.read(4))[0]
                body = stream.read(length)
                kind = struct.unpack_from("!I", body)[0]
                if kind == _ALIVE_CHECK:
                    client.sendall(_packet(_ALIVE, struct.unpack_from("!I", body, 4)[0], 1))
                elif kind == _NEW_SESSION:
                    stream.read(3)  # with its standard streams
                    self.took_request.set()
                    return


def _packet(*numbers: int) -> bytes:
    return struct.pack(f"!I{len(numbers)}I", 4 * len(numbers), *numbers)
