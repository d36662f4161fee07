# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A survey of a whole host: the living commands, the state of each, and the blind spots."""

import os

from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.report_line import (
    user_name,
)
from ansible_collections.treekill.remote.plugins.module_utils._lease.cookie import VARIABLE
from ansible_collections.treekill.remote.plugins.module_utils._process.snapshot import Snapshot
from ansible_collections.treekill.remote.plugins.module_utils._survey.commands import (
    command_trees,
    runs_above,
)
from ansible_collections.treekill.remote.plugins.module_utils._survey.output_reader import reader_of
from ansible_collections.treekill.remote.plugins.module_utils._survey.state import UNREADABLE, judge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

    from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessTable


class Survey:
    """A survey of this host.

    snapshot: its processes.
    trees: its commands, with their states.
    own_runs: the runs that this process works for.
    """

    def __init__(self, table: "ProcessTable") -> None:
        own = os.getpid()
        self.snapshot = Snapshot(table)
        self.trees = command_trees(self.snapshot, own)
        for tree in self.trees:
            tree.state, tree.reason = judge(tree, self.snapshot, self._reader_of)
        self.own_runs = runs_above(
            self.snapshot,
            own,
            ("%s=%s" % (VARIABLE, os.environ.get(VARIABLE, ""))).encode("utf-8", "replace"),
        )

    def _reader_of(self, pid: int, descriptor: int) -> str:
        """Return what reads a descriptor of a process.

        It is unreadable if the process has ended by now: another one may have its pid.
        """
        found = reader_of(pid, descriptor)
        return found if self.snapshot.shows(pid) else UNREADABLE

    def blind_spots(self, user: int) -> "Dict[str, Any]":
        """Return what this user could not see, in types that JSON has."""
        unreadable = sum(
            environment is None
            for dummy, environment in self.snapshot.environments(self.snapshot.pids())
        )
        hidden = self.snapshot.hidepid
        spots: Dict[str, Any] = {
            "complete": not unreadable and not hidden,
            "unreadable": unreadable,
            "hidden": hidden,
        }
        if not spots["complete"]:
            spots["msg"] = (
                "%d processes did not let %s read their environment%s:"
                " processes of runs may be missing. With become to root, none are."
                % (
                    unreadable,
                    user_name(user),
                    ", and /proc hides the processes of others" if hidden else "",
                )
            )
        return spots
