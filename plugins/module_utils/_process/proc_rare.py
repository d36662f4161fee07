# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The parts of /proc that few hosts and few processes need.

They are: long files, processes whose first thread has ended, old kernels, and hidepid.
"""

import os

from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
    Process,
    ProcessId,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.shortage import SHORTAGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional

    from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
        Pipes,
        ProcessTable,
    )

#: Bytes of one read, and bytes after which reading ends. The kernel allows 6 MiB of arguments and
#: environment.
_CHUNK_BYTES = 1 << 16
_LONGEST_BYTES = 8 << 20


def read_on(descriptor: int, content: bytes) -> bytes:
    """Return what was read so far, and all that follows it."""
    parts = [content]
    total = len(content)
    while content and total < _LONGEST_BYTES:
        content = os.read(descriptor, _CHUNK_BYTES)
        parts.append(content)
        total += len(content)
    return b"".join(parts)


def thread_environment(mount: str, pid: int) -> bytes:
    """Return the environment of a process, read from its threads.

    A process whose first thread has ended shows none under its own number.
    """
    try:
        for thread in os.listdir("%s%d/task" % (mount, pid)):
            with open("%s%d/task/%s/environ" % (mount, pid, thread), "rb") as environ:
                content = environ.read(_LONGEST_BYTES)
            if content:
                return content
    except OSError as error:
        if error.errno in SHORTAGE:
            raise
        # It has ended or may not be read: there is no environment either way.
    return b""


def children_by_parent(table: "ProcessTable") -> "Dict[int, List[int]]":
    """Return the children of every process, for kernels that do not list them."""
    index: Dict[int, List[int]] = {}
    for pid in table.pids():
        process = table.process(pid)
        if process is not None:
            index.setdefault(process.ppid, []).append(pid)
    return index


def hidden_process(pid: int) -> "Optional[Process]":
    """Return a process that /proc hides, with start time 0 and parent 0; None if there is none.

    Without a start time it is never signalled, even if that is allowed. It can be reported as a
    survivor, and root can find it.
    """
    try:
        os.kill(pid, 0)
    except PermissionError:
        pass
    except (OSError, OverflowError):
        # OverflowError: a cookie may hold any number, also one that no process can have
        return None
    return Process(ProcessId(pid, 0), 0, "?", 1, "hidden")


def open_pipes(mount: str, pid: int) -> "Pipes":
    """Return the pipes that a process has open; none if it hides them or has ended.

    The mode of a link in /proc/PID/fd shows for what its file is open: see proc_pid_fd(5).
    """
    read, written, fed = set(), set(), set()
    terminal = False
    folder = "%s%d/fd/" % (mount, pid)
    for name in _or_nothing(os.listdir, folder):
        link = _or_nothing(os.readlink, folder + name)
        terminal = terminal or link.endswith("/ptmx")
        if link.startswith("pipe:"):
            status = _or_nothing(os.lstat, folder + name)
            mode = status.st_mode if status else 0
            if mode & 0o400:
                read.add(link)
                if name == "0":
                    fed.add(link)
            if mode & 0o200:
                written.add(link)
    return read, written, fed, terminal


def _or_nothing(call: "Callable[[str], Any]", path: str) -> "Any":
    """Return the result of a call; an empty text if the file is gone or may not be read."""
    try:
        return call(path)
    except OSError as error:
        if error.errno in SHORTAGE:
            raise
        return ""
