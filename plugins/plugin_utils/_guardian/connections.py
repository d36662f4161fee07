# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The connections to a guardian: those of workers, and that of the main process."""

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

#: Descriptors that are reserved for the guardian's own work: couriers, and reads of the process
#: table. Without them it could not find out which processes are alive.
_SPARE_DESCRIPTORS = 64

_NO_ROOM_ERRORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

#: Seconds between two tries to accept a connection for which there was no room.
_ROOM_PAUSE_SECONDS = 0.1


class NotTheMainProcess(Exception):
    """A process has sent a request that only the main process may send."""


class ClientConnection:
    """The connection of one worker or of the main process."""

    def __init__(self, number: int, accepted: socket.socket, pid: int) -> None:
        self.number = number
        self.socket = accepted
        self.pid = pid
        self.reader = FrameReader()
        #: Replies that are not sent yet, because the client has not read earlier ones.
        self.unsent = bytearray()
        #: Whether the client reads no more replies. Its earlier requests are still to be read.
        self.is_deaf = False
        #: Whether it has taken a lease. Only that makes it a process of the run.
        self.is_worker = False
        #: Whether it is the main process, which gets a byte when the clients are frozen.
        self.is_main = False
        #: The host and the id of the asynchronous job that it polls. Another task started the job
        #: with poll 0.
        self.polls: tuple[str, str] | None = None


class ClientConnections:
    """All connections of a guardian.

    A connection ends when its client closes it, or sends a message that makes no sense.
    """

    def __init__(
        self,
        loop: Loop,
        listener: socket.socket,
        take: t.Callable[[ClientConnection, Request, int | None], None],
        gone: t.Callable[[ClientConnection], None],
    ) -> None:
        """`take` gets each request with its number, and raises for one that makes no sense.

        `gone` gets each connection that is closed.
        """
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
        """Start to serve connections."""
        self._listening = True
        self._loop.watch(self._listener.fileno(), self._accept)

    def close(self) -> None:
        """Accept no more connections. The present ones stay."""
        self._pause_listening()
        self._listener.close()

    def _pause_listening(self) -> None:
        if self._listening:
            self._listening = False
            self._loop.unwatch(self._listener.fileno())

    def reply(self, connection: ClientConnection, frame: JsonObject) -> bool:
        """Send a reply. Return whether the client can still read it.

        What the kernel does not take is sent when the client has read. Nothing waits for a client
        that is frozen.
        """
        if connection.number not in self._connected or connection.is_deaf:
            return False
        connection.unsent += encode(frame)
        self._send(connection)
        return not connection.is_deaf

    def _send(self, connection: ClientConnection) -> None:
        if connection.number not in self._connected:
            return
        try:
            while connection.unsent:
                sent = connection.socket.send(connection.unsent)
                del connection.unsent[:sent]
        except BlockingIOError:
            self._loop.when_writable(
                connection.socket.fileno(), functools.partial(self._send, connection)
            )
        except OSError as error:
            if error.errno in _NO_ROOM_ERRORS:
                self._loop.after(_ROOM_PAUSE_SECONDS, functools.partial(self._send, connection))
                return
            # It has closed its end. Its last requests are read first, since its commands may have
            # returned.
            connection.is_deaf = True
            connection.unsent.clear()
            self._loop.when_writable(connection.socket.fileno(), None)
        else:
            self._loop.when_writable(connection.socket.fileno(), None)

    def _accept(self) -> None:
        try:
            accepted, dummy = self._listener.accept()
        except OSError as error:
            if error.errno in _NO_ROOM_ERRORS:
                # The connection stays in the queue, where it would wake this loop again and again.
                self._pause_listening()
                self._loop.after(_ROOM_PAUSE_SECONDS, self._listen_again)
            return  # Or the client closed its connection before it was served.
        if not _leaves_room(accepted.fileno()):
            accepted.close()
            return
        try:
            pid = endpoint.check_peer(accepted)
        except (endpoint.WrongPeer, OSError):
            accepted.close()
            return
        self._last_number += 1
        connection = ClientConnection(self._last_number, accepted, pid)
        accepted.setblocking(False)
        self._connected[connection.number] = connection
        self._loop.watch(accepted.fileno(), lambda: self._read(connection))

    def _listen_again(self) -> None:
        if self._listener.fileno() >= 0:
            self.listen()

    def _read(self, connection: ClientConnection) -> None:
        try:
            chunk = connection.socket.recv(262144)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        try:
            if not chunk:
                self._hang_up(connection)
            else:
                for frame in connection.reader.feed(chunk):
                    if connection.number in self._connected:
                        self._take(connection, *read_request(frame))
        except (FrameError, LeaseTableError, NotTheMainProcess, UnicodeError):
            # It is garbage, a request that makes no sense here, or a name that is no Unicode. No
            # worker of this run sends such. Its leases are broken.
            self._hang_up(connection)

    def _hang_up(self, connection: ClientConnection) -> None:
        if self._connected.pop(connection.number, None) is None:
            return
        self._loop.unwatch(connection.socket.fileno())
        connection.socket.close()
        self._gone(connection)


def _leaves_room(descriptor: int) -> bool:
    """Whether enough descriptors above this one are free for the guardian's own work."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return limit == resource.RLIM_INFINITY or descriptor < limit - min(
        _SPARE_DESCRIPTORS, limit // 4
    )
