# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the run after the kill tells what it did: for each host, by its callback, in a file that the guardian names.

This file is private to the collection treekill.remote.

Its output is for people, and its exit status does not tell on which hosts it has not come to anything.
"""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import HostEnding

if t.TYPE_CHECKING:
    from ansible.executor.stats import AggregateStats

ENVIRONMENT = "TREEKILL_AFTER_RUN"
"""Environment variable that makes a run one after a kill, and names the file for its outcome; empty in what that starts in its turn."""


def is_after_run() -> bool:
    """Whether this is a run after a kill, or was started by one."""
    return ENVIRONMENT in os.environ


def outcome_file() -> str:
    """Where this run is to leave its outcome; empty if it is not asked to. For this process alone: what it starts has nothing to tell."""
    path = os.environ.get(ENVIRONMENT, "")
    if path:
        os.environ[ENVIRONMENT] = ""
    return path


def leave_outcome(path: str, stats: AggregateStats) -> None:
    """Write down how each host ended; of several playbooks, all."""
    outcome = read_outcome(path)
    for host in stats.processed:
        counts = stats.summarize(host)
        outcome[str(host)] = HostEnding.UNREACHABLE if counts["unreachable"] else HostEnding.FAILED if counts["failures"] else HostEnding.OK
    with open(path, "w", encoding="utf-8") as file:
        json.dump({host: ending.value for host, ending in outcome.items()}, file)


def read_outcome(path: str) -> dict[str, HostEnding]:
    """Return how each host ended; hosts that no play came to are not in it."""
    try:
        with open(path, encoding="utf-8") as file:
            return {str(host): HostEnding(ending) for host, ending in json.load(file).items()}
    except (OSError, ValueError):
        return {}  # it was ended before it came to its end
