# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Catches processes that fork and exit faster than all processes can be listed.

It also proves that none is left, however many other processes the host starts. Each process of a
tree has a parent in the tree. A look reads all processes that were born since the look before it.
If it reads each of them while it lives, and none is of the tree, none is left. Else one was the
child of a process that no look has seen alive, and that one would be missing in the last look.

So a process that was gone when it was looked at proves nothing. The next look goes on from there.
"""

from ansible_collections.treekill.remote.plugins.module_utils._process.signaller import (
    SIGCONT,
    SIGSTOP,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence, Set

    from ansible_collections.treekill.remote.plugins.module_utils._process.model import Process
    from ansible_collections.treekill.remote.plugins.module_utils._tree.control import TreeControl

#: Seconds of one chase at most: some hundreds of generations of a process that does nothing but
#: fork.
ONE_CHASE_SECONDS = 0.1


def chase(control: "TreeControl") -> bool:
    """Look at each process at the moment of its birth, until a member is caught.

    Return whether none is left that the last scan, or one of these looks, has not seen.

    The kernel shows the pid that it gave last.
    """
    search, table = control.search, control.table
    known = len(search.members)
    last = search.last_pid
    until = control.clock() + ONE_CHASE_SECONDS
    again = set(search.recent())
    while last is not None and control.clock() < until:
        newest = table.last_pid()
        if newest is None or newest < last:
            break  # pids have begun again: only a list shows the first of them
        search.missed = 0
        search.take_orphans()
        again = _look(control, range(newest, last, -1), again, last)
        if len(search.members) > known:
            break
        if not again and not search.missed:
            return True
        last = newest
    return False


def _look(
    control: "TreeControl", born: "Sequence[int]", again: "Set[int]", last: int
) -> "Set[int]":
    """Look at the processes that were born, and once more at others. Catch what is of the tree.

    Return those that have to be looked at once more.

    The youngest come first: they are the least likely to have ended. A process can show only a
    moment after it was given its pid. Then its parent lives, and shows.
    """
    search, table = control.search, control.table
    left, read = set(born), []
    for pid, environment in table.environments([*born, *again]):
        if environment and search.match.named_root(environment) is not None:
            _catch(control, pid)
        process = table.process(pid) if environment == b"" else None
        if environment == b"" and (process is None or not process.alive or process.exiting):
            continue
        if process is not None and not process.kernel and search.may_be_in_exec(process):
            left.add(pid)
            continue
        left.discard(pid)
        read.append(pid)
    # A process of another user may be hidden, and shows no start time then.
    hidden = {pid for pid in left for one in [table.process(pid)] if one and not one.id.start}
    return (left - hidden).union(search.take_born(read, last))


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
        leader = control.table.thread_group(pid)
        if leader in (None, pid):
            search.missed = pid
        elif leader is not None and not search.holds_pid(leader):
            search.take_holder(leader)
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
