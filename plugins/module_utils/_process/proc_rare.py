# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What of /proc only few hosts and few processes need: long files, first threads that have ended, old kernels, hidepid.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later.
"""

import os

from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
    Process,
    ProcessId,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.shortage import SHORTAGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional

    from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessTable

#: Bytes of one read, and those after which reading ends: the kernel allows 6 MiB of arguments and environment.
_CHUNK_BYTES = 1 << 16
_LONGEST_BYTES = 8 << 20


def read_on(descriptor: int, content: bytes) -> bytes:
    """What was read so far and all that follows it."""
    parts = [content]
    total = len(content)
    while content and total < _LONGEST_BYTES:
        content = os.read(descriptor, _CHUNK_BYTES)
        parts.append(content)
        total += len(content)
    return b"".join(parts)


def thread_environment(mount: str, pid: int) -> bytes:
    """The environment of a process by way of its threads: one whose first thread has ended shows none under its own number."""
    try:
        for thread in os.listdir("%s%d/task" % (mount, pid)):
            with open("%s%d/task/%s/environ" % (mount, pid, thread), "rb") as environ:
                content = environ.read(_LONGEST_BYTES)
            if content:
                return content
    except OSError as error:
        if error.errno in SHORTAGE:
            raise
        # Gone, or not ours to read: no environment either way.
    return b""


def children_by_parent(table: "ProcessTable") -> "Dict[int, List[int]]":
    """The children of every process, for kernels that do not list them."""
    index: Dict[int, List[int]] = {}
    for pid in table.pids():
        process = table.process(pid)
        if process is not None:
            index.setdefault(process.ppid, []).append(pid)
    return index


def hidden_process(pid: int) -> "Optional[Process]":
    """A process that /proc hides from us, with start time 0 and parent 0 for what we can't know; None if there is none.

    Without a start time it is never signalled, not even where that is allowed. It can be named as a survivor, and found by root.
    """
    try:
        os.kill(pid, 0)
    except PermissionError:
        pass
    except (OSError, OverflowError):
        return None  # OverflowError: a number that somebody has put into a cookie, and that no process can have
    return Process(ProcessId(pid, 0), 0, "?", 1, "hidden")
