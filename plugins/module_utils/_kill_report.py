# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The report of a kill pass: what became of each process, as one line of ASCII.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later.
The json module is not used: importing it takes longer than a whole kill pass.
"""

from ansible_collections.treekill.remote.plugins.module_utils._signals import signal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, Optional

    from ansible_collections.treekill.remote.plugins.module_utils._process_table import Process, ProcTable

MARK = "TREEKILL-REPORT"
VERSION = 1
# Characters of a command line that are reported: enough to recognise it, little enough for 500 of them in one line.
COMMAND_LENGTH = 240


class Fate:
    """A process of the tree and what became of it.

    sent: the last signal that it got, 0 for none (stop and continue do not count). ended: seconds after the pass began, None while it lives.
    reason: why it is still there. denied: whether we were not allowed to signal it.
    """

    __slots__ = ("process", "role", "user", "command", "sent", "ended", "reason", "denied", "late")

    def __init__(self, process: "Process", role: "str") -> "None":
        self.process = process
        self.role = role
        self.user = None  # type: Optional[int]
        self.command = ""
        self.sent = 0
        self.ended = None  # type: Optional[float]
        self.reason = ""
        self.denied = False
        self.late = False

    def describe(self, table: "ProcTable", arguments: "bool") -> "None":
        """Note user and command line, while the process still has them."""
        process = self.process
        self.user = table.user(process.id.pid)
        words = table.arguments(process.id.pid) if arguments else []
        if words:
            self.command = b" ".join(words)[: 4 * COMMAND_LENGTH].decode("utf-8", "replace")[:COMMAND_LENGTH]
        elif arguments:
            self.command = "[" + process.comm + "]"
        else:
            self.command = process.comm

    def row(self, names: "Dict[Optional[int], str]") -> "Dict[str, Any]":
        process = self.process
        if self.user not in names:
            names[self.user] = user_name(self.user)
        row = {
            "pid": process.id.pid,
            "start": process.id.start,
            "ppid": process.ppid,
            "user": names[self.user],
            "command": self.command,
            "role": self.role,
            "ended": None if self.ended is None else signal_name(self.sent) if self.sent else "exited",
            "seconds": None if self.ended is None else round(self.ended, 3),
        }  # type: Dict[str, Any]
        if self.reason:
            row["reason"] = self.reason
        return row


def user_name(uid: "Optional[int]") -> "str":
    """The name of a user, or the number where it has none."""
    if uid is None:
        return ""
    try:
        import pwd

        return pwd.getpwuid(uid).pw_name
    except (ImportError, KeyError):
        return str(uid)


def report(
    method: "str", fates: "Iterable[Fate]", spares: "Iterable[Fate]", unreadable: "int", escalated: "bool", seconds: "float"
) -> "Dict[str, Any]":
    """The report of a pass, in terms that JSON knows."""
    names = {}  # type: Dict[Optional[int], str]
    fates = list(fates)
    root = None
    for fate in fates:
        if fate.role == "root":
            root = {"pid": fate.process.id.pid, "ppid": fate.process.ppid}
            break
    return {
        "version": VERSION,
        "method": method,
        "root": root,
        "gone": [fate.row(names) for fate in fates if fate.ended is not None],
        "survivors": [fate.row(names) for fate in fates if fate.ended is None],
        "spared": [fate.row(names) for fate in spares],
        "unreadable": unreadable,
        "escalated": escalated,
        "seconds": round(seconds, 3),
    }


def report_line(nonce: "str", content: "Dict[str, Any]") -> "str":
    """C(TREEKILL-REPORT <nonce> <json>), without the end of line."""
    return "%s %s %s" % (MARK, nonce, to_json(content))


def to_json(value: "Any") -> "str":
    """JSON in printable ASCII only. Knows None, bool, int, float, str, list and dict with str keys."""
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        return '"' + "".join(map(_escape, value)) + '"'
    if isinstance(value, dict):
        return "{" + ",".join(to_json(key) + ":" + to_json(value[key]) for key in value) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(to_json, value)) + "]"
    return repr(value)


def _escape(char: "str") -> "str":
    code = ord(char)
    if code < 32 or code > 126 or char in '"\\':
        if code > 0xFFFF:
            code -= 0x10000
            return "\\u%04x\\u%04x" % (0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF))
        return "\\u%04x" % code
    return char
