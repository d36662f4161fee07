# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The watch of a supervisor over the pulse of its run.

The loss of a pulse alone is no evidence that the run is gone. One connection may break while the
run goes on, and its controller then starts another pulse. If none comes in time, the run counts as
gone. A pulse that the run does not need any more sends `over` before it ends: that shows nothing.
"""

import os
import select
import time

from ansible_collections.treekill.remote.plugins.module_utils._lease.pulse_socket import (
    pulse_addresses,
)
from ansible_collections.treekill.remote.plugins.module_utils._lease.supervisor_socket import (
    peer_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

#: Seconds within which another pulse has to come. The controller may ask for more: it knows how
#: long its connection takes.
GRACE_SECONDS = 2.0
#: The most that it may ask for.
MOST_GRACE_SECONDS = 60.0
#: Seconds between two looks for a pulse: at first, at last, and when one was lost.
FIRST_LOOK_SECONDS, LAST_LOOK_SECONDS, LOST_LOOK_SECONDS = 0.1, 5.0, 0.1
#: Seconds for each socket at the last look.
LAST_LOOK_PATIENCE_SECONDS = 0.3


class PulseWatch:
    """The state of the pulse, as a supervisor sees it.

    connection: to the pulse; None if there is none.
    confirmed: whether the pulse has sent anything.
    lost_at: when the last one was lost; None if none was, or another has come.
    released: whether the run does not want its job ended any more.
    """

    def __init__(self, run: str, lease: str) -> None:
        self.run = run
        self.lease = lease
        self.connection: Optional[Any] = None
        self.confirmed = False
        self.lost_at: Optional[float] = None
        self.released = False
        self.grace = GRACE_SECONDS
        self.heard = b""
        self.pause = FIRST_LOOK_SECONDS
        self.look_at = 0.0

    def run_is_gone(self) -> bool:
        """Whether the pulse was lost, and no other one has come in time. Look for one if needed."""
        if self.connection is not None:
            self.read()
        if self.connection is not None or self.released:
            return False
        now = time.monotonic()
        in_time = self.lost_at is None or now - self.lost_at < self.grace
        if now >= self.look_at or not in_time:
            self.pause = (
                LOST_LOOK_SECONDS
                if self.lost_at is not None
                else min(self.pause * 1.5, LAST_LOOK_SECONDS)
            )
            self.look_at = now + self.pause
            self.attach(0.0 if in_time else LAST_LOOK_PATIENCE_SECONDS)
        return self.connection is None and not in_time

    def wait(self, poll: "Any", wakeup: int) -> bool:
        """Wait for the next look, a word of the pulse, a signal, or the end of the channel.

        Return whether the channel broke.

        poll: watches the channel, and wakeup.
        wakeup: becomes readable when a signal comes.
        """
        own = -1
        if self.connection is not None:
            own = self.connection.fileno()
            poll.register(own, select.POLLIN)
        quiet = self.connection is not None or self.released
        events = poll.poll(None if quiet else max(self.look_at - time.monotonic(), 0.0) * 1000 + 1)
        if own >= 0:
            poll.unregister(own)
        return any(descriptor not in (own, wakeup) for descriptor, dummy in events)

    def read(self) -> None:
        """Read what the controller sends: `grace SECONDS`, `release LEASE`, `over`.

        The pulse may have ended instead. It sends something at once: one that has sent nothing was
        about to end already.
        """
        try:
            chunk = self.connection.recv(4096) if self.connection is not None else b""
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self.lose(self.confirmed)
            return
        self.confirmed, self.lost_at = True, None
        *lines, self.heard = (self.heard + chunk).split(b"\n")
        for words in map(bytes.split, lines):
            if words[:1] == [b"release"] and words[1:] in ([b"*"], [self.lease.encode()]):
                self.released = True
            elif words[:1] == [b"grace"] and words[1:] and words[1].isdigit():
                self.grace = min(max(float(words[1]), GRACE_SECONDS), MOST_GRACE_SECONDS)
        if self.released or b"over" in lines:
            self.lose(False)

    def lose(self, counts: bool) -> None:
        """Close the connection.

        counts: whether this may show that the run is gone.
        """
        if self.connection is not None:
            self.connection.close()
        self.connection = None
        if counts:
            self.lost_at = time.monotonic()
        self.look_at = 0.0 if counts else time.monotonic() + LOST_LOOK_SECONDS
        self.heard = b""

    def attach(self, patience: float) -> None:
        """Connect to a pulse of this run that belongs to this user.

        patience: seconds for each socket. A stranger may listen there and accept nothing, or may
            keep a pulse busy by connections.
        """
        import _socket

        for address in pulse_addresses(self.run):
            try:
                found = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
            except OSError:
                return  # there are no descriptors: later there may be
            try:
                found.settimeout(patience)
                found.connect(address)
                found.setblocking(False)
                if peer_of(found)[1] == os.geteuid():
                    found.send(self.lease.encode() + b"\n")
                    self.connection, self.confirmed = found, False
                    return
            except OSError:
                pass  # it has just ended
            found.close()
