# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The report of a kill pass: what became of each process, as one line of ASCII.

The module json is not used: importing it takes longer than a whole kill pass.
"""

from ansible_collections.treekill.remote.plugins.module_utils._process.fast_signal import (
    host_signals,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.signaller import SIGKILL
from ansible_collections.treekill.remote.plugins.module_utils._tree.control import (
    SUPERVISOR,
    TrackedProcess,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Optional

    from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.report_types import (
        HostReport,
        ReportedRoot,
        ReportRow,
    )
    from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import (
        KillRequest,
    )
    from ansible_collections.treekill.remote.plugins.module_utils._process.model import Process
    from ansible_collections.treekill.remote.plugins.module_utils._tree.control import TreeControl

VERSION = 1
#: The reason why an ssh server below the tree is left alone.
LOGINS = "ssh server: its logins are left alone"


def report(control: "TreeControl", request: "KillRequest", began: float) -> "HostReport":
    """Return what became of each process, in types that JSON has.

    began: on the control's clock. All times in the report are seconds since then.
    """
    processes = list(control.processes.values())
    exempt = [TrackedProcess(process, "child") for process in control.search.exempt.values()]
    for tracked in exempt:
        tracked.describe(control.table, request.arguments)
        tracked.reason = LOGINS if tracked.process.id in control.search.logins else ""
    # A supervisor ends by itself. If one had to be killed, it may have been something else, and is
    # reported.
    processes = [
        tracked for tracked in processes if tracked.role != SUPERVISOR or tracked.sent == SIGKILL
    ]
    root: Optional[ReportedRoot] = None
    for tracked in reversed(processes):
        if tracked.role == "root":
            root = {"pid": tracked.process.id.pid, "ppid": tracked.process.ppid}
    return {
        "version": VERSION,
        "method": control.table.method,
        "root": root,
        "gone": _rows((tracked for tracked in processes if tracked.ended is not None), began),
        "survivors": _rows(
            (one for one in processes if one.ended is None and not one.finishes), began
        ),
        "finishing": _rows((one for one in processes if one.ended is None and one.finishes), began),
        "spared": _rows(exempt, began),
        "unreadable": control.search.unreadable,
        "escalated": bool(request.found),
        "supervised": any(tracked.role == SUPERVISOR for tracked in control.processes.values()),
        "seconds": round(control.clock() - began, 3),
    }


def _rows(processes: "Iterable[TrackedProcess]", began: float) -> "List[ReportRow]":
    rows = []
    for tracked in processes:
        role = "root" if tracked.role == "root" else "child"
        row = process_row(tracked.process, tracked.user, tracked.command, role)
        row["ended"] = row["seconds"] = None
        if tracked.ended is not None:
            row["ended"] = signal_name(tracked.sent) if tracked.sent else "exited"
            row["seconds"] = round(tracked.ended - began, 3)
        if tracked.reason:
            row["reason"] = tracked.reason
        if tracked.unfinished:
            row["transaction"] = "broken off"
        elif tracked.was_finishing and (tracked.ended is not None or tracked.finishes):
            row["transaction"] = "finished" if tracked.ended is not None else "finishing"
        rows.append(row)
    return rows


def process_row(process: "Process", user: "Optional[int]", command: str, role: str) -> "ReportRow":
    """Return the beginning of a row, which all reports and results have in common."""
    return {
        "pid": process.id.pid,
        "start": process.id.start,
        "ppid": process.ppid,
        "user": user_name(user),
        "command": command,
        "role": role,
    }


def signal_name(number: int) -> str:
    """Return TERM for 15; the number itself if the host has no name for it."""
    for name in ("SIGTERM", "SIGKILL", *dir(host_signals)):
        if name[:3] == "SIG" and name[3] != "_" and getattr(host_signals, name) == number:
            return name[3:]
    return str(number)


_names: "Dict[Optional[int], str]" = {None: ""}


def user_name(uid: "Optional[int]") -> str:
    """Return the name of a user; the number if it has no name."""
    if uid not in _names:
        try:
            import pwd

            _names[uid] = pwd.getpwuid(uid or 0).pw_name
        except (ImportError, KeyError):
            _names[uid] = str(uid)
    return _names[uid]


def to_json(value: "Any") -> str:
    """Return JSON in printable ASCII.

    It supports None, bool, int, float, str, list, and dict with str keys.
    """
    if isinstance(value, str):
        return '"' + "".join(map(_escape, value)) + '"'
    if isinstance(value, dict):
        return "{" + ",".join(to_json(key) + ":" + to_json(value[key]) for key in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(to_json, value)) + "]"
    return {"None": "null", "True": "true", "False": "false"}.get(repr(value), repr(value))


def _escape(char: str) -> str:
    if " " <= char <= "~" and char not in '"\\':
        return char
    code = ord(char)
    if code > 0xFFFF:
        return "\\u%04x\\u%04x" % (0xD7C0 + (code >> 10), 0xDC00 + (code & 0x3FF))
    return "\\u%04x" % code
