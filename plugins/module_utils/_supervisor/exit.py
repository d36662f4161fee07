# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Ends a process in the same way as another one has ended."""

import os

from ansible_collections.treekill.remote.plugins.module_utils._process.fast_signal import (
    host_signals,
)
from ansible_collections.treekill.remote.plugins.module_utils._supervisor.libc import call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

#: See prctl(2). A limit of the core size is not enough: the kernel ignores it if a program takes
#: the core dumps, as that of systemd does.
PR_SET_DUMPABLE = 4


def end_like(status: int) -> "NoReturn":
    """End this process with the status of another one.

    That is by the same signal, but without a core dump of this process.
    """
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        call("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0)
        try:
            host_signals.signal(number, host_signals.SIG_DFL)
        except (OSError, ValueError):
            pass  # KILL always has its default action
        host_signals.pthread_sigmask(host_signals.SIG_UNBLOCK, [number])
        os.kill(os.getpid(), number)
        os._exit(128 + number)
    os._exit(os.WEXITSTATUS(status))
