# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a forked process leaves behind of its parent: session, signals, descriptors.

This file is private to the collection treekill.remote.
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


def leave_parent(disposition: signal.Handlers, *kept: int | None) -> None:
    """Enter a session of our own, treat the signals of a run as `disposition` says, and close all descriptors above 2 but those kept."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in RUN_SIGNALS:
        signal.signal(number, disposition)
    # Listed, not counted up to SC_OPEN_MAX, which is a billion in some containers.
    for descriptor in map(int, os.listdir("/dev/fd")):
        if descriptor > 2 and descriptor not in kept:
            try:
                os.close(descriptor)
            except OSError:
                pass  # the one by which the list was read: closed already


@dataclasses.dataclass(frozen=True)
class RunPipes:
    """Descriptors that the main process opens before its first fork, and that its workers inherit; no program that they execute does."""

    #: Read end of a pipe whose write end the main process and its workers hold: a process that has
    #: it open is one of them.
    lifeline: int
    #: Read end of a pipe to which the signal handler of the main process writes the number of each
    #: signal that interrupts the run.
    wake: int


class Fork(enum.Enum):
    """What a fork of the main process is to the run."""

    WORKER = "worker"
    GUARDIAN = "guardian"
    #: Of another plugin, or of a program that uses Ansible as a library: it leaves the run, and is
    #: not ended with it.
    STRANGER = "stranger"


class _Hook:
    """Of this process: what is called in its forks."""

    call: t.Callable[[Fork], None] | None = None
    registered = False


class _Forking(threading.local):
    """What a thread is forking at this moment."""

    kind = Fork.STRANGER


_forking = _Forking()


def at_fork(call: t.Callable[[Fork], None] | None) -> None:
    """Have this called in each fork of this process and of its workers; None: nothing any more."""
    _Hook.call = call
    if not _Hook.registered:
        # The interpreter takes no hook back: there is one for all runs of this process.
        _Hook.registered = True
        os.register_at_fork(after_in_child=_in_child)


@contextlib.contextmanager
def forking(kind: Fork) -> t.Iterator[None]:
    """A process that is forked in this block is of that kind."""
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
