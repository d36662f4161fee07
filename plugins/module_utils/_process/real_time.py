# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Real-time scheduling on a busy host, while a tree is being searched.

A tree that forks and exits faster than the pass gets the processor can't be caught.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class RealTimeScheduling:
    """A context manager: real-time scheduling, if this process may have it.

    Processes that it starts do not inherit it, see sched(7).
    """

    def __init__(self) -> None:
        self._before: Any = None

    def __enter__(self) -> None:
        try:
            policy = os.sched_getscheduler(0)
            if policy & ~os.SCHED_RESET_ON_FORK == os.SCHED_OTHER:
                os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
                self._before = policy
        except (AttributeError, OSError):
            pass  # only root may do it, and only on Linux

    def __exit__(self, *dummy: object) -> None:
        if self._before is not None:
            os.sched_setscheduler(0, self._before, os.sched_param(0))
