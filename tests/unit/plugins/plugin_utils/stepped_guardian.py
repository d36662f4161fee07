# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real guardian in this process, served a step at a time by a clock that stands still.

Sockets, workers and processes for couriers are real. The test decides what a courier answers: the
courier's process does nothing, and the test holds the pipe for its answer.
"""

from __future__ import annotations

import array
import dataclasses
import json
import os
import secrets
import shutil
import signal
import socket
import tempfile
from typing import Any

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._core.options import RecordOptions
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian import server
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc import endpoint
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import (
    FrameReader,
    JsonObject,
    encode,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order import courier
from ansible_collections.treekill.remote.plugins.plugin_utils._records.recorder import RunRecorder
from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import Loop
from ansible_collections.treekill.remote.plugins.plugin_utils._system.fork import RunPipes
from ansible_collections.treekill.remote.plugins.plugin_utils._system.processes import identify


class _Begun(Exception):
    """Signal that the guardian is ready, and would serve now."""


class _SteppedLoop(Loop):
    """A loop whose time passes when the test lets it."""

    def __init__(self) -> None:
        super().__init__(clock=lambda: self.now)
        self.now = 1000.0
        self.wanted: Any = None

    def run_while(self, wanted: Any) -> None:
        self.wanted = wanted
        raise _Begun

    def settle(self) -> None:
        """Serve until nothing is ready."""
        while self._selector.select(0):
            self.poll()
        self._fire()
        if self._selector.select(0):
            self.settle()


class Peer:
    """A process that has connected to the guardian, and its ends of the connections, held here.

    One sends messages. One was opened before it, and sends nothing.
    """

    def __init__(self, path: str, connections: int = 1) -> None:
        here, there = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            _connect_and_stay(path, there, connections)
        there.close()
        dummy, ancillary, *dummy = here.recvmsg(1, socket.CMSG_SPACE(4 * connections))
        *self.others, self.socket = [
            socket.socket(fileno=number) for number in array.array("i", ancillary[0][2])
        ]
        self.socket.setblocking(False)
        # It has closed what it inherited: only this process holds a connection open.
        assert here.recv(1) == b""
        here.close()
        self.reader = FrameReader()
        self.received: list[JsonObject] = []
        self.gone = False

    def send(self, message: JsonObject) -> None:
        self.socket.sendall(encode(message))

    def read(self) -> list[JsonObject]:
        """Return what has come since the last time."""
        try:
            while True:
                chunk = self.socket.recv(1 << 20)
                if not chunk:
                    self.gone = True
                    break
                self.received += self.reader.feed(chunk)
        except (BlockingIOError, ConnectionResetError):
            pass
        came, self.received = self.received, []
        return came

    def hang_up(self) -> None:
        self.gone = True
        for connection in (self.socket, *self.others):
            connection.close()

    def die(self) -> None:
        """End its process, whatever state it is in."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.hang_up()


def _connect_and_stay(path: str, there: socket.socket, count: int) -> None:
    """Connect and stay.

    The guardian asks the kernel which process has connected. So that process connects, and hands
    the connection over.
    """
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        connections = [socket.socket(socket.AF_UNIX) for dummy in range(count)]
        for connection in connections:
            connection.connect(path)
        there.sendmsg(
            [b"x"],
            [
                (
                    socket.SOL_SOCKET,
                    socket.SCM_RIGHTS,
                    array.array("i", [connection.fileno() for connection in connections]),
                )
            ],
        )
        os.closerange(3, 1024)
        while True:
            signal.pause()
    finally:
        os._exit(0)


@dataclasses.dataclass
class Sent:
    """A courier that is under way."""

    lease: str
    at_once: bool
    #: The write end of its pipe.
    answer_by: int
    pending: Any
    courier: Any

    @property
    def ended(self) -> bool:
        """Whether the guardian has ended it after its time limit."""
        return self.courier not in self.pending.couriers


