# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The end of a process as another one has ended.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later.
"""

import os

from ansible_collections.treekill.remote.plugins.module_utils._process.fast_signal import (
    host_signals,
)
from ansible_collections.treekill.remote.plugins.module_utils._supervisor.libc import call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

#: See prctl(2). A limit would not do: the kernel asks a program that takes core dumps, as systemd's does, in spite of it.
PR_SET_DUMPABLE = 4


def end_like(status: int) -> "NoReturn":
    """End this process with the status of another one: by the same signal, but without a core dump of ours."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        call("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0)
        try:
            host_signals.signal(number, host_signals.SIG_DFL)
        except (OSError, ValueError):
            pass  # KILL can't be set to what it is anyway
        host_signals.pthread_sigmask(host_signals.SIG_UNBLOCK, [number])
        os.kill(os.getpid(), number)
        os._exit(128 + number)
    os._exit(os.WEXITSTATUS(status))
