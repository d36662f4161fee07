# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that a run leaves.

They are its report and its entry in the journal, with their places and their content.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import jsonschema
from ansible_collections.treekill.remote.plugins.plugin_utils._records import (
    journal,
    journal_entry,
)

from tests.support.run.run import Run
from tests.support.run.waiting import until

#: As the option of the plays here has it, in the directory of the run.
REPORT = "report-{run}.json"

#: Seconds for what a guardian writes when it goes on alone.
PATIENCE = 30.0

_SCHEMA = Path(__file__).parents[3] / "docs/report.schema.json"


@functools.lru_cache
def _validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(_SCHEMA.read_text()))


def journal_of(run: Run) -> Path:
    """Return the journal of the run's user, for which the run's directory is Ansible's home."""
    return run.directory / "home/treekill/journal"


def entry_of(run: Run) -> journal_entry.JournalEntry:
    """Return the only run in the journal."""
    entries = journal.entries(str(journal_of(run)))
    assert len(entries) == 1, f"{entries}\n{run.story}"
    return entries[0]


def wait_for_state(run: Run, state: str) -> journal_entry.JournalEntry:
    """Return the entry, once its run is in that state."""
    until(lambda: entry_of(run).state == state, PATIENCE, lambda: f"{entry_of(run)}\n{run.story}")
    return entry_of(run)


def report_of(run: Run) -> dict[str, Any]:
    """Return the only report, valid and for its owner alone."""
    paths = [*run.directory.glob("report-*.json")]
    assert len(paths) == 1, f"{paths}\n{run.story}"
    assert paths[0].stat().st_mode & 0o777 == 0o600
    report: dict[str, Any] = json.loads(paths[0].read_text())
    _validator().validate(report)
    assert paths[0].name == REPORT.replace("{run}", report["run"])
    return report


def wait_for_whole_report(run: Run) -> dict[str, Any]:
    """Return the report, once nothing more will come."""
    until(
        lambda: [*run.directory.glob("report-*.json")] and report_of(run)["complete"],
        PATIENCE,
        lambda: f"no whole report\n{run.story}",
    )
    return report_of(run)


def endings(report: dict[str, Any]) -> dict[str, list[str]]:
    """Return by host what the report has about each process."""
    return {
        tree["host"]: [
            f"{process['state']} {process['ended']} {process['command']}"
            for process in (tree["report"] or {"processes": []})["processes"]
        ]
        for tree in report["trees"]
    }
