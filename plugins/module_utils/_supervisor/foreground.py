# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Gives the module the foreground of a terminal that sudo has made (`use_pty`), in its own group.

When the channel breaks, sudo sends SIGHUP to the process group of its command. The supervisor is to
end the module in its order instead.
"""

import os

from ansible_collections.treekill.remote.plugins.module_utils._process.fast_signal import (
    host_signals,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Tuple


def take_foreground(pipe: "Tuple[int, int]") -> None:
    """Move this process into a new group in the foreground, if it is in the foreground.

    A temporary process leads the group: the leader of a group can't begin a session, and modules
    do so.

    pipe: one whose writing end only this process has.
    """
    try:
        if os.tcgetpgrp(1) != os.getpgrp():
            return
        first = os.fork()
    except OSError:
        return  # there is no terminal; or the user has no more processes
    if not first:
        os.close(pipe[1])
        os.read(pipe[0], 1)  # it ends with this process, whatever ends that
        os._exit(0)
    try:
        os.setpgid(first, first)
        os.tcsetpgrp(1, first)
        os.setpgid(0, first)
    except OSError:
        pass  # the terminal was hung up
    os.kill(first, host_signals.SIGKILL)
    os.waitpid(first, 0)
