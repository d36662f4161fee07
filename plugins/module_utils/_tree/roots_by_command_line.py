# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Roots that no process with a cookie points to.

Their command has cleared its environment, or runs under sudo, which hides the environment.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable

    from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessTable
    from ansible_collections.treekill.remote.plugins.module_utils._tree.search import TreeSearch


def take_roots_by_command_line(
    search: "TreeSearch", table: "ProcessTable", pids: "Iterable[int]"
) -> None:
    """Take into the tree every process whose command line is that of the root."""
    for pid in pids:
        process = table.process(pid) if search.match.claimed_by(table.arguments(pid)) else None
        # Check it again, now that the pid is fixed to a process.
        if process is not None and process.id not in search.members and search.claims(process):
            search.take(search.top(process) or process, True)
