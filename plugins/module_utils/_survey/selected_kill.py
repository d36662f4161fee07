# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The kill pass of a module: finds the selection again, and ends it as a kill order would."""

import os
import time

from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.kill_pass import KillPass
from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.report_line import (
    process_row,
    signal_name,
    user_name,
)
from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.supervisor_client import (
    PATIENCE_SECONDS,
)
from ansible_collections.treekill.remote.plugins.module_utils._lease.supervisor_title import (
    ENDING_TITLE,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.masked_words import (
    mask_command,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.signaller import (
    Signaller,
    ignore_signals,
)
from ansible_collections.treekill.remote.plugins.module_utils._tree.control import (
    COMMAND_CHARACTERS,
    SUPERVISOR,
    TrackedProcess,
    TreeControl,
)
from ansible_collections.treekill.remote.plugins.module_utils._tree.search import TreeSearch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List

    from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.report_types import (
        HostReport,
        ReportRow,
    )
    from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import (
        KillRequest,
    )
    from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
        Process,
        ProcessTable,
    )
    from ansible_collections.treekill.remote.plugins.module_utils._survey.commands import (
        CommandTree,
    )
    from ansible_collections.treekill.remote.plugins.module_utils._survey.selection import (
        CommandsMatch,
        Selection,
    )

#: Seconds between two looks at a supervisor that is at work.
_LOOK_SECONDS = 0.05


class SelectedSearch(TreeSearch):
    """Finds the processes of the selected commands.

    Processes of another root or user with the same lease are left out.
    """

    def take_holder(self, pid: int) -> None:
        """Take a holder, if it belongs to one of the selected roots."""
        process = self._table.process(pid)
        environment = self._table.environment(pid)
        match: CommandsMatch = self.match  # type: ignore[assignment]
        if process is None or match.believes(
            environment, process.id.start, self._table.effective_uid(pid)
        ):
            super().take_holder(pid)


def control_of(
    selection: "Selection", request: "KillRequest", table: "ProcessTable"
) -> "TreeControl":
    """Return the control of what was selected and is still the same. It has signalled nothing."""
    # It recognises several commands. The search of a kill order knows only one.
    search = SelectedSearch(selection.match(), table, os.getpid())  # type: ignore[arg-type]
    roots = {process.id for process in selection.roots}
    for process in selection.tops:
        now = table.process(process.id.pid)
        if now is not None and now.id == process.id and now.id not in search.members:
            search.take(now, now.id in roots)
    return TreeControl(
        search,
        table,
        Signaller(table.process).send,
        time.monotonic,
        time.sleep,
        request.children,
        request.arguments,
    )


def would_end(control: "TreeControl", request: "KillRequest") -> "Dict[str, List[ReportRow]]":
    """Return what end_selection() would signal first, and what it could not end.

    No process is touched: signal 0 only asks whether it may be signalled.
    """
    found: List[ReportRow] = []
    survivors: List[ReportRow] = []
    for process in control.search.members.values():
        tracked = TrackedProcess(process, "root" if process.id in control.search.roots else "child")
        tracked.describe(control.table, request.arguments)
        control.signal(tracked, 0)
        control.processes[process.id] = tracked
    KillPass(request, control).look_for_transactions()
    control.mark_transactions()
    for process, tracked in zip(control.search.members.values(), control.processes.values()):
        if tracked.role == SUPERVISOR:
            continue  # it ends by itself when nothing is left
        row = process_row(process, tracked.user, _masked(tracked.command), tracked.role)
        if tracked.finishes:
            row["transaction"] = "finishing"
        if not control.is_wanted(tracked):
            row["reason"] = "left: kill_children is false"
            survivors.append(row)
        elif tracked.denied:
            row["reason"] = "not permitted (owned by %s)" % user_name(tracked.user)
            survivors.append(row)
        elif tracked.ended is None:
            row["signal"] = signal_name(
                request.signal if tracked.role == "root" else request.children_signal
            )
            found.append(row)
    return {"found": found, "survivors": survivors}


def end_selection(control: "TreeControl", request: "KillRequest") -> "HostReport":
    """End the selection. Return the report of the pass, with its command lines masked."""
    # An interruption of the run must not leave processes that this pass has stopped.
    ignore_signals()
    kill_pass = KillPass(request, control)
    try:
        if kill_pass.find():
            kill_pass.end()
    except BaseException:
        control.resume_all()
        raise
    report = kill_pass.report()
    for row in report["gone"] + report["survivors"] + report["spared"] + report["finishing"]:
        row["command"] = _masked(row["command"])
    return report


def _masked(command: str) -> str:
    return mask_command(command, len(command) >= COMMAND_CHARACTERS)


def await_supervisors(trees: "List[CommandTree]", table: "ProcessTable", timeout: float) -> bool:
    """Wait for supervisors that are ending their trees. Return whether there were any.

    Only they can find some orphans.
    """
    working = [tree.supervisor for tree in trees if tree.ending and tree.supervisor is not None]
    waiting = working
    until = time.monotonic() + timeout + PATIENCE_SECONDS
    while waiting and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
        waiting = [one for one in waiting if _is_ending(one, table)]
    return bool(working)


def _is_ending(supervisor: "Process", table: "ProcessTable") -> bool:
    words = b" ".join(table.arguments(supervisor.id.pid))
    now = table.process(supervisor.id.pid)
    return now is not None and now.id == supervisor.id and words.startswith(ENDING_TITLE.encode())
