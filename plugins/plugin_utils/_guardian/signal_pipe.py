# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The signals of a run, which its main process writes into a pipe for the guardian."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import (
    Loop,
    read_ready,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.fork import RUN_SIGNALS


class SignalPipe:
    """Reader of the pipe. The guardian's loop calls every method."""

    def __init__(self, loop: Loop, read_end: int | None, take: t.Callable[[int], None]) -> None:
        """Read nothing yet.

        Args:
            loop: of the guardian.
            read_end: of the pipe. None if the main process has made none.
            take: gets the number of each signal that interrupts a run.
        """
        self._loop = loop
        self._read_end = read_end
        self._take = take

    def listen(self) -> None:
        """Start to read signals."""
        if self._read_end is not None:
            os.set_blocking(self._read_end, False)
            self._loop.watch(self._read_end, self._read)

    def leave(self) -> None:
        """Leave the signals to another guardian: the main process has closed its connection.

        It is gone, or it has found another guardian, which must read all further signals.
        """
        if self._read_end is not None:
            self._loop.unwatch(self._read_end)
            self._read_end = None

    def _read(self) -> None:
        written = read_ready(t.cast(int, self._read_end))
        if written is None:
            self.leave()
        # A program may write other signals to this pipe.
        for number in written or b"":
            if number in RUN_SIGNALS:
                self._take(number)
