# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of one run in a process that has several.

Such a process is ansible-console, or a program that uses Ansible as a library. Core has no callback
for the end of a run. Each program calls `TaskQueueManager.cleanup` at the end, interrupted or not.
That method is patched for one call.

The commands `ansible` and `ansible-playbook` have one run, which ends with the process. Their last
output comes before the recap.

The patches of `track: all` are in another file: its imports take some 12 ms, which a run with less
tracking does not need.
"""

from __future__ import annotations

import functools
import sys
import types
import typing as t

from ansible.executor.task_queue_manager import TaskQueueManager

if t.TYPE_CHECKING:
    from ansible.plugins.callback import CallbackBase


def is_command_line() -> bool:
    """Whether core's own command line has started this run."""
    frame: types.FrameType | None = sys._getframe()
    while frame is not None:
        if (
            frame.f_code.co_name == "cli_executor"
            and frame.f_globals.get("__name__") == "ansible.cli"
        ):
            return True
        frame = frame.f_back
    return False


def at_end_of_run(callback: CallbackBase, call: t.Callable[[], None]) -> None:
    """Have `call` called once, after core's clean-up of the run whose events `callback` gets."""
    original: t.Callable[[TaskQueueManager], None] = TaskQueueManager.cleanup
    waiting = [call]

    @functools.wraps(original)
    def cleanup(self: TaskQueueManager) -> None:
        mine = callback in self._callback_plugins
        if mine and TaskQueueManager.cleanup is cleanup:
            TaskQueueManager.cleanup = original  # type: ignore[method-assign]
        try:
            original(self)
        finally:
            if mine and waiting:
                waiting.pop()()

    TaskQueueManager.cleanup = cleanup  # type: ignore[method-assign]