class _CourierSystem:
    """The system calls of a courier. Its process and the pipe to it are given by the test."""

    def __init__(self) -> None:
        self.refuses = False
        self.write_end = -1

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def pipe(self) -> tuple[int, int]:
        read_end, write_end = os.pipe()
        # The courier's own end is closed by the process that sends it.
        self.write_end = os.dup(write_end)
        return read_end, write_end

    def fork(self) -> int:
        if self.refuses:
            os.close(self.write_end)
            raise OSError(11, "Resource temporarily unavailable")
        clean, held = os.pipe()
        pid = os.fork()
        if pid:
            os.close(held)
            os.read(clean, 1)  # its end: the other process has closed all that it inherited
            os.close(clean)
        return pid


class SteppedGuardian:
    """The guardian of one run, whose main process is a process that does nothing."""

    def __init__(self) -> None:
        self._patch = pytest.MonkeyPatch()
        self.directory = tempfile.mkdtemp(prefix="tk-", dir="/tmp")
        self.path = f"{self.directory}/socket"
        self.system = _CourierSystem()
        self._couriers: list[Sent] = []
        #: Workers that end with the test.
        self.peers: list[Peer] = []
        self._patch.setattr(server, "Loop", _SteppedLoop)
        self._patch.setattr(server, "prepare", lambda: None)
        self._patch.setattr(courier, "os", self.system)
        self._patch.setattr(courier, "_be_courier", self._stay)
        listener = endpoint.listen(self.path)
        listener.setblocking(True)
        self.main = Peer(self.path, connections=2)
        lifeline, self._held_end = os.pipe()
        signals, self.signal_end = os.pipe()
        run = secrets.token_hex(8)
        recorder = RunRecorder(run, self.main.pid, RecordOptions())
        self.guardian = server.Guardian(
            run, identify(self.main.pid), listener, self.path, RunPipes(lifeline, signals), recorder
        )
        self._send = self.guardian._dispatcher._try
        self._patch.setattr(self.guardian._dispatcher, "_try", self._note)
        self.loop: Any = self.guardian._loop
        with pytest.raises(_Begun):
            self.guardian.serve()
        self._descriptors = [lifeline, self._held_end, signals, self.signal_end]
        self._listener = listener
        self.loop.settle()
        self.main.others[0].sendall(encode({"op": "main"}))
        self.loop.settle()

    @staticmethod
    def _stay(*dummy_order: object) -> None:
        try:
            os.setsid()
            os.closerange(0, 1024)
            while True:
                signal.pause()
        finally:
            os._exit(0)

    def _note(self, pending: Any, at_once: bool = False) -> None:
        before = len(pending.couriers)
        self._send(pending, at_once)
        if len(pending.couriers) > before:
            self._couriers.append(
                Sent(
                    pending.lease.lease,
                    at_once,
                    self.system.write_end,
                    pending,
                    pending.couriers[-1],
                )
            )

    @property
    def couriers(self) -> list[Sent]:
        """Return those that are under way."""
        for sent in [sent for sent in self._couriers if sent.ended]:
            self._couriers.remove(sent)
            os.close(sent.answer_by)
        return list(self._couriers)

    @property
    def at_work(self) -> bool:
        """Whether it would go on to serve."""
        return bool(self.loop.wanted())

    def new_peer(self) -> Peer:
        peer = Peer(self.path)
        self.loop.settle()
        return peer

    def new_worker(self) -> Peer:
        """Connect another worker, which ends with the test."""
        self.peers.append(self.new_peer())
        return self.peers[-1]

    def signal(self, number: signal.Signals) -> None:
        """Signal it as the interpreter's own handler in the main process does."""
        os.write(self.signal_end, bytes([number]))
        self.loop.settle()

    @property
    def is_interrupted(self) -> bool:
        return not self.guardian._leases.gate_open

    def after(self, seconds: float) -> None:
        """Let so much time pass."""
        self.loop.now += seconds
        self.loop.settle()

    def answer(self, courier: Sent, content: object) -> None:
        """Let a courier answer this, and end."""
        self._couriers.remove(courier)
        os.write(
            courier.answer_by,
            content if isinstance(content, bytes) else json.dumps(content).encode(),
        )
        os.close(courier.answer_by)
        self.loop.settle()

    def close(self) -> None:
        """Close all of it."""
        assert not self.couriers
        self.loop.settle()
        # The end of the main process, seen at this moment, has broken what was still open.
        for sent in self.couriers:
            self.answer(sent, b"")
        self._patch.undo()
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._listener.close()
        shutil.rmtree(self.directory)
