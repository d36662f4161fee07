# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Learning that a process which is no child of ours has ended.

This file is private to the collection treekill.remote.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.treekill.remote.plugins.module_utils._process_table import ProcessId
from ansible_collections.treekill.remote.plugins.plugin_utils._local_processes import is_alive
from ansible_collections.treekill.remote.plugins.plugin_utils._loop import Loop, Timer

_ASK_SECONDS = 1.0
"""Between two looks where there is no pidfd."""


class ProcessWatch:
    """Calls `gone`, once, when the process has ended; at once if it has already."""

    def __init__(self, loop: Loop, process: ProcessId, gone: t.Callable[[], None]) -> None:
        self._loop = loop
        self._process = process
        self._gone = gone
        self._descriptor: int | None = None
        self._timer: Timer | None = None
        try:
            self._descriptor = os.pidfd_open(process.pid)
        except (AttributeError, OSError):
            # macOS, BSD, an old kernel; or it has gone.
            self._ask()
            return
        loop.watch(self._descriptor, self._ended)
        if not is_alive(process):
            self._ended()

    def stop(self) -> None:
        """Nobody wants to know any more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._descriptor is not None:
            # At the end of its process it can be read for ever.
            self._loop.unwatch(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def _ask(self) -> None:
        if is_alive(self._process):
            self._timer = self._loop.after(_ASK_SECONDS, self._ask)
        else:
            self._ended()

    def _ended(self) -> None:
        self.stop()
        self._gone()
