# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""By what a supervisor is known: what ps shows of it.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List

SUPERVISOR_TITLE = "treekill: supervisor"
ENDING_TITLE = "treekill: ending the tree"


def is_supervisor(arguments: "List[bytes]") -> "bool":
    """Whether a command line is that of a supervisor. Anybody can write that: see TreeControl for what else is asked."""
    return bool(arguments) and arguments[0].startswith(SUPERVISOR_TITLE.encode())


def names_its_lease(arguments: "List[bytes]", environment: "bytes") -> "bool":
    """Whether a supervisor's title names the run and the lease of the cookie that it carries."""
    title = arguments[0][len(SUPERVISOR_TITLE) :]
    # " of run 0123456789abcdef, lease 89abcdef", see Supervisor.watch()
    cookie = b"\0TREEKILL=%s/%s/" % (title[8:24], title[32:40])
    return title[:8] == b" of run " and title[24:32] == b", lease " and cookie in b"\0" + environment


def set_title(text: "bytes", environment: "bool" = False) -> "None":
    """Show this text as our command line, where the old one stood; with environment, show no environment any more.

    The new one is cut where the old one ended. Where the kernel does not let us, everything stays as it was.
    """
    try:
        with open("/proc/self/stat", "rb") as stat:
            # proc_pid_stat(5): arg_start, arg_end, env_start and env_end are numbers 48 to 51, counted from 1 at the pid
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


def overwrite(memory: "int", start: "int", end: "int", text: "bytes") -> "None":
    """Fill that part of our memory with a text and NULs behind it."""
    size = end - start
    if size > 1:
        os.pwrite(memory, text[: size - 1].ljust(size, b"\0"), start)
