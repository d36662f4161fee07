# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The base of the actions that use the journal, which is on the controller."""

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
from ansible_collections.treekill.remote.plugins.plugin_utils._records import (
    journal,
    journal_entry,
)

display = Display()


class JournalAction(ActionBase):
    """An action that connects to no host for the journal."""

    _requires_connection = False

    def warn_without_guard(self) -> None:
        """Warn if the callback was meant to guard this run, and does not."""
        missing = "" if is_announced() else misconfiguration()
        if missing:
            display.warning(f"treekill.remote: this run is not guarded. {missing}.")

    def warn_of(self, text: str) -> None:
        """Warn of what goes on working until version 3.0.0.

        An action gets no warning for the `deprecated_aliases` of its spec.
        """
        display.deprecated(text, version="3.0.0", collection_name="treekill.remote")

    def directory(self, variables: dict[str, t.Any] | None) -> str:
        """Return the directory of the journal; empty if there is none."""
        known = {
            name: value
            for name, value in (variables or {}).items()
            if name in options.RECORD_VARIABLES
        }
        return options.resolve_records(known).journal_path

    def entries(self, directory: str) -> list[journal_entry.JournalEntry]:
        """Return all runs in the journal. Raises AnsibleActionFail if it can't be read."""
        try:
            return journal.entries(directory) if directory else []
        except OSError as error:
            raise failure(directory, error) from error

    def selected(self, directory: str, arguments: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
        """Return the runs that the arguments ask for, as results."""
        runs, host, is_open = arguments["runs"], arguments["host"], arguments["open"]
        return [
            journal_entry.as_result(entry, host)
            for entry in self.entries(directory)
            if journal_entry.concerns(entry, runs, host, is_open)
        ]


def failure(directory: str, error: Exception) -> AnsibleActionFail:
    """Return the error of an action that could not read or write the journal."""
    return AnsibleActionFail(f"the journal in {directory}: {error}")
