# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The line about the progress of the kill orders, while the main process waits.

It is only written to a terminal, and is removed before the recap.
"""

from __future__ import annotations

import math
import os
import sys
import time
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._recap.text import escaped

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
        KillProgress,
    )

#: Seconds between two updates of the time.
TICK_SECONDS = 0.5

#: Seconds between two lines about the progress where no line can be written again.
_LINE_SECONDS = 10.0

#: Go to the first column, and erase the line (ECMA-48, EL).
_ERASE = "\r\x1b[K"


class Progress:
    """One line that is written again and again. Times are on the monotonic clock."""

    def __init__(
        self,
        stream: t.TextIO | None = None,
        clock: t.Callable[[], float] = time.monotonic,
        say: t.Callable[[str], None] = lambda text: None,
    ) -> None:
        """Write to the stream if it is a terminal. Elsewhere `say` prints lines that are news."""
        self._say = say
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._wanted = self._stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._state: KillProgress | None = None
        self._until = 0.0
        self._updated = 0.0
        self._began: float | None = None
        self._said_at = 0.0
        self._announced: set[tuple[str, str]] = set()
        self._shown = ""

    def update(self, state: KillProgress) -> None:
        """Show this state of the kill orders."""
        self._state = state
        self._updated = self._clock()
        if self._began is None:
            self._began = self._said_at = self._updated
        self._until = self._updated + state.left
        self._announce(state)
        self.tick()

    def tick(self) -> None:
        """Write the line if it has changed. Elsewhere print it now and then."""
        if self._state is None:
            return
        if not self._wanted:
            if not self._state.finishing and self._clock() - self._said_at >= _LINE_SECONDS:
                self._said_at = self._clock()
                self._say(self._hosts(self._state))
            return
        text = self.text()[: max(self._columns() - 1, 0)]
        if text != self._shown:
            self._write(_ERASE + text)
            self._shown = text

    def text(self) -> str:
        """Return the line; empty before the first state."""
        state = self._state
        if state is None:
            return ""
        if state.finishing:
            since = self._clock() - self._updated
            first, others = state.finishing[0], len(state.finishing) - 1
            more = f", and {others} more" if others else ""
            return escaped(
                f"treekill: {first.host}: {first.program} is finishing"
                f" ({first.seconds + since:.0f} s){more}"
            )
        return f"treekill: {self._hosts(state)}"

    def _hosts(self, state: KillProgress) -> str:
        """Return how many hosts are done. The text changes every second."""
        left = math.ceil(self._until - self._clock())
        so_far = self._clock() - (self._began or 0.0)
        grace = (
            f"the grace period is over, {so_far:.0f} s so far"
            if state.skips_grace or left <= 0
            else f"{left} s of the grace period left"
        )
        return f"{state.hosts_done} of {state.hosts} hosts done, {grace}"

    def _announce(self, state: KillProgress) -> None:
        """Print each transaction once where there is no line that can be written again."""
        for one in () if self._wanted else state.finishing:
            if (one.host, one.program) not in self._announced:
                self._announced.add((one.host, one.program))
                self._say(
                    f"{one.host}: {one.program} is finishing ({one.seconds:.0f} s)."
                    " Ctrl-C: do not wait for it."
                )

    def clear(self) -> None:
        """Remove the line."""
        if self._shown:
            self._write(_ERASE)
            self._shown = ""

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or 80
        except (OSError, ValueError):
            return 80

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            # The terminal was closed. There is no reader for the line, and the wait continues.
            self._wanted = False
