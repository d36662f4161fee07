# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The reader of a process's output: what is at the other end of its descriptors.

A supervisor asks the same about its own output. Here the question comes from another process.
"""

import errno
import os
import select
import stat

from ansible_collections.treekill.remote.plugins.module_utils._survey.state import (
    NEUTRAL,
    NO_READER,
    READER,
    UNREADABLE,
)

#: See admin-guide/devices.txt of the kernel: terminals of ssh, sudo and others.
_PTS_MAJORS = range(136, 144)
_NULL_DEVICE = os.makedev(1, 3)


def reader_of(pid: int, descriptor: int) -> str:
    """Return whether the output has a reader.

    NO_READER: a pipe without a reader, or a terminal that was hung up.
    READER: it has one.
    NEUTRAL: a file, /dev/null, or a closed descriptor.
    UNREADABLE: it can't be seen.

    This process needs the right to trace the other one: it runs as the same user, or as root.
    """
    path = "/proc/%d/fd/%d" % (pid, descriptor)
    try:
        # O_PATH opens nothing. It pins what is there, so that no other process can put a device in
        # its place.
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
            # EIO: the terminal's other side is closed
            return NO_READER if error.errno == errno.EIO else UNREADABLE
    return UNREADABLE


def _asked(path: str, way: int) -> str:
    """Open it for a moment without writing, and return whether it has a reader."""
    opened = os.open(path, way | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        poll = select.poll()
        poll.register(opened, 0)
        return (
            NO_READER
            if any(what & (select.POLLERR | select.POLLHUP) for dummy, what in poll.poll(0))
            else READER
        )
    finally:
        os.close(opened)
