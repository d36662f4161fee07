# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Takes a supervisor that is the first of a process group out of it: what the group gets, the module would get a second time from us.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later.
"""

import os

from ansible_collections.treekill.remote.plugins.module_utils._process.fast_signal import (
    host_signals,
)


def leave_group() -> None:
    """Into a session of our own, by way of a group that a process begins which need not stay. The first of a session can't leave."""
    try:
        first = os.fork()
    except OSError:
        return  # the user may have no more processes: it gets what the group gets
    if not first:
        while True:
            host_signals.pause()
    try:
        os.setpgid(first, first)
        os.setpgid(0, first)
        os.setsid()
    except OSError:
        pass  # the first of a session: it gets what the group gets
    os.kill(first, host_signals.SIGKILL)
    os.waitpid(first, 0)
