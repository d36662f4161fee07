# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The connections to a guardian: of workers, and of the main process."""

from __future__ import annotations

import errno
import functools
import resource
import socket
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc import endpoint
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import (
    FrameError,
    FrameReader,
    JsonObject,
    encode,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import (
    Request,
    read_request,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.table import LeaseTableError
from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import Loop

#: Descriptors that are kept for the guardian's own work: couriers, and looks at the process table.
#: Without them it could not tell who is alive.
_SPARE_DESCRIPTORS = 64

_NO_ROOM_ERRORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

#: Seconds until it is tried again to take a connection for which there was no room.
_ROOM_PAUSE_SECONDS = 0.1


class NotTheMainProcess(Exception):
    """A worker, or a stranger, has sent a request that the main process alone may send."""


class ClientConnection:
    """One connection: a worker, or the main process."""

    def __init__(self, number: int, connection: socket.socket, pid: int) -> None:
        self.number = number
        self.socket = connection
        self.pid = pid
        self.reader = FrameReader()
        self.unsent = bytearray()
        """Of replies: it has not read what was sent before."""
        self.is_deaf = False
        """Whether it reads no more replies. What it has sent before that is still to be read."""
        self.is_worker = False
        """Whether it has taken a lease: only that makes it a process of the run."""
        self.is_main = False
        """The main process: it is told when the clients stand still."""
        self.polls: tuple[str, str] | None = None
        """The host and the id of the asynchronous job that it waits for, started by another task with poll 0."""


class ClientConnections:
    """All of them, from when each connects until it hangs up, or says what makes no sense."""

    def __init__(
        self,
        loop: Loop,
        listener: socket.socket,
        take: t.Callable[[ClientConnection, Request, int | None], None],
        gone: t.Callable[[ClientConnection], None],
    ) -> None:
        """`take` gets each request with its number; it raises for one that makes no sense. `gone` gets what has hung up, or was hung up on."""
        self._loop = loop
        self._listener = listener
        self._take = take
        self._gone = gone
        self._connected: dict[int, ClientConnection] = {}
        self._last_number = 0
        self._listening = False

    def __iter__(self) -> t.Iterator[ClientConnection]:
        return iter([*self._connected.values()])

    def listen(self) -> None:
        """From now on connections are served."""
        self._listening = True
        self._loop.watch(self._listener.fileno(), self._accept)

    def close(self) -> None:
        """Those that are there stay; nobody else gets in."""
        self._pause_listening()
        self._listener.close()

    def _pause_listening(self) -> None:
        if self._listening:
            self._listening = False
            self._loop.unwatch(self._listener.fileno())

    def reply(self, client: ClientConnection, frame: JsonObject) -> bool:
        """Send a reply. Whether the client can still read it.

        What the kernel does not take is sent when the client has read: nothing waits for a client that stands still.
        """
        if client.number not in self._connected or client.is_deaf:
            return False
        client.unsent += encode(frame)
        self._send(client)
        return not client.is_deaf

    def _send(self, client: ClientConnection) -> None:
        if client.number not in self._connected:
            return
        try:
            while client.unsent:
                sent = client.socket.send(client.unsent)
                del client.unsent[:sent]
        except BlockingIOError:
            self._loop.when_writable(client.socket.fileno(), functools.partial(self._send, client))
        except OSError as error:
            if error.errno in _NO_ROOM_ERRORS:
                self._loop.after(_ROOM_PAUSE_SECONDS, functools.partial(self._send, client))
                return
            # It has hung up, which is heard after what it said last: its commands may have returned.
            client.is_deaf = True
            client.unsent.clear()
            self._loop.when_writable(client.socket.fileno(), None)
        else:
            self._loop.when_writable(client.socket.fileno(), None)

    def _accept(self) -> None:
        try:
            connection, dummy = self._listener.accept()
        except OSError as error:
            if error.errno in _NO_ROOM_ERRORS:
                # It stays in the queue, where it would wake this loop for ever.
                self._pause_listening()
                self._loop.after(_ROOM_PAUSE_SECONDS, self._listen_again)
            return  # or it hung up before it was served
        if not _leaves_room(connection.fileno()):
            connection.close()
            return
        try:
            pid = endpoint.check_peer(connection)
        except (endpoint.WrongPeer, OSError):
            connection.close()
            return
        self._last_number += 1
        client = ClientConnection(self._last_number, connection, pid)
        connection.setblocking(False)
        self._connected[client.number] = client
        self._loop.watch(connection.fileno(), lambda: self._read(client))

    def _listen_again(self) -> None:
        if self._listener.fileno() >= 0:
            self.listen()

    def _read(self, client: ClientConnection) -> None:
        try:
            chunk = client.socket.recv(262144)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        try:
            if not chunk:
                self._hang_up(client)
            else:
                for frame in client.reader.feed(chunk):
                    if client.number in self._connected:
                        self._take(client, *read_request(frame))
        except (FrameError, LeaseTableError, NotTheMainProcess, UnicodeError):
            # Garbage, a request that makes no sense here, or a name that is no Unicode: its sender is no worker of ours. What it holds is broken.
            self._hang_up(client)

    def _hang_up(self, client: ClientConnection) -> None:
        if self._connected.pop(client.number, None) is None:
            return
        self._loop.unwatch(client.socket.fileno())
        client.socket.close()
        self._gone(client)


def _leaves_room(descriptor: int) -> bool:
    """Whether enough descriptors above this one are free for the guardian's own work."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return limit == resource.RLIM_INFINITY or descriptor < limit - min(
        _SPARE_DESCRIPTORS, limit // 4
    )
