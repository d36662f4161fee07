# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The rows of processes in the results of modules: identity, resources, depth in the tree."""

import os
import time

from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.report_line import (
    process_row,
)
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
    """Return the command line of a process.

    Return its name in brackets if it shows no command line, or if arguments are not wanted.
    """
    words = joined(table.arguments(process.id.pid)) if arguments else b""
    text = words[: 4 * COMMAND_CHARACTERS].decode("utf-8", "replace")
    # Mask it before it is cut: half of a secret has no form by which it could be recognised.
    return (
        mask_command(text, len(words) > 4 * COMMAND_CHARACTERS)[:COMMAND_CHARACTERS]
        or "[%s]" % process.comm
    )


def resources_used(pid: int) -> "Tuple[Optional[float], Optional[int]]":
    """Return (seconds of processor time, bytes of resident memory) of a process.

    Both are None if /proc does not show them. See proc_pid_stat(5).
    """
    try:
        with open("/proc/%d/stat" % pid, "rb") as stat:
            field = stat.read().rpartition(b") ")[2].split()
    except OSError:
        return None, None
    return (int(field[11]) + int(field[12])) / float(os.sysconf("SC_CLK_TCK")), int(
        field[21]
    ) * os.sysconf("SC_PAGE_SIZE")


def age(process: "Process", table: "ProcessTable") -> float:
    """Return the seconds since a process was started, 0 or more."""
    start, now = process.id.start, table.now()
    if table.method == "proc":
        return max((now - start) / float(os.sysconf("SC_CLK_TCK")), 0.0)
    # start times of ps hold the digits of date and time
    return max(
        time.mktime(time.strptime(str(now), "%Y%m%d%H%M%S"))
        - time.mktime(time.strptime(str(start), "%Y%m%d%H%M%S")),
        0.0,
    )


def age_of(tree: "CommandTree", table: "ProcessTable") -> float:
    """Return the age of a command, which is that of its oldest process."""
    return max(age(process, table) for process in tree.members)


def as_result(tree: "CommandTree", table: "ProcessTable", arguments: bool) -> "Dict[str, Any]":
    """Return a command in types that JSON has.

    arguments: whether command lines may be shown, if they are not secret.
    """
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
    """Return (process, depth) for each, children below their parents, as a tree is drawn.

    A process without a parent among them has depth 0.
    """
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
    # The table changes while it is read, so parents may form a circle.
    return order + [(process, 0) for process in by_pid.values()]


def process_and_descendants(process: "Process", table: "ProcessTable") -> "List[Process]":
    """Return a process and all processes below it."""
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
    user = table.effective_uid(process.id.pid)
    return dict(
        process_row(process, user, command_line(process, table, arguments), role),
        depth=depth,
        status=process.state,
        age=round(age(process, table), 1),
        cpu=cpu,
        memory=memory,
    )


def _sum(numbers: "List[Any]") -> "Any":
    known = [number for number in numbers if number is not None]
    return round(sum(known), 2) if known else None
