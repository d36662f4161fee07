# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Forks of the main process, and how a forked process leaves its parent.

A fork leaves session, signals and descriptors of its parent behind.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import os
import signal
import threading
import typing as t

#: The signals that interrupt a run.
RUN_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: The signal by which a guardian ends the task of a worker that returns a result nevertheless. A
#: process without a handler ignores it, so it does no harm to a worker that has ended its task.
TASK_SIGNAL = signal.SIGURG


def set_run_signals(disposition: signal.Handlers) -> None:
    """Let this process ignore the signals of a run, or heed them."""
    for number in RUN_SIGNALS:
        signal.signal(number, disposition)


def leave_parent(disposition: signal.Handlers, *kept: int | None) -> None:
    """Leave the parent: enter a new session, reset the run's signals, close descriptors.

    `disposition` applies to the signals of a run. Descriptors above 2 are closed, except those
    kept.
    """
    os.setsid()
    signal.set_wakeup_fd(-1)
    set_run_signals(disposition)
    # Listed, not counted up to SC_OPEN_MAX: that is a billion in some containers.
    for descriptor in map(int, os.listdir("/dev/fd")):
        if descriptor > 2 and descriptor not in kept:
            try:
                os.close(descriptor)
            except OSError:
                pass  # the descriptor of the listing itself, which is closed already


@dataclasses.dataclass(frozen=True)
class RunPipes:
    """Pipes that the main process opens before its first fork.

    Its workers inherit the descriptors. A program that a worker executes does not.
    """

    #: Read end of a pipe. The main process and its workers hold the write end, so a process that
    #: has it open is one of them.
    lifeline: int
    #: Read end of a pipe. The signal handler of the main process writes the number of each signal
    #: that interrupts the run to it.
    signals: int


class Fork(enum.Enum):
    """The role of a fork of the main process in the run."""

    WORKER = "worker"
    GUARDIAN = "guardian"
    #: A fork by another plugin, or by a program that uses Ansible as a library. It leaves the run,
    #: and is not ended with it.
    STRANGER = "stranger"


class _Hook:
    """The call that forks of this process make; one for each process."""

    call: t.Callable[[Fork], None] | None = None
    registered = False


class _Forking(threading.local):
    """The kind of process that a thread is forking."""

    kind = Fork.STRANGER


_forking = _Forking()


def at_fork(call: t.Callable[[Fork], None] | None) -> None:
    """Have `call` called in each fork of this process and of its workers; None ends this."""
    _Hook.call = call
    if not _Hook.registered:
        # The interpreter can't unregister a hook: one hook serves all runs of this process.
        _Hook.registered = True
        os.register_at_fork(after_in_child=_in_child)


@contextlib.contextmanager
def forking(kind: Fork) -> t.Iterator[None]:
    """Mark processes that are forked in this block as that kind."""
    before, _forking.kind = _forking.kind, kind
    try:
        yield
    finally:
        _forking.kind = before


def _in_child() -> None:
    call, kind, _forking.kind = _Hook.call, _forking.kind, Fork.STRANGER
    if kind is not Fork.WORKER:
        _Hook.call = None
    if call is not None:
        call(kind)
