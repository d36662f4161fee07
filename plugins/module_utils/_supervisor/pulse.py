# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The pulse: a process on a host that lives as long as the run that started it goes on.

Between two polls, an asynchronous job has no channel that breaks when the controller is gone. So
the controller keeps a session open on the host, and this process in it. The process ends when its
standard input does. The supervisors of the run's jobs are connected to it, and see that.

Lines on standard input go to all supervisors, see PulseWatch. Until the first one comes, no
supervisor can connect: the plugin of a connection may close the input of its commands at once.
"""

import os
import select

from ansible_collections.treekill.remote.plugins.module_utils._lease.pulse_socket import (
    pulse_address,
)
from ansible_collections.treekill.remote.plugins.module_utils._lease.supervisor_socket import (
    listen_at,
    peer_of,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.title import (
    PULSE_TITLE,
    set_title,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

#: Supervisors that may wait to be connected.
BACKLOG = 128


class Pulse:
    """The pulse of one run, for the supervisors of one user.

    nonce: begins each line that the controller reads.
    """

    def __init__(self, run: str, nonce: str) -> None:
        self.nonce = nonce
        self.heard = b""  # all that came, for supervisors that come later
        self.rest = b""  # of it, what is no whole line yet
        self.supervisors: Dict[int, Any] = {}
        self.poll = select.poll()
        self.run = run
        self.listener: Optional[Any] = None

    def serve(self) -> None:
        """Serve until the standard input ends, or no process reads the output any more."""
        self.poll.register(0, select.POLLIN)
        self.poll.register(1, 0)
        self.say("here")
        while True:
            for descriptor, dummy in self.poll.poll():
                if self.listener is not None and descriptor == self.listener.fileno():
                    self.accept(self.listener)
                elif descriptor in self.supervisors:
                    self.hear(descriptor)
                elif descriptor == 1 or not self.pass_on():
                    if self.listener is None:
                        self.say("failed its connection closes the input of a command")
                    return
                elif self.listener is None and self.heard.strip():
                    self.open()

    def open(self) -> None:
        """Let supervisors connect."""
        self.listener = listen_at(pulse_address(self.run, os.urandom(8).hex()))
        self.listener.listen(BACKLOG)
        self.listener.setblocking(False)
        self.poll.register(self.listener.fileno(), select.POLLIN)
        self.say("up")

    def say(self, text: str) -> None:
        """Send a line to the controller."""
        os.write(1, ("%s %s\n" % (self.nonce, text)).encode())

    def accept(self, listener: "Any") -> None:
        """Connect a supervisor, if it is one of this user."""
        import _socket

        try:
            connection = _socket.socket(fileno=listener._accept()[0])
        except OSError:
            return  # it has gone again
        if peer_of(connection)[1] != os.geteuid():
            connection.close()
            return
        connection.setblocking(False)
        self.supervisors[connection.fileno()] = connection
        self.poll.register(connection.fileno(), select.POLLIN)
        self.send(connection.fileno(), self.heard)

    def hear(self, descriptor: int) -> None:
        """Read the lease of a supervisor, or its end."""
        try:
            words = self.supervisors[descriptor].recv(64).decode("ascii", "replace").split()
        except OSError:
            words = []
        if words:
            self.say("attached %s" % words[0])
        else:
            self.forget(descriptor)

    def forget(self, descriptor: int) -> None:
        """Close the connection of a supervisor."""
        self.poll.unregister(descriptor)
        self.supervisors.pop(descriptor).close()

    def send(self, descriptor: int, text: bytes) -> None:
        """Send text to a supervisor. One that does not read is cut off, and comes again."""
        try:
            if text:
                self.supervisors[descriptor].sendall(text)
        except OSError:
            self.forget(descriptor)

    def pass_on(self) -> bool:
        """Pass on what the controller has sent. Return whether the controller may send more."""
        try:
            chunk = os.read(0, 4096)
        except OSError:
            return False  # its terminal was hung up
        self.heard += chunk
        for descriptor in list(self.supervisors):
            self.send(descriptor, chunk)
        *lines, self.rest = (self.rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"release "):
                self.say("released %s" % line[8:].decode("ascii", "replace"))
        return bool(chunk) and b"over" not in lines


def be_pulse(run: str, nonce: str) -> None:
    """Run as the pulse of a run."""
    try:
        os.chdir("/")  # a task may unmount the directory in which commands start
        pulse = Pulse(run, nonce)
        set_title(("%s of run %s" % (PULSE_TITLE, run)).encode())
        pulse.serve()
    except OSError as error:
        try:
            os.write(1, ("%s failed %s\n" % (nonce, error.strerror)).encode())
        except OSError:
            pass  # no process reads it
    os._exit(0)
