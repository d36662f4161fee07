# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sweep of one host: the journal on the controller, and what is left on the host."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible_collections.treekill.remote.plugins.module_utils._survey.arguments import (
    KILL_ARGUMENTS,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.journal_action import (
    JournalAction,
    failure,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._core.transports import address_of
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.client import (
    current,
    is_announced,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._records import journal
from ansible_collections.treekill.remote.plugins.plugin_utils._records.sweep import (
    Look,
    Place,
    Sweep,
    SweepOptions,
    left_open,
    looks,
)

#: The options of run_sweep. Those of the kill go to process_tree_kill as they are.
ARGUMENTS = {
    "runs": {"type": "list", "elements": "str"},
    "leases": {"type": "list", "elements": "str"},
    "journal": {"type": "str", "choices": ["ask", "only", "ignore"], "default": "ask"},
    "dead": {"type": "bool"},
    "older_than": {"type": "str", "default": "0s"},
    "left_behind": {"type": "bool", "default": False},
    **KILL_ARGUMENTS,
}


class SweepAction(JournalAction):
    """The base of the action run_sweep."""

    _VALID_ARGS = frozenset(ARGUMENTS)
    _requires_connection = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None
    ) -> dict[str, t.Any]:
        """Sweep the host, and return a summary."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        self.warn_without_guard()
        if is_announced():
            current().page.note_sweep()
        dummy, arguments = self.validate_argument_spec(ARGUMENTS)  # type: ignore[no-untyped-call]
        variables = task_vars or {}
        place = Place(str(variables.get("inventory_hostname") or ""), address_of(self._connection))
        options = _options(arguments)
        directory = self.directory(variables)
        entries = [] if options.journal == "ignore" else self.entries(directory)
        common = {name: arguments[name] for name in KILL_ARGUMENTS if arguments[name] is not None}
        sweep = Sweep(bool(self._task.check_mode), left_open(options, entries, place))
        done: list[dict[str, t.Any]] = []
        for look in looks(options, entries, place):
            one: dict[str, t.Any] = self._execute_module(
                module_name="treekill.remote.process_tree_kill",
                module_args={**look.options.to_arguments(), **common},
                task_vars=task_vars,
            )
            if one.get("failed") or one.get("unreachable") or "survivors" not in one:
                return {**result, **one, "sweeps": done}
            if sweep.add(look, one):
                self._note(directory, place.host, look)
            done.append({"what": look.what, **_rows(one)})
        return {
            **result,
            "changed": sweep.ended > 0 or (bool(self._task.check_mode) and sweep.found > 0),
            "ended": sweep.ended,
            "alive": sweep.alive,
            "ending": sweep.ending,
            "summary": sweep.summary or ["the journal names no command that may be alive here"],
            "sweeps": done,
        }

    def _note(self, directory: str, host: str, look: Look) -> None:
        if look.note is None or self._task.check_mode:
            return
        run, leases = look.note
        try:
            journal.mark_swept(directory, run, host, leases)
        except OSError as error:
            raise failure(directory, error) from error


def _options(arguments: t.Mapping[str, t.Any]) -> SweepOptions:
    runs, leases = arguments["runs"] or [], arguments["leases"] or []
    if leases and len(runs) != 1:
        raise AnsibleActionFail("leases are commands of exactly one run: name it with runs")
    dead = arguments["dead"]
    return SweepOptions(
        runs,
        leases,
        arguments["journal"],
        not runs if dead is None else dead,
        arguments["older_than"],
        arguments["left_behind"],
    )


def _rows(one: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    names = ("found", "gone", "survivors", "spared", "left_alone", "complete", "unreadable")
    return {name: one[name] for name in names if name in one}
