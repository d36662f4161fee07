# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The wait for an answer of the guardian: as long as it lives. A guardian that is dead is known by its hang-up, one that is stopped by its state.

This file is private to the collection treekill.remote.

A busy machine is no reason to give up: with a hundred hosts in flight and two processors, the guardian gets a turn now and then only.
"""

from __future__ import annotations

import os
import time
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc import endpoint
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import Channel
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import read_report
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.progress import TICK_SECONDS
from ansible_collections.treekill.remote.plugins.plugin_utils._system.processes import LocalTable

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import KillProgress, RunReport

_SOON = 5.0
"""Seconds of silence after which the user is told that the guardian is alive."""

_STOPPED = 10.0
"""Seconds for which a guardian may stand still: a debugger may hold it for a moment."""

_LONGEST = 120.0
"""Seconds of silence after which the guardian is left to itself, though it lives. It answers whenever it gets a turn."""


class GuardianSilent(TimeoutError):
    """The guardian is there and does not answer. What it has in hand is still its own: its socket and its stopped clients are left alone."""


class Silence:
    """Waits for the next answer to a request for the report, on a channel to the guardian at `path`."""

    def __init__(self, channel: Channel, path: str, say: t.Callable[[str], None], clock: t.Callable[[], float] = time.monotonic) -> None:
        """`say` shows a line to the user."""
        self._channel = channel
        self._path = path
        self._say = say
        self._clock = clock
        self._told = ""

    def end(self, tick: t.Callable[[], None] = lambda: None, until: float | None = None) -> RunReport | KillProgress | None:
        """Return the next answer; None at the moment `until`. `tick` is called now and then.

        Raises:
            GuardianSilent: it is stopped, or has not answered for very long.
            OSError, FrameError: as `Channel.receive`; a guardian that is dead has closed the connection.
        """
        began = self._clock()
        still_since: float | None = None
        while until is None or self._clock() < until:
            self._channel.socket.settimeout(TICK_SECONDS if until is None else max(0.01, min(until - self._clock(), TICK_SECONDS)))
            try:
                return read_report(self._channel.receive())
            except TimeoutError:
                tick()
            now = self._clock()
            if now - began < _SOON:
                continue
            pid, stopped = guardian_at(self._path)
            still_since = (still_since or now) if stopped else None
            self._tell(pid, stopped)
            if still_since is not None and now - still_since > _STOPPED:
                raise GuardianSilent(f"it is stopped, and ends nothing until it goes on: kill -CONT {pid}")
            if now - began > _LONGEST:
                raise GuardianSilent(f"it is alive, and has not answered for {_LONGEST:.0f} s; it goes on alone")
        return None

    def _tell(self, pid: int, stopped: bool) -> None:
        what = f"is stopped: kill -CONT {pid} lets it go on" if stopped else "is alive and at work"
        if pid and what != self._told:
            self._told = what
            self._say(f"no answer from the guardian yet. It {what} (pid {pid}).")


def guardian_at(path: str) -> tuple[int, bool]:
    """(pid of the guardian at a socket, whether it is stopped); pid 0 where that is not known."""
    try:
        with open(endpoint.lock_path(path), encoding="ascii") as lock:
            pid = int(lock.read(32) or 0)
        if not pid or os.stat(f"/proc/{pid}").st_uid != os.geteuid():
            return 0, False
    except (OSError, ValueError):
        return 0, False
    process = LocalTable().process(pid)
    return (pid, process.stopped) if process is not None else (0, False)
