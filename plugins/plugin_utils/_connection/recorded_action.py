# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Actions with kill options of their own, which return the root of their command on the host."""

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
    """The first base of an action of this collection; the second is one of core's actions.

    The task takes the kill options as arguments. Its result has remote_pid and remote_ppid.
    """

    #: Whether it runs a module on the host, and not a command line of its own.
    runs_module = True

    #: Arguments that core's parser sets for core's action of this name only.
    fixed_arguments: t.ClassVar[t.Mapping[str, t.Any]] = {}

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        # Removed here, and once: a task with `until` runs its action object several times.
        self._kill_arguments = {
            name: self._task.args.pop(name) for name in ARGUMENT_NAMES if name in self._task.args
        }
        self._task.args.update(self.fixed_arguments)
        # The module's own parameter. Core's parser makes it of `cmd` for core's commands only.
        if "cmd" in self._task.args:
            self._task.args["_raw_params"] = self._task.args.pop("cmd")

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Run the action of core, and add the root of its command to the result.

        Raises:
            AnsibleActionFail: there is no POSIX shell at the other end.
            AnsibleOptionsError: a kill option is not allowed.
        """
        task = GuardedTask.from_action(self, self._kill_arguments)
        guard = guard_connection(self._connection, current(), task)
        note(guard_of(guard, task))
        if guard is None:
            name = self._connection._load_name
            raise AnsibleActionFail(
                f"There is no POSIX shell at the other end of the connection {name}:"
                " a command can't be guarded."
            )
        with guard.recording(commands=not self.runs_module) as recording:
            result: dict[str, t.Any] = super().run(tmp, task_vars)
        if recording.root is not None:
            result.update(
                remote_pid=recording.root.remote_pid, remote_ppid=recording.root.remote_ppid
            )
        return result
