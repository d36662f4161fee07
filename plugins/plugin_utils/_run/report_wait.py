# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The wait for an answer of the guardian, which lasts as long as the guardian lives.

A dead guardian is known by its hang-up, and a stopped one by its state. A busy machine does not end
the wait: with a hundred hosts in flight and two processors, the guardian runs only now and then.
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
    from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
        KillProgress,
        RunReport,
    )

#: Without an answer for so long, the user is told that the guardian is alive.
_NOTICE_SECONDS = 5.0

#: The guardian may be stopped for so long: a debugger may hold it for a moment.
_MAX_STOPPED_SECONDS = 10.0

#: Without an answer for so long, the wait ends although the guardian lives. A guardian answers
#: whenever it runs.
_MAX_SILENT_SECONDS = 120.0

_STOPPED = "is stopped, and ends nothing before it goes on: kill -CONT"


class GuardianSilent(TimeoutError):
    """The guardian is alive and does not answer.

    It keeps its leases: its socket and its stopped clients are left alone.
    """


class ReportWait:
    """The wait for the answers to a request for the report."""

    def __init__(
        self,
        channel: Channel,
        path: str,
        say: t.Callable[[str], None],
        clock: t.Callable[[], float] = time.monotonic,
    ) -> None:
        """Wait on a channel to the guardian at `path`. `say` shows a line to the user."""
        self._channel = channel
        self._path = path
        self._say = say
        self._clock = clock
        self._last_notice = ""

    def next_answer(
        self, tick: t.Callable[[], None] = lambda: None, until: float | None = None
    ) -> RunReport | KillProgress | None:
        """Return the next answer; None at the moment `until`. `tick` is called repeatedly.

        Raises:
            GuardianSilent: the guardian is stopped, or has not answered for very long.
            OSError, FrameError: as `Channel.receive`. A dead guardian has closed the connection.
        """
        began = self._clock()
        still_since: float | None = None
        while until is None or self._clock() < until:
            self._channel.socket.settimeout(
                TICK_SECONDS
                if until is None
                else max(0.01, min(until - self._clock(), TICK_SECONDS))
            )
            try:
                return read_report(self._channel.receive())
            except TimeoutError:
                tick()
            now = self._clock()
            if now - began < _NOTICE_SECONDS:
                continue
            pid, stopped = guardian_at(self._path)
            still_since = (still_since or now) if stopped else None
            self._notify(pid, stopped)
            if still_since is not None and now - still_since > _MAX_STOPPED_SECONDS:
                raise GuardianSilent(f"it {_STOPPED} {pid}")
            if now - began > _MAX_SILENT_SECONDS:
                raise GuardianSilent(
                    f"it is alive, and has not answered for {_MAX_SILENT_SECONDS:.0f} s"
                )
        return None

    def _notify(self, pid: int, stopped: bool) -> None:
        what = f"is stopped: kill -CONT {pid} lets it go on" if stopped else "is alive and at work"
        if pid and what != self._last_notice:
            self._last_notice = what
            self._say(f"no answer from the guardian yet. It {what} (pid {pid}).")


def without_main(path: str) -> str:
    """Return what the guardian at a socket does when the main process is gone, in words."""
    pid, stopped = guardian_at(path)
    return f"the guardian {_STOPPED} {pid}" if stopped else "the guardian goes on alone"


def guardian_at(path: str) -> tuple[int, bool]:
    """Return the pid of the guardian at a socket, and whether it is stopped; pid 0 if unknown."""
    try:
        with open(endpoint.lock_path(path), encoding="ascii") as lock:
            pid = int(lock.read(32) or 0)
        if not pid or os.stat(f"/proc/{pid}").st_uid != os.geteuid():
            return 0, False
    except (OSError, ValueError):
        return 0, False
    process = LocalTable().process(pid)
    return (pid, process.stopped) if process is not None else (0, False)
