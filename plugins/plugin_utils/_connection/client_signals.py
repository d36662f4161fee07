# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Signals to a worker and its client while a command or a transfer is running.

A signal that would end the client ends the tree first.

Since ansible-core 2.19 workers have sessions of their own. In earlier versions, the worker and its
client are in the terminal's foreground process group, and Ctrl-C reaches both. When a client with a
pty dies, its host hangs up half of the tree before the tree can be searched.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import types
import typing as t

from ansible.utils.path import unfrackpath
from ansible_collections.treekill.remote.plugins.plugin_utils._core.transports import runs_here
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.client import (
    TaskInterrupted,
    current,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_page import Gate

if t.TYPE_CHECKING:
    from ansible.plugins.connection import ConnectionBase
    from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_page import RunPage

#: The longest wait of a worker for the decision of the main process, if the whole group is ended.
_DECISION_SECONDS = 0.5


@contextlib.contextmanager
def signals_held(
    connection: ConnectionBase, main: int, give_up: t.Callable[[], object]
) -> t.Iterator[None]:
    """Keep the client of `connection` alive in this block until its tree has ended.

    `give_up` ends the tree through the guardian. `main` is the pid of the run's main process.

    - Core sends TERM to its workers when the run is over. A client ends with its worker.
    - Core sets ALRM for the task's `timeout`. Its handler raises an exception, which docker's
      plugin does not pass on: that plugin waits for its client in any case.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminated(number: int, dummy: object) -> None:
        # Core sends TERM repeatedly to a worker that does not end. The second signal must not reach
        # core's handler, which ends the client as well.
        signal.signal(number, signal.SIG_IGN)
        page = current().page
        goes_on = page.may_run_always and not page.for_always and _is_decided(page)
        give_up()
        if goes_on:
            # The worker returns a failed result. Without one, the play would end.
            raise TaskInterrupted
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def timed_out(number: int, frame: types.FrameType | None) -> None:
        give_up()
        if callable(core_alarm):
            core_alarm(number, frame)

    before, core_alarm = (
        signal.signal(signal.SIGTERM, terminated),
        signal.getsignal(signal.SIGALRM),
    )
    if callable(core_alarm):
        signal.signal(signal.SIGALRM, timed_out)
    try:
        with out_of_terminal_reach(connection, main):
            yield
    finally:
        if callable(core_alarm):
            signal.signal(signal.SIGALRM, core_alarm)
        signal.signal(signal.SIGTERM, before)


def _is_decided(page: RunPage) -> bool:
    """Whether the main process, which may have the same signal, goes on to `always` sections."""
    deadline = time.monotonic() + _DECISION_SECONDS
    while not page.runs_always and page.gate is Gate.OPEN and time.monotonic() < deadline:
        time.sleep(0.01)
    return page.runs_always


@contextlib.contextmanager
def out_of_terminal_reach(connection: ConnectionBase, main: int) -> t.Iterator[None]:
    """Protect what `connection` starts in this block from the terminal's INT and HUP.

    The terminal sends them to the process group of `main`.

    - A client that is started in the block inherits ignored signals. This suffices for ssh alone. A
      client of a ControlMaster installs handlers even for ignored signals (OpenSSH, mux.c).
    - If there is a master already, this process therefore leaves the terminal's process group
      during the block. Without a master it stays: the client of a new connection may ask for a
      host key or a passphrase. Only the foreground group can ask at the terminal.
    - A local command must not inherit ignored signals. Its worker installs handlers that do
      nothing: a program that is executed starts without them.
    """
    if os.getppid() != main or os.getpgid(main) != os.getpgrp():
        yield
        return
    leaves_group = _has_master(connection)
    handler_of_signals = _ignore if runs_here(connection) else signal.SIG_IGN
    numbers = (
        signal.SIGINT,
        signal.SIGHUP,
        *((signal.SIGTTIN, signal.SIGTTOU) if leaves_group else ()),
    )
    before = {number: signal.signal(number, handler_of_signals) for number in numbers}
    group = os.getpgrp()
    if leaves_group:
        os.setpgid(0, 0)
    try:
        yield
    finally:
        if leaves_group:
            _rejoin(group)
        for number, handler in before.items():
            signal.signal(number, handler)


def _has_master(connection: ConnectionBase) -> bool:
    """Whether there is a ControlMaster at the path that the ssh plugin has chosen.

    The plugin does not know the path if the user has set it.
    """
    path, directory = (
        getattr(connection, "control_path", None),
        getattr(connection, "control_path_dir", None),
    )
    return bool(path and directory) and os.path.exists(
        str(path) % {"directory": unfrackpath(str(directory))}
    )


def _rejoin(group: int) -> None:
    try:
        os.setpgid(0, group)
    except OSError:
        pass  # the group has been killed, and the guardian ends this orphaned worker


def _ignore(number: int, frame: object) -> None:
    """Do nothing: the signal does not end this process.

    A program that this process executes does not inherit the handler.
    """
