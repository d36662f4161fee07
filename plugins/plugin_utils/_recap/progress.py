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

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
        KillProgress,
    )

#: Seconds between two updates of the time.
TICK_SECONDS = 0.5

#: Go to the first column, and erase the line (ECMA-48, EL).
_ERASE = "\r\x1b[K"


class Progress:
    """One line that is written again and again. Times are on the monotonic clock."""

    def __init__(
        self, stream: t.TextIO | None = None, clock: t.Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._wanted = self._stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._state: KillProgress | None = None
        self._until = 0.0
        self._shown = ""

    def update(self, state: KillProgress) -> None:
        """Show this state of the kill orders."""
        self._state = state
        self._until = self._clock() + state.left
        self.tick()

    def tick(self) -> None:
        """Write the line if it has changed."""
        if not self._wanted or self._state is None:
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
        left = math.ceil(self._until - self._clock())
        grace = "the grace is over" if state.hurried or left <= 0 else f"{left} s of the grace left"
        return f"treekill: {state.hosts_done} of {state.hosts} hosts done, {grace}"

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
