# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Watches the end of the ssh session, since a program between may hold the output open.

A sudo that logs the output does so, and a forced command that records its session by `script`.
"""

import os

from ansible_collections.treekill.remote.plugins.module_utils._supervisor.libc import call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Tuple

#: Programs that serve one connection: of OpenSSH before 9.8 and from then on.
SERVERS = (b"sshd", b"sshd-session", b"dropbear")
#: See pidfd_open(2). Python has it from 3.9 on. The number is the same on all architectures but
#: alpha.
PIDFD_OPEN = 434


def session_end() -> "Optional[int]":
    """Return a descriptor that becomes readable when the nearest ssh server above has ended.

    Return None if there is no visible one.
    """
    pid = os.getppid()
    while pid > 1:
        found = identity(pid)
        if found is None:
            return None  # it has just ended, or is hidden: no conclusion is possible
        if found[0] in SERVERS:
            descriptor = call("syscall", PIDFD_OPEN, pid, 0)
            if descriptor is None or descriptor < 0:
                return None
            # Does the process still have the pid, now that there is a descriptor of it?
            if identity(pid) == found:
                return descriptor
            os.close(descriptor)
            return None
        pid = found[1]
    return None


def identity(pid: int) -> "Optional[Tuple[bytes, int, bytes, int]]":
    """Return name, parent, start time and terminal of a process. See proc_pid_stat(5).

    The terminal is the number of its device, and 0 if there is none.
    """
    try:
        with open("/proc/%d/stat" % pid, "rb") as stat:
            left, dummy, right = stat.read().rpartition(b") ")
    except OSError:
        return None
    field = right.split()
    return left.partition(b" (")[2], int(field[1]), field[19], int(field[4])
