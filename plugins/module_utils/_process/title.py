# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The title of this process: its command line and environment, overwritten in place."""

import os

#: The beginning of a supervisor's title. It is here because each supervisor needs it, and most
#: need nothing of _lease.
SUPERVISOR_TITLE = "treekill: supervisor"
#: The beginning of a pulse's title.
PULSE_TITLE = "treekill: pulse"


def set_title(text: bytes, environment: bool = False) -> None:
    """Show this text as the command line of this process, in place of the old one.

    The text is cut at the end of the old command line. If the kernel does not allow it, nothing
    changes.

    environment: whether the environment is to be hidden as well.
    """
    try:
        with open("/proc/self/stat", "rb") as stat:
            # proc_pid_stat(5): arg_start, arg_end, env_start and env_end are numbers 48 to 51,
            # counted from 1 at the pid.
            ends = [int(field) for field in stat.read().rpartition(b") ")[2].split()[45:49]]
        memory = os.open("/proc/self/mem", os.O_WRONLY)
    except (OSError, ValueError):
        return
    try:
        overwrite(memory, ends[0], ends[1], text)
        if environment:
            overwrite(memory, ends[2], ends[3], b"")
    except (OSError, IndexError, OverflowError):
        pass
    finally:
        os.close(memory)


def overwrite(memory: int, start: int, end: int, text: bytes) -> None:
    """Fill that part of this process's memory with a text, and with NULs behind it."""
    size = end - start
    if size > 1:
        os.pwrite(memory, text[: size - 1].ljust(size, b"\0"), start)
