# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeping a client alive when Ctrl-C at the terminal reaches it as well as the main process: before ansible-core 2.19.

This file is private to the collection treekill.remote.

From 2.19 on workers have sessions of their own. Before, the worker and its client are in the terminal's foreground process group, and a client with
a pty that dies hangs up half the tree before anybody can look at it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import typing as t

from ansible.utils.path import unfrackpath
from ansible_collections.treekill.remote.plugins.plugin_utils._core.transports import runs_here

if t.TYPE_CHECKING:
    from ansible.plugins.connection import ConnectionBase


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
    leaves = _has_master(connection)
    deaf = _do_nothing if runs_here(connection) else signal.SIG_IGN
    numbers = (signal.SIGINT, signal.SIGHUP, *((signal.SIGTTIN, signal.SIGTTOU) if leaves else ()))
    before = {number: signal.signal(number, deaf) for number in numbers}
    group = os.getpgrp()
    if leaves:
        os.setpgid(0, 0)
    try:
        yield
    finally:
        if leaves:
            _return_to(group)
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


def _return_to(group: int) -> None:
    try:
        os.setpgid(0, group)
    except OSError:
        pass  # that group has been killed in the meantime, and this worker is an orphan that the guardian will end


def _do_nothing(number: int, frame: object) -> None:
    """A handler that keeps a signal from ending this process, and is not inherited by what it executes."""
