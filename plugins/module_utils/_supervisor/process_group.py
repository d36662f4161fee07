# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Moves the supervisor out of a process group that it leads.

Otherwise a signal to the group reaches the module twice, the second time forwarded by the
supervisor.
"""

import os

from ansible_collections.treekill.remote.plugins.module_utils._process.fast_signal import (
    host_signals,
)


def leave_group() -> None:
    """Move this process into a separate session.

    The leader of a group can't begin a session. So it joins a group that a temporary process leads.
    The leader of a session can't leave it.
    """
    try:
        first = os.fork()
    except OSError:
        return  # the user has no more processes: this one keeps getting the signals to its group
    if not first:
        while True:
            host_signals.pause()
    try:
        os.setpgid(first, first)
        os.setpgid(0, first)
        os.setsid()
    except OSError:
        pass  # it leads a session, and keeps getting the signals to its group
    os.kill(first, host_signals.SIGKILL)
    os.waitpid(first, 0)
