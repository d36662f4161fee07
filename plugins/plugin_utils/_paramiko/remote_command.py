# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One command on one channel of a paramiko connection: its input, its output and its end."""

from __future__ import annotations

import select
import time
import typing as t

from ansible.errors import AnsibleError
from ansible_collections.treekill.remote.plugins.plugin_utils._paramiko.become_prompt import (
    Escalation,
)

if t.TYPE_CHECKING:
    import paramiko
    from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.held_client import (
        HeldClient,
    )

#: Bytes in one message of the protocol.
_CHUNK_BYTES = 32768

#: Seconds between two checks of a full window. paramiko's descriptor shows when there is something
#: to read, but not when the window has room.
_WINDOW_POLL_SECONDS = 0.05


class Command:
    """A command that was sent. Its channel stays open until `close`.

    The end of a channel ends half of a tree.
    """

    def __init__(
        self,
        channel: paramiko.Channel,
        escalation: Escalation,
        password: bytes,
        silence_seconds: float,
    ) -> None:
        """Read nothing yet.

        Args:
            channel: with the command already on it.
            escalation: of this command.
            password: the answer to the prompt of become.
            silence_seconds: seconds of silence after which become has failed.
        """
        self._channel = channel
        self._escalation = escalation
        self._password = password
        self._silence_seconds = silence_seconds
        self._output = {True: bytearray(), False: bytearray()}
        self._held: HeldClient | None = None
        self._poll = select.poll()
        self._poll.register(channel.fileno(), select.POLLIN)

    def run(
        self, in_data: bytes | None, terminal: bool, held: HeldClient | None = None
    ) -> tuple[int, bytes, bytes]:
        """Send its input, read both streams to their end, and return (status, stdout, stderr).

        Status -1: the host sent none.

        Args:
            in_data: the input.
            terminal: whether it has a terminal.
            held: holds the input open, and gets the output as well.

        Raises:
            AnsibleError: become did not succeed.
        """
        try:
            self._escalate()
        except AnsibleError:
            # Nothing was started but the program that asks for the password. It would ask again.
            self._channel.close()
            raise
        self._feed(in_data or b"")
        self._held = held
        if held is not None:
            held.hold(self._channel.sendall)
            held.heard(bytes(self._output[True]))
        elif not terminal:
            # A command that reads its standard input finds the end of it. On a terminal, more than
            # the input would end.
            self._shut_down_input()
        while not self._at_end():
            self._wait(None)
            self._read()
        return (
            self._channel.recv_exit_status(),
            bytes(self._output[True]),
            bytes(self._output[False]),
        )

    def close(self) -> None:
        """Close the channel: the host hangs up on what still runs there."""
        self._channel.close()

    def _escalate(self) -> None:
        deadline = time.monotonic() + self._silence_seconds
        while not self._escalation.over and not self._at_end():
            self._wait(deadline)
            if self._read():
                deadline = time.monotonic() + self._silence_seconds
            elif time.monotonic() > deadline:
                seen = bytes(self._output[True] + self._output[False]).decode("utf-8", "replace")
                raise AnsibleError(
                    f"Timeout ({self._silence_seconds:.0f}s)"
                    f" waiting for privilege escalation prompt: {seen}"
                )
        for from_stdout in self._output:
            self._output[from_stdout] += self._escalation.rest(from_stdout)

    def _feed(self, rest: bytes) -> None:
        view = memoryview(rest)
        while view and not self._channel.closed:
            if self._channel.send_ready():
                try:
                    view = view[self._channel.send(view[:_CHUNK_BYTES].tobytes()) :]
                except OSError:
                    return  # the command ended without reading everything; see its status
            else:
                # Its output must be read meanwhile, or both sides wait for each other.
                self._wait(time.monotonic() + _WINDOW_POLL_SECONDS)
            self._read()

    def _shut_down_input(self) -> None:
        try:
            self._channel.shutdown_write()
        except OSError:
            pass  # the command has ended already

    def _wait(self, deadline: float | None) -> None:
        """Wait until there is something to read, or the channel is closed."""
        self._poll.poll(None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000)

    def _at_end(self) -> bool:
        # In this order: data that arrives between the two checks must still be read.
        ended = self._channel.eof_received or self._channel.closed
        return ended and not self._channel.recv_ready() and not self._channel.recv_stderr_ready()

    def _read(self) -> bool:
        """Read what has arrived. Returns whether there was anything."""
        found = False
        while self._channel.recv_ready():
            found = True
            self._take(self._channel.recv(_CHUNK_BYTES), from_stdout=True)
        while self._channel.recv_stderr_ready():
            found = True
            self._take(self._channel.recv_stderr(_CHUNK_BYTES), from_stdout=False)
        return found

    def _take(self, chunk: bytes, from_stdout: bool) -> None:
        output, answer = self._escalation.feed(chunk, from_stdout)
        self._output[from_stdout] += output
        if self._held is not None and from_stdout:
            self._held.heard(output)
        if answer:
            self._channel.sendall(self._password + b"\n")
