# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running a command with its own kill options, and recording the root that it had on the host.

This file is private to the collection treekill.remote.
"""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.treekill.remote.plugins.doc_fragments.kill import ARGUMENT_NAMES
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.guard import (
    guard_connection,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.client import current
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.in_flight import guard_of, note
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.task import GuardedTask


class RecordedAction(ActionBase):
    """Comes before one of core's actions among the bases of an action of ours.

    The kill options are arguments of the task, and remote_pid and remote_ppid come with its result.
    """

    #: Whether what it runs on the host is a module, as opposed to a command line of its own.
    runs_module = True

    #: Arguments that core's parser gives to its own actions of that name, and not to ours.
    fixed_arguments: t.ClassVar[t.Mapping[str, t.Any]] = {}

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        # Taken out here and once: a task with `until` runs the same object several times.
        self._kill_arguments = {
            name: self._task.args.pop(name) for name in ARGUMENT_NAMES if name in self._task.args
        }
        self._task.args.update(self.fixed_arguments)
        # The name of the module's own parameter; core's parser makes it of `cmd` for its own command modules only.
        if "cmd" in self._task.args:
            self._task.args["_raw_params"] = self._task.args.pop("cmd")

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Raises AnsibleActionFail where there is no POSIX shell at the other end, AnsibleOptionsError for a kill option that is not allowed."""
        task = GuardedTask.from_action(self, self._kill_arguments)
        guard = guard_connection(self._connection, current(), task)
        note(guard_of(guard, task))
        if guard is None:
            name = self._connection._load_name
            raise AnsibleActionFail(
                f"There is no POSIX shell at the other end of the connection {name}: nothing to guard a command with."
            )
        with guard.recording(commands=not self.runs_module) as recording:
            result: dict[str, t.Any] = super().run(tmp, task_vars)
        if recording.root is not None:
            result.update(
                remote_pid=recording.root.remote_pid, remote_ppid=recording.root.remote_ppid
            )
        return result
