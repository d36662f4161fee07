# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The proxies of shared ssh connections: what ProxyCommand and ProxyJump have started.

The first client of a host leaves its connection to a ControlMaster. The proxy stays a child of that
client, and in its process group. If it is killed, the connection breaks for all tasks and runs that
share it.
"""

from __future__ import annotations

import contextlib
import os
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Collection

    from ansible_collections.treekill.remote.plugins.module_utils._process.proc import ProcTable

_CLIENT = "ssh"

#: A proxy talks to its client by these. The client has the other ends at others, and so has the
#: ControlMaster, which is a fork of it.
_OF_PROXY = ("0", "1")
_OF_ANY_PROGRAM = ("0", "1", "2")


def shared_proxies(table: ProcTable, processes: Collection[int], orphans: bool = False) -> set[int]:
    """Return those of these processes that an ssh process needs which is none of them.

    Args:
        table: of this machine.
        processes: pids of a process's descendants, or of a process group.
        orphans: whether a proxy may be among them whose client is gone.
    """
    parents = {pid: process.ppid for pid in processes if (process := table.process(pid))}
    pipes = {
        pid: _pipes_of(pid, _OF_PROXY)
        for pid, parent in parents.items()
        if (table.program(parent) == _CLIENT if parent in parents else orphans)
    }
    wanted = set[str]().union(*pipes.values())
    held = set[str]()
    for pid in table.pids() if wanted else ():
        if pid not in parents and table.program(pid) == _CLIENT:
            held |= wanted & _pipes_of(pid)
    found = {pid for pid, ends in pipes.items() if ends & held}
    below = [pid for pid in parents if pid not in found]
    while more := {pid for pid in below if parents[pid] in found} - found:
        found |= more
    return found


def _pipes_of(pid: int, descriptors: Collection[str] = ()) -> set[str]:
    """Return the pipes that a process has at these descriptors; without any, at all but 0 to 2.

    There are none if it is gone, or belongs to another user.
    """
    folder = f"/proc/{pid}/fd"
    found = set()
    with contextlib.suppress(OSError):
        for name in descriptors or os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):  # it has just closed that one
                if descriptors or name not in _OF_ANY_PROGRAM:
                    found.add(os.readlink(f"{folder}/{name}"))
    return {link for link in found if link.startswith("pipe:")}
