# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Watches the end of the ssh session itself, where become's program may hold our output: a sudo that logs it keeps its pipes open when the channel breaks.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later.
"""

import os

from ansible_collections.treekill.remote.plugins.module_utils._supervisor.libc import call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Tuple

#: What serves one connection: of OpenSSH before and from 9.8 on.
SERVERS = (b"sshd", b"sshd-session", b"dropbear")
#: See pidfd_open(2): Python has it from 3.9 on. The number is the same on all architectures but alpha, which has others everywhere.
PIDFD_OPEN = 434


def session_end() -> "Optional[int]":
    """A descriptor that is readable when the nearest ssh server above us has ended; None where there is none to be seen."""
    pid = os.getppid()
    while pid > 1:
        found = look(pid)
        if found is None:
            return None  # it has just ended, or is hidden: what we do not see says nothing
        if found[0] in SERVERS:
            descriptor = call("syscall", PIDFD_OPEN, pid, 0)
            if descriptor is None or descriptor < 0:
                return None
            # Who had the pid before we had its descriptor has it still?
            if look(pid) == found:
                return descriptor
            os.close(descriptor)
            return None
        pid = found[1]
    return None


def look(pid: int) -> "Optional[Tuple[bytes, int, bytes]]":
    """Name, parent and start time of a process. See proc_pid_stat(5)."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as stat:
            left, dummy, right = stat.read().rpartition(b") ")
    except OSError:
        return None
    field = right.split()
    return left.partition(b" (")[2], int(field[1]), field[19]
