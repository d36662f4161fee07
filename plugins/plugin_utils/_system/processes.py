# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The processes of this machine: their identity, their state, and their end.

A process that ends need not be a child of this one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import typing as t

from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
    ProcessId,
    descendants,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.proc import ProcTable
from ansible_collections.treekill.remote.plugins.module_utils._process.signaller import Signaller
from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import Loop, Timer

#: Seconds between two checks where there is no pidfd.
_POLL_SECONDS = 1.0


class LocalTable(ProcTable):
    """The processes of this machine, read without waiting and without errors.

    A process that can't be read for want of a descriptor counts as gone. The guardian serves a run,
    and must neither wait nor fail.
    """

    @staticmethod
    def _open_patiently(dummy_error: OSError, dummy_path: str) -> int | None:
        return None

    def _list(self, path: str) -> list[str]:
        try:
            return os.listdir(self._mount + path)
        except OSError:
            return []


def resume_tree(process: ProcessId) -> None:
    """Resume a process of ours and every stopped process below it."""
    table = LocalTable()
    signaller = Signaller(table.process)
    for pid in [process.pid, *descendants([process.pid], table.children, lambda pid: False)]:
        below = table.process(pid)
        if below is not None and below.stopped:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                signaller.send(below.id, signal.SIGCONT)


def kill_all(processes: t.Iterable[ProcessId]) -> None:
    """Send SIGKILL to those that are alive. Those of another user stay as they are."""
    signaller = Signaller(LocalTable().process)
    for process in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            signaller.send(process, signal.SIGKILL)


def group_of(process: ProcessId) -> int:
    """Return the process group of a process; 0 if it is gone, or may not be asked for."""
    try:
        return os.getpgid(process.pid)
    except OSError:
        return 0


def identify(pid: int) -> ProcessId:
    """Return the identity of a process that is known to exist: this one or its parent.

    Raises:
        ProcessLookupError: the process is gone.
    """
    process = LocalTable().process(pid)
    if process is None:
        raise ProcessLookupError(f"process {pid} is gone")
    return process.id


def is_alive(process: ProcessId) -> bool:
    """Whether exactly that process exists and is no zombie.

    A process that can't be read counts as existing if it can be signalled.
    """
    present = LocalTable().process(process.pid)
    if present is not None:
        return present.id == process and present.alive
    try:
        # Perhaps no descriptor was free for reading.
        os.kill(process.pid, 0)
    except OSError:
        return False
    return True


class ProcessWatch:
    """Calls `gone` once, when the process has ended. Calls it at once if it has ended already."""

    def __init__(self, loop: Loop, process: ProcessId, gone: t.Callable[[], None]) -> None:
        self._loop = loop
        self._process = process
        self._gone = gone
        self._descriptor: int | None = None
        self._timer: Timer | None = None
        try:
            self._descriptor = os.pidfd_open(process.pid)
        except (AttributeError, OSError):
            # On macOS, on BSD, on an old kernel, or if the process is gone.
            self._ask()
            return
        loop.watch(self._descriptor, self._ended)
        if not is_alive(process):
            self._ended()

    def stop(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
        if self._descriptor is not None:
            # After the end of its process, the descriptor stays readable forever.
            self._loop.unwatch(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def _ask(self) -> None:
        if is_alive(self._process):
            self._timer = self._loop.after(_POLL_SECONDS, self._ask)
        else:
            self._ended()

    def _ended(self) -> None:
        self.stop()
        self._gone()
