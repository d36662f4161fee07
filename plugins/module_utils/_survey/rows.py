# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Processes as modules tell of them: who they are, what they have used, and how deep in the tree they stand.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later.
"""

import os
import time

from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.report import user_name
from ansible_collections.treekill.remote.plugins.module_utils._process.masked_words import (
    mask_command,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.model import descendants
from ansible_collections.treekill.remote.plugins.module_utils._tree.control import (
    COMMAND_CHARACTERS,
    joined,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

    from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
        Process,
        ProcessTable,
    )
    from ansible_collections.treekill.remote.plugins.module_utils._survey.commands import (
        CommandTree,
    )


def command_line(process: "Process", table: "ProcessTable", arguments: bool) -> str:
    """What a process runs; its name alone, in brackets, where it shows no more or no more is wanted."""
    words = joined(table.arguments(process.id.pid)) if arguments else b""
    text = words[: 4 * COMMAND_CHARACTERS].decode("utf-8", "replace")
    # Masked before it is cut: half of a secret has no form any more by which it could be known.
    return (
        mask_command(text, len(words) > 4 * COMMAND_CHARACTERS)[:COMMAND_CHARACTERS]
        or "[%s]" % process.comm
    )


def resources_used(pid: int) -> "Tuple[Optional[float], Optional[int]]":
    """(seconds of processor time, bytes of resident memory) of a process; None where /proc does not tell. See proc_pid_stat(5)."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as stat:
            field = stat.read().rpartition(b") ")[2].split()
    except OSError:
        return None, None
    return (int(field[11]) + int(field[12])) / float(os.sysconf("SC_CLK_TCK")), int(
        field[21]
    ) * os.sysconf("SC_PAGE_SIZE")


def age(process: "Process", table: "ProcessTable") -> float:
    """Seconds since a process was started, 0 or more."""
    start, now = process.id.start, table.now()
    if table.method == "proc":
        return max((now - start) / float(os.sysconf("SC_CLK_TCK")), 0.0)
    # ps tells digits of date and time
    return max(
        time.mktime(time.strptime(str(now), "%Y%m%d%H%M%S"))
        - time.mktime(time.strptime(str(start), "%Y%m%d%H%M%S")),
        0.0,
    )


def age_of(tree: "CommandTree", table: "ProcessTable") -> float:
    """The age of a command: that of its oldest process."""
    return max(age(process, table) for process in tree.members)


def as_result(tree: "CommandTree", table: "ProcessTable", arguments: bool) -> "Dict[str, Any]":
    """A command in terms that JSON knows. arguments: whether command lines may be told, where they are no secret."""
    processes = [
        _row(process, depth, tree, table, arguments and not tree.secret)
        for process, depth in in_order(tree.members)
    ]
    root = tree.roots[0] if tree.roots else None
    cookies = sorted((cookie.root, cookie.ppid) for cookie in tree.cookies)
    named = (
        (root.id.pid, root.ppid) if root is not None else cookies[0] if cookies else (None, None)
    )
    return {
        "run": tree.run,
        "lease": tree.lease,
        "task": tree.task,
        "state": tree.state,
        "reason": tree.reason,
        "root": {
            "pid": named[0],
            "ppid": named[1],
            "start": root.id.start if root is not None else None,
            "alive": root is not None,
        },
        "supervised": tree.supervisor is not None,
        "users": sorted({row["user"] for row in processes}),
        "age": round(age_of(tree, table), 1),
        "cpu": _sum([row["cpu"] for row in processes]),
        "memory": _sum([row["memory"] for row in processes]),
        "spared": tree.spared,
        "processes": processes,
    }


def in_order(members: "List[Process]") -> "List[Tuple[Process, int]]":
    """(process, depth), each below its parent, as a tree is drawn. Who has no parent among them has depth 0."""
    by_pid = {process.id.pid: process for process in members}
    below: Dict[int, List[int]] = {}
    for process in members:
        below.setdefault(process.ppid if process.ppid in by_pid else 0, []).append(process.id.pid)
    depth = {0: -1}
    order: List[Tuple[Process, int]] = []
    stack = below.get(0, [])[::-1]
    while stack:
        pid = stack.pop()
        process = by_pid.pop(pid)
        depth[pid] = depth.get(process.ppid, -1) + 1
        order.append((process, depth[pid]))
        stack.extend(below.get(pid, [])[::-1])
    # A table that was torn while it was read may hold a circle.
    return order + [(process, 0) for process in by_pid.values()]


def process_and_descendants(process: "Process", table: "ProcessTable") -> "List[Process]":
    """A process and all that stands below it."""
    found = [
        table.process(pid)
        for pid in descendants([process.id.pid], table.children, lambda dummy: False)
    ]
    return [process, *(one for one in found if one is not None)]


def _row(
    process: "Process", depth: int, tree: "CommandTree", table: "ProcessTable", arguments: bool
) -> "Dict[str, Any]":
    cpu, memory = resources_used(process.id.pid)
    role = (
        "supervisor" if process is tree.supervisor else "root" if process in tree.roots else "child"
    )
    return {
        "pid": process.id.pid,
        "start": process.id.start,
        "ppid": process.ppid,
        "user": user_name(table.effective_uid(process.id.pid)),
        "command": command_line(process, table, arguments),
        "role": role,
        "depth": depth,
        "status": process.state,
        "age": round(age(process, table), 1),
        "cpu": cpu,
        "memory": memory,
    }


def _sum(numbers: "List[Any]") -> "Any":
    known = [number for number in numbers if number is not None]
    return round(sum(known), 2) if known else None
