# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The proxies of shared ssh connections: what ProxyCommand and ProxyJump have started.

The first client of a host leaves its connection to a ControlMaster. The proxy stays a child of that
client, and in its process group. If it is killed, the connection breaks for all tasks and runs that
share it.
"""

from __future__ import annotations

import errno
import os
import stat
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Collection

    from ansible_collections.treekill.remote.plugins.module_utils._process.proc import ProcTable

#: Runs a client, and is none.
_WRAPPER = "sshpass"
_CLIENT = "ssh"

#: The end of the title that OpenSSH gives to a ControlMaster in the background.
MASTER_TITLE = b" [mux]"

#: Errors that show that a process is gone, or belongs to another user.
_NOT_OURS = (errno.ENOENT, errno.ESRCH, errno.EACCES, errno.EPERM)


class _Ends(t.NamedTuple):
    """The ends of pipes that a process has open."""

    read: set[str]
    written: set[str]

    def lead_to(self, other: _Ends) -> bool:
        """Whether one of the two reads what the other one writes."""
        return not (self.read.isdisjoint(other.written) and self.written.isdisjoint(other.read))


def shared_proxies(table: ProcTable, processes: Collection[int], leader: int = 0) -> set[int]:
    """Return those of these processes that a ControlMaster needs which is none of them.

    A proxy and its master read what the other one writes. A client of a master hands it its own
    descriptors, so that both read the same: it is no proxy.

    If the processes of this machine can't be read, each that may be a proxy counts as one.

    Args:
        table: of this machine.
        processes: pids of descendants of a process, or of a process group.
        leader: of that group. Then a proxy may be among them whose client is gone.
    """
    parents = {pid: process.ppid for pid in processes if (process := table.process(pid))}
    left = {
        # An orphan may be a client too, which has more pipes.
        pid: _ends_of(pid, () if parent in parents else ("0", "1"))
        for pid, parent in parents.items()
        if (table.program(parent) != _WRAPPER if parent in parents else leader not in (0, parent))
    }
    found = {pid for pid, ends in left.items() if ends is None}
    programs = {_CLIENT, *(table.program(parents[pid]) for pid in left)} - {""}
    pids = table.pids() if left else []
    if not pids:
        found.update(left)
    for pid in pids:
        if len(found) == len(left):
            break
        # The program first: to read the title of a process that hangs may take forever.
        if pid not in parents and table.program(pid) in programs and _is_master(table, pid):
            ends = _ends_of(pid)
            found |= {one for one, own in left.items() if ends is None or own and own.lead_to(ends)}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _is_master(table: ProcTable, pid: int) -> bool:
    try:
        return b"".join(table.arguments(pid)[:1]).endswith(MASTER_TITLE)
    except OSError:
        return True  # there is a shortage


def _ends_of(pid: int, descriptors: Collection[str] = ()) -> _Ends | None:
    """Return the ends of pipes that a process has, at these descriptors or at any.

    Return None if there is a shortage.

    There are none if it is gone, or belongs to another user. The mode of a link in /proc/PID/fd
    shows for what its file is open: see proc_pid_fd(5).
    """
    ends = _Ends(set(), set())
    folder = f"/proc/{pid}/fd"
    try:
        names = descriptors or os.listdir(folder)
    except OSError as error:
        return ends if error.errno in _NOT_OURS else None
    for name in names:
        try:
            link = os.readlink(f"{folder}/{name}")
            mode = os.lstat(f"{folder}/{name}").st_mode
        except OSError:
            continue  # it has just closed that one
        if link.startswith("pipe:"):
            if mode & stat.S_IRUSR:
                ends.read.add(link)
            if mode & stat.S_IWUSR:
                ends.written.add(link)
    return ends
