# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The first turn on a busy host, for as long as a tree is hunted: what forks and exits faster than the pass gets the processor is not caught.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later, cheap to import.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class FirstTurn:
    """Context manager: real-time scheduling, where this process may have it. What it starts does not inherit that, see sched(7)."""

    def __init__(self) -> None:
        self._before: Any = None

    def __enter__(self) -> None:
        try:
            policy = os.sched_getscheduler(0)
            if policy & ~os.SCHED_RESET_ON_FORK == os.SCHED_OTHER:
                os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
                self._before = policy
        except (AttributeError, OSError):
            pass  # root's right alone, and Linux's

    def __exit__(self, *dummy: object) -> None:
        if self._before is not None:
            os.sched_setscheduler(0, self._before, os.sched_param(0))
