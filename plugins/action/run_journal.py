# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The run_journal action of this collection. The module run_journal has its documentation."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.treekill.remote.plugins.plugin_utils._core import options
from ansible_collections.treekill.remote.plugins.plugin_utils._core.missing_callback import (
    misconfiguration,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.client import is_announced
from ansible_collections.treekill.remote.plugins.plugin_utils._records import journal

display = Display()

_ARGUMENTS = {
    "host": {"type": "str"},
    "run": {"type": "list", "elements": "str"},
    "open": {"type": "bool", "default": False},
    "swept": {"type": "list", "elements": "str"},
}


class ActionModule(ActionBase):  # type: ignore[misc]
    """Adapts core's action to the journal, which is on the controller."""

    _requires_connection = False
    _VALID_ARGS = frozenset(_ARGUMENTS)

    def run(
        self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None
    ) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _warn_without_guard()
        dummy, arguments = self.validate_argument_spec(
            _ARGUMENTS, required_by={"swept": ["host", "run"]}
        )
        directory = _journal_path(task_vars or {})
        try:
            changed = self._mark(directory, arguments) if arguments["swept"] else False
            entries = journal.entries(directory) if directory else []
        except (OSError, ValueError) as error:
            raise AnsibleActionFail(f"the journal in {directory}: {error}") from error
        runs = _selected(entries, arguments)
        return {**result, "changed": changed, "path": directory, "runs": runs}

    def _mark(self, directory: str, arguments: t.Mapping[str, t.Any]) -> bool:
        """Record the swept leases. Returns whether any is new."""
        if len(arguments["run"]) != 1:
            raise AnsibleActionFail("swept names leases of exactly one run")
        known = {
            lease
            for entry in journal.entries(directory)
            for lease in entry.open_hosts().get(arguments["host"], ())
            if entry.run in arguments["run"]
        }
        swept = [lease for lease in arguments["swept"] if lease in known]
        if swept and not self._task.check_mode:
            journal.mark_swept(directory, arguments["run"][0], arguments["host"], swept)
        return bool(swept)


def _warn_without_guard() -> None:
    missing = "" if is_announced() else misconfiguration()
    if missing:
        display.warning(f"treekill.remote: this run is not guarded. {missing}.")


def _journal_path(variables: t.Mapping[str, t.Any]) -> str:
    known = {name: value for name, value in variables.items() if name in options.RECORD_VARIABLES}
    return options.resolve_records(known).journal_path


def _selected(
    entries: t.Iterable[journal.JournalEntry], arguments: t.Mapping[str, t.Any]
) -> list[dict[str, t.Any]]:
    runs, host, is_open = arguments["run"], arguments["host"], arguments["open"]
    return [
        journal.as_result(entry, host)
        for entry in entries
        if journal.concerns(entry, runs, host, is_open)
    ]
