# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Who is at the other end of what a process writes: the same question that a supervisor asks about its own output, asked from outside.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later.
"""

import errno
import os
import select
import stat

from ansible_collections.treekill.remote.plugins.module_utils._survey.state import (
    NEUTRAL,
    NOBODY,
    SOMEBODY,
    UNREADABLE,
)

#: See admin-guide/devices.txt of the kernel: terminals of ssh, sudo and the like.
_PTS_MAJORS = range(136, 144)
_NULL_DEVICE = os.makedev(1, 3)


def reader_of(pid: int, descriptor: int) -> str:
    """nobody (a pipe without a reader, a terminal that was hung up), somebody, neutral (a file, /dev/null, closed), or unreadable.

    Takes the right to trace the process: its user, or root.
    """
    path = "/proc/%d/fd/%d" % (pid, descriptor)
    try:
        # O_PATH opens nothing: it pins what is there, so that nobody can put a device into its place.
        pinned = os.open(path, os.O_PATH)
    except FileNotFoundError:
        return NEUTRAL if os.path.isdir("/proc/%d/fd" % pid) else UNREADABLE
    except OSError:
        return UNREADABLE
    try:
        return _other_end(pinned)
    except OSError:
        return UNREADABLE
    finally:
        os.close(pinned)


def _other_end(pinned: int) -> str:
    found = os.fstat(pinned)
    if stat.S_ISREG(found.st_mode) or found.st_rdev == _NULL_DEVICE:
        return NEUTRAL
    path = "/proc/self/fd/%d" % pinned
    if stat.S_ISFIFO(found.st_mode) and os.readlink(path).startswith("pipe:"):
        return _asked(path, os.O_WRONLY)
    if stat.S_ISCHR(found.st_mode) and os.major(found.st_rdev) in _PTS_MAJORS:
        try:
            return _asked(path, os.O_RDWR)
        except OSError as error:
            return (
                NOBODY if error.errno == errno.EIO else UNREADABLE
            )  # EIO: the terminal's other side is closed
    return UNREADABLE


def _asked(path: str, way: int) -> str:
    """Opened for a moment, and not written to."""
    opened = os.open(path, way | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        poll = select.poll()
        poll.register(opened, 0)
        return (
            NOBODY
            if any(what & (select.POLLERR | select.POLLHUP) for dummy, what in poll.poll(0))
            else SOMEBODY
        )
    finally:
        os.close(opened)
