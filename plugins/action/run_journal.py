# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The run_journal action of this collection. The module run_journal has its documentation."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.journal_action import (
    JournalAction,
    failure,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._records import journal

#: The options, as the module of this name documents them.
ARGUMENTS = {
    "host": {"type": "str"},
    "runs": {"type": "list", "elements": "str", "aliases": ["run"]},
    "open": {"type": "bool", "default": False},
    "swept": {"type": "list", "elements": "str"},
}


class ActionModule(JournalAction):
    """Adapts core's action to the journal, which is on the controller."""

    _VALID_ARGS = frozenset({*ARGUMENTS, "run"})

    def run(
        self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None
    ) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        self.warn_without_guard()
        dummy, arguments = self.validate_argument_spec(
            ARGUMENTS, required_by={"swept": ["host", "runs"]}
        )
        if "run" in self._task.args:
            self.warn_of("The option run of run_journal is now called runs.")
        if not arguments["swept"]:
            self.warn_of("Reading the journal by run_journal is now done by run_journal_info.")
        directory = self.directory(task_vars)
        try:
            changed = self._mark(directory, arguments) if arguments["swept"] else False
        except (OSError, ValueError) as error:
            raise failure(directory, error) from error
        runs = self.selected(directory, arguments)
        return {**result, "changed": changed, "path": directory, "runs": runs}

    def _mark(self, directory: str, arguments: t.Mapping[str, t.Any]) -> bool:
        """Record the swept leases. Returns whether any is new."""
        if len(arguments["runs"]) != 1:
            raise AnsibleActionFail("swept names leases of exactly one run")
        known = {
            lease
            for entry in self.entries(directory)
            for lease in entry.open_hosts().get(arguments["host"], ())
            if entry.run in arguments["runs"]
        }
        swept = [lease for lease in arguments["swept"] if lease in known]
        if swept and not self._task.check_mode:
            journal.mark_swept(directory, arguments["runs"][0], arguments["host"], swept)
        return bool(swept)
