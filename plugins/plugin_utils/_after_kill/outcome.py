# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The outcome of the run after the kill, for each host.

The callback of that run writes it to a file that the guardian names. The output of the run is for
people. Its exit status does not show which hosts it has not reached.
"""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import HostEnding

if t.TYPE_CHECKING:
    from ansible.executor.stats import AggregateStats

#: Environment variable that marks a run after a kill, and names the file for its outcome. Empty in
#: processes that such a run starts.
ENVIRONMENT = "TREEKILL_AFTER_RUN"


def is_after_run() -> bool:
    """Whether this is a run after a kill, or was started by one."""
    return ENVIRONMENT in os.environ


def outcome_file() -> str:
    """Return where this run writes its outcome; empty if it need not.

    Clears the variable: processes that this one starts write no outcome.
    """
    path = os.environ.get(ENVIRONMENT, "")
    if path:
        os.environ[ENVIRONMENT] = ""
    return path


def leave_outcome(path: str, stats: AggregateStats) -> None:
    """Write how each host ended, and keep the outcomes of the run's earlier playbooks."""
    outcome = read_outcome(path)
    for host in stats.processed:
        counts = stats.summarize(host)
        outcome[str(host)] = (
            HostEnding.UNREACHABLE
            if counts["unreachable"]
            else HostEnding.FAILED
            if counts["failures"]
            else HostEnding.OK
        )
    with open(path, "w", encoding="utf-8") as file:
        json.dump({host: ending.value for host, ending in outcome.items()}, file)


def read_outcome(path: str) -> dict[str, HostEnding]:
    """Return how each host ended. Hosts that no play has reached are missing."""
    try:
        with open(path, encoding="utf-8") as file:
            return {str(host): HostEnding(ending) for host, ending in json.load(file).items()}
    except (OSError, ValueError):
        return {}  # the run was ended early
