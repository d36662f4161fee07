# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a forked process of ours leaves behind of its parent: session, signals, descriptors.

This file is private to the collection treekill.remote.
"""

from __future__ import annotations

import dataclasses
import os
import signal

RUN_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that interrupt a run."""


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
    """Descriptors that the main process opens before its first fork, and that all its forks inherit; no program that they execute does."""

    lifeline: int
    """Read end of a pipe whose write end the main process and its forks hold: who has it open is one of them."""
    wake: int
    """Read end of a pipe to which the interpreter's C signal handler in the main process writes the number of each signal."""
