# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A look at the transactions of a tree, which touches no process."""

from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.kill_pass import (
    new_kill_pass,
)
from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.report_line import to_json
from ansible_collections.treekill.remote.plugins.module_utils._tree.control import (
    IN_TRANSACTION,
    TrackedProcess,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.kill_pass import (
        KillPass,
    )
    from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import (
        KillRequest,
    )


def finishing_now(request: "KillRequest") -> "KillPass":
    """Return a pass that knows nothing but the processes that are in a transaction now.

    It has signalled none of them: signal 0 only asks whether a process may be signalled.
    """
    look = new_kill_pass(request)
    control = look.control
    # What a supervisor keeps shows in the scan after the one that finds the supervisor.
    for dummy in range(2):
        control.search.scan()
        for process in list(control.search.members.values())[len(control.processes) :]:
            role = "root" if process.id in control.search.roots else "child"
            tracked = control.processes[process.id] = TrackedProcess(process, role)
            control.describe(tracked)
            control.signal(tracked, 0)
    look.look_for_transactions()
    control.mark_transactions()
    control.processes = {
        tracked.process.id: tracked
        for tracked in control.living()
        if tracked.finishes == IN_TRANSACTION
    }
    return look


def report_look(request: "KillRequest") -> str:
    """Return a report that names nothing but these processes, as JSON."""
    return to_json(finishing_now(request).report())
