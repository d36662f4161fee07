# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The line that a guarded run begins with at C(-v): it shows that the collection is on."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

from ansible_collections.treekill.remote.plugins.plugin_utils._core.display import verbose

if t.TYPE_CHECKING:
    from ansible.utils.display import Display
    from ansible_collections.treekill.remote.plugins.plugin_utils._core.options import (
        KillOptions,
        RecordOptions,
    )

_ROOT = Path(__file__).resolve().parents[3]


def announce_guard(
    run: str, options: KillOptions, records: RecordOptions, tracks_all: bool, display: Display
) -> None:
    """Print the version, the id of the run, what is guarded, and where the journal is."""
    if display.verbosity < 1:
        return
    what = "all tasks" if tracks_all else "only tasks that use plugins of this collection"
    verbose(
        display,
        f"treekill.remote {version()} guards {what} of run {run}."
        f" Grace period: {options.timeout:g} s. Journal: {records.journal_path or 'none'}.",
    )


def version(root: Path = _ROOT) -> str:
    """Return the version of the installed collection, or of the clone that is used in its place.

    Text for the user if neither file tells it.
    """
    try:
        manifest = json.loads((root / "MANIFEST.json").read_text(encoding="utf-8"))
        return str(manifest["collection_info"]["version"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # a clone has no manifest
    try:
        text = (root / "galaxy.yml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = ""
    found = re.search(r"^version: *(\S+)", text, re.MULTILINE)
    return found[1] if found else "(unknown version)"
