# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A worker's signals while a command or a transfer of its is out: whatever would end the client, the tree is ended first.

This file is private to the collection treekill.remote.

Before ansible-core 2.19 Ctrl-C at the terminal reaches a client as well as the main process. From 2.19 on workers have sessions of their own. Before,
the worker and its client are in the terminal's foreground process group, and a client with a pty that dies hangs up half the tree before anybody can
look at it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import types
import typing as t

from ansible.utils.path import unfrackpath
from ansible_collections.treekill.remote.plugins.plugin_utils._core.transports import runs_here

if t.TYPE_CHECKING:
    from ansible.plugins.connection import ConnectionBase


@contextlib.contextmanager
def signals_held(
    connection: ConnectionBase, main: int, give_up: t.Callable[[], object]
) -> t.Iterator[None]:
    """While the block runs, keep the client of `connection` alive through what would end it before the tree.

    TERM is how core ends its workers when the run is over, and a client whose worker is gone goes too. ALRM is how core learns that the task's
    `timeout` is over; what its handler raises does not come out of a connection plugin that waits for its client whatever happens (docker's).
    So `give_up` ends the tree first, through the guardian. `main` is the pid of the run's main process.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminated(number: int, dummy: object) -> None:
        # Core terminates a worker that does not end more than once; the second time must not find its handler, which takes the client along.
        signal.signal(number, signal.SIG_IGN)
        give_up()
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


@contextlib.contextmanager
def out_of_terminal_reach(connection: ConnectionBase, main: int) -> t.Iterator[None]:
    """While the block runs, what `connection` starts outlives an INT or HUP that the terminal sends to the group of the process `main`.

    - Ignored signals stay ignored in a client that is started in the block. That is enough for ssh by itself, but a client of a ControlMaster
      installs handlers whether they were ignored or not (OpenSSH, mux.c).
    - So where there is a master already, this process leaves the terminal's process group for the time. Not otherwise: a client that makes a
      new connection may have to ask at the terminal for a host key or a passphrase, which only the foreground group can.
    - A local command must inherit none of that. There the handlers do nothing, and are reset in whatever is executed.
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
    """Whether the ssh plugin has found or made a ControlMaster, at the path that it has chosen itself: one that the user gave is not known to it."""
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
        pass  # that group has been killed in the meantime, and this worker is an orphan that the guardian will end


def _ignore(number: int, frame: object) -> None:
    """A handler that keeps a signal from ending this process, and is not inherited by what it executes."""
