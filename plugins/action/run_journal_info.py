# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The run_journal_info action. The module run_journal_info has its documentation."""

from __future__ import annotations

import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._connection.journal_action import (
    JournalAction,
)

#: The options, as the module of this name documents them.
ARGUMENTS = {
    "host": {"type": "str"},
    "runs": {"type": "list", "elements": "str"},
    "open": {"type": "bool", "default": False},
}


class ActionModule(JournalAction):
    """Adapts core's action to the journal, and only reads."""

    _VALID_ARGS = frozenset(ARGUMENTS)

    def run(
        self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None
    ) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        self.warn_without_guard()
        dummy, arguments = self.validate_argument_spec(ARGUMENTS)
        directory = self.directory(task_vars)
        runs = self.selected(directory, arguments)
        return {**result, "changed": False, "path": directory, "runs": runs}
