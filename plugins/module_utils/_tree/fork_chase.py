# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Catches processes that fork and exit faster than all processes can be listed."""

from ansible_collections.treekill.remote.plugins.module_utils._process.signaller import (
    SIGCONT,
    SIGSTOP,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.module_utils._process.model import Process
    from ansible_collections.treekill.remote.plugins.module_utils._tree.control import TreeControl

#: Seconds of one chase at most: some hundreds of generations of a process that does nothing but
#: fork.
ONE_CHASE_SECONDS = 0.1
#: Seconds without a birth that was noticed too late. After them no process is escaping.
CALM_SECONDS = 0.01


def chase(control: "TreeControl") -> None:
    """Look at each process at the moment of its birth, until a member is caught or births stop.

    The kernel shows the pid that it gave last.
    """
    search, table = control.search, control.table
    known = len(search.members)
    last = table.last_pid()
    now = control.clock()
    until = now + ONE_CHASE_SECONDS
    calm = now + CALM_SECONDS
    while last is not None and now < min(until, calm) and len(search.members) == known:
        search.take_orphans()
        newest = table.last_pid() or last
        seen = 0
        # The youngest first: it has most of its life before it. When pids begin again, the first
        # few escape, but others follow.
        for pid, environment in table.environments(range(newest, last, -1)):
            seen += environment != b""  # a process that is exiting has none any more
            if environment and search.match.named_root(environment) is not None:
                _catch(control, pid)
        now = control.clock()
        if seen < newest - last:
            calm = now + CALM_SECONDS
        last = newest


def _catch(control: "TreeControl", pid: int) -> None:
    """Stop the process first. After that there is time to see where it stands."""
    search = control.search
    process = control.table.process(pid)
    try:
        # Read it again, now that the process is identified: the pid may have changed hands since
        # the environment was read.
        if process is None or search.named_root(pid) is None:
            raise ProcessLookupError
        control.send(process.id, SIGSTOP)
    except OSError:
        # It is gone or out of reach. Or it is a thread, and not a process: see EINVAL in
        # pidfd_open(2).
        if control.table.thread_group(pid) in (None, pid):
            search.missed = pid
        return
    if control.table.thread_group(pid) == pid:
        search.take_holder(pid)
    if process.id not in search.members:
        _let_go(control, process)


def _let_go(control: "TreeControl", process: "Process") -> None:
    """Resume a process with the cookie that is not of the tree.

    It may be a service of systemd, or a child of an exempt process.
    """
    try:
        control.send(process.id, SIGCONT)
    except OSError:
        pass  # it has ended
