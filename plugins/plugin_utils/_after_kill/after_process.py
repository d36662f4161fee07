# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The process of the run after the kill.

It inherits no descriptor, signal handler or session from the guardian. Its output is kept, and its
end is noticed.
"""

from __future__ import annotations

import os
import signal
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import (
    Loop,
    read_ready,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.fork import leave_parent

#: Bytes of output that are kept, from its end.
_MAX_OUTPUT_BYTES = 64 * 1024

#: Seconds between checks for its end, on a system without pidfd.
_POLL_SECONDS = 0.2

#: The descriptor from which its program reads its order.
_ORDER_DESCRIPTOR = 3


class AfterProcess:
    """The process, as leader of a separate session.

    Signals of a terminal or of a process group do not reach it. Only the guardian signals it.
    """

    def __init__(
        self,
        loop: Loop,
        words: t.Sequence[str],
        environment: t.Mapping[str, str],
        directory: str,
        order: bytes,
        on_end: t.Callable[[int, bytes], None],
    ) -> None:
        """Start it. Raises OSError if no process can be started.

        Args:
            loop: watches its output and its end.
            words: program and arguments.
            environment: all of it.
            directory: its working directory.
            order: for its descriptor 3.
            on_end: called once with its exit status, negative for a signal, and the tail of its
                output.
        """
        self._loop = loop
        self._on_end = on_end
        self._kept = b""
        self._output, output = os.pipe()
        given, order_end = os.pipe()
        try:
            self._pid = os.fork()
        except OSError:
            for descriptor in (self._output, output, given, order_end):
                os.close(descriptor)
            raise
        if self._pid == 0:
            _become(words, environment, directory, output, given)
        os.close(output)
        os.close(given)
        os.set_blocking(self._output, False)
        self._reading = True
        loop.watch(self._output, self._read)
        self._pidfd = self._watch_end()
        try:
            # Its program reads the order before anything else.
            with os.fdopen(order_end, "wb") as pipe:
                pipe.write(order)
        except BrokenPipeError:
            pass  # it has ended already; its status shows how

    def signal(self, number: signal.Signals) -> None:
        """Signal the process alone: its own guardian ends its descendants.

        It has not been waited for, so the pid is still its own.
        """
        os.kill(self._pid, number)

    def _watch_end(self) -> int | None:
        try:
            pidfd = os.pidfd_open(self._pid)
        except (AttributeError, OSError):
            self._loop.after(_POLL_SECONDS, self._look)
            return None
        self._loop.watch(pidfd, self._look)
        return pidfd

    def _look(self) -> None:
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if pid:
            self._end(os.waitstatus_to_exitcode(status))
        elif self._pidfd is None:
            self._loop.after(_POLL_SECONDS, self._look)

    def _read(self) -> None:
        chunk = read_ready(self._output)
        if chunk is None:
            # It closes its output at its end or earlier: its end is noticed separately.
            self._stop_reading()
        else:
            self._kept = (self._kept + chunk)[-_MAX_OUTPUT_BYTES:]

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.unwatch(self._output)
            os.close(self._output)

    def _end(self, status: int) -> None:
        if self._pidfd is not None:
            self._loop.unwatch(self._pidfd)
            os.close(self._pidfd)
        # Read the last output. A process that it has left behind may hold the other end forever.
        while self._reading:
            before = self._kept
            self._read()
            if self._kept == before:
                break
        self._stop_reading()
        self._on_end(status, self._kept)


def _become(
    words: t.Sequence[str],
    environment: t.Mapping[str, str],
    directory: str,
    output: int,
    given: int,
) -> t.NoReturn:
    """Execute the program in the forked child."""
    try:
        leave_parent(signal.SIG_DFL, output, given)
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        os.dup2(given, _ORDER_DESCRIPTOR)
        os.set_inheritable(_ORDER_DESCRIPTOR, True)
        for descriptor in {output, given} - {_ORDER_DESCRIPTOR}:
            os.close(descriptor)
        os.chdir(directory)
        os.execve(words[0], [*words], {**environment})
    except BaseException as error:  # noqa: BLE001
        # No code of the guardian may run in this process. The user looks for errors in its output.
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(127)
