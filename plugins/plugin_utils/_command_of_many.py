# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One command of a process that runs many, as ansible-console does: where it ends, its run ends, and the next has one of its own.

This file is private to the collection treekill.remote.

No callback tells that end. What every program calls at it, interrupted or not, is `TaskQueueManager.cleanup`: it is watched for one call.
"""

from __future__ import annotations

import functools
import typing as t

from ansible.executor.task_queue_manager import TaskQueueManager


def at_end_of_command(call: t.Callable[[], None]) -> None:
    """Call it once, when core has cleaned up after the command that is about to run."""
    original: t.Callable[[TaskQueueManager], None] = TaskQueueManager.cleanup

    @functools.wraps(original)
    def cleanup(self: TaskQueueManager) -> None:
        TaskQueueManager.cleanup = original  # type: ignore[method-assign]
        try:
            original(self)
        finally:
            call()

    TaskQueueManager.cleanup = cleanup  # type: ignore[method-assign]
