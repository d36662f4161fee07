# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Catches what forks and exits faster than all processes can be listed.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later.
A file of its own because a host compiles it only if processes vanish under our eyes.
"""

from ansible_collections.treekill.remote.plugins.module_utils._signals import SIGSTOP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.module_utils._tree_control import TreeControl

# Seconds of one pursuit: a hundred generations and more of a process that does nothing but fork, and little for a host that is only busy.
PURSUIT_SECONDS = 0.03


def pursue(control: "TreeControl") -> "None":
    """Look at each process in the moment of its birth, as the kernel tells the pid that it gave last, until a member is caught."""
    search, table = control.search, control.table
    until = control.clock() + PURSUIT_SECONDS
    last = table.newest()
    known = len(search.members)
    while last is not None and control.clock() < until and len(search.members) == known:
        newest = table.newest() or last
        # The youngest first: it has most of its life before it. (When the pids begin anew, the first few get away: there will be others.)
        for pid in range(newest, last, -1):
            for dummy, environment in table.environments((pid,)):
                if environment and search.match.named_root(environment) is not None:
                    _catch(control, pid)
        last = newest


def _catch(control: "TreeControl", pid: "int") -> "None":
    """Stop it first; then there is time to ask who it is."""
    process = control.table.process(pid)
    try:
        if process is not None:
            control.send(process.id, SIGSTOP)
    except (ProcessLookupError, PermissionError):
        process = None
    if process is None:
        control.search.missed = pid
    elif control.table.is_leader(pid):
        control.search.take_holder(pid)
