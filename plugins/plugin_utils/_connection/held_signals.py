# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A worker's signals while a command or a transfer of its is out: whatever would end the client, the tree is ended first.

This file is private to the collection treekill.remote.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import types
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._connection.terminal_reach import (
    out_of_terminal_reach,
)

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
        if callable(cores_alarm):
            cores_alarm(number, frame)

    before, cores_alarm = (
        signal.signal(signal.SIGTERM, terminated),
        signal.getsignal(signal.SIGALRM),
    )
    if callable(cores_alarm):
        signal.signal(signal.SIGALRM, timed_out)
    try:
        with out_of_terminal_reach(connection, main):
            yield
    finally:
        if callable(cores_alarm):
            signal.signal(signal.SIGALRM, cores_alarm)
        signal.signal(signal.SIGTERM, before)
