# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report that a host prints, and its conversion to a `KillReport`.

No host is trusted. Whatever it prints becomes a report of limited size, or an error.
"""

from __future__ import annotations

import dataclasses
import json
import math
import typing as t

from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.report_line import VERSION
from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import MARK
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.kill_report import (
    KillReport,
    ReportedProcess,
    merge,
)

#: Characters. A report of 30,000 processes has 16 million, and that of its supervisor as many. A
#: longer output was not written by a kill pass.
_MOST_OUTPUT_CHARACTERS = 32 * 1024 * 1024

#: Characters of one text in a report. A kill pass sends a few hundred.
_MOST_TEXT_CHARACTERS = 4096


class KillReportError(Exception):
    """The output of a kill pass has no report, or a broken one."""


class _OtherVersionError(ValueError):
    """A report of another version of the collection."""


def parse_report(text: str, nonce: str) -> KillReport:
    """Return the report in what a host printed, among banners and the output of a terminal.

    Raises KillReportError if there is no complete one. The error quotes nothing of the output: it
    is not masked yet.
    """
    mark = f"{MARK} {nonce} "
    if len(text) > _MOST_OUTPUT_CHARACTERS:
        raise KillReportError(
            f"{len(text)} characters of output from kill pass {nonce}: no report is that long"
        )
    at = text.rfind(mark)
    if at < 0:
        raise KillReportError(f"no report of kill pass {nonce} in {len(text)} characters of output")
    try:
        content, dummy = json.JSONDecoder().raw_decode(text, at + len(mark))
        return _to_report(content)
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        kind = (
            str(error)
            if isinstance(error, (json.JSONDecodeError, _OtherVersionError))
            else type(error).__name__
        )
        raise KillReportError(
            f"broken report of kill pass {nonce} at character {at} of {len(text)}: {kind}"
        ) from error


def _to_report(content: dict[str, t.Any]) -> KillReport:
    if content["version"] != VERSION:
        number = content["version"]
        version = number if isinstance(number, int) and number in range(1000) else "unknown"
        raise _OtherVersionError(f"version {version} instead of {VERSION}")
    root = content["root"]
    report = KillReport(
        method=_words(content["method"]),
        root=None if root is None else (int(root["pid"]), int(root["ppid"])),
        gone=tuple(_to_process(row) for row in content["gone"]),
        survivors=tuple(_to_process(row) for row in content["survivors"]),
        spared=tuple(_to_process(row) for row in content["spared"]),
        unreadable=int(content["unreadable"]),
        escalated=bool(content["escalated"]),
        supervised=bool(content.get("supervised")),
        seconds=_seconds(content["seconds"]),
        finishing=tuple(_to_process(row) for row in content.get("finishing", ())),
    )
    theirs = content.get("supervisor")
    return (
        report
        if theirs is None
        else _with_supervisors(dataclasses.replace(_to_report(theirs), supervised=True), report)
    )


def _with_supervisors(theirs: KillReport, own: KillReport) -> KillReport:
    """Return the report of a pass combined with that of the supervisor which it met.

    Any process of the tree can answer in the supervisor's place: the report of the pass wins.
    """
    alive = {process.identity for process in (*own.survivors, *own.finishing)}
    return merge(
        dataclasses.replace(
            theirs,
            gone=tuple(process for process in theirs.gone if process.identity not in alive),
        ),
        own,
    )


def _to_process(row: dict[str, t.Any]) -> ReportedProcess:
    """Return a process from a row. Each value is checked: the host is not trusted."""
    return ReportedProcess(
        pid=int(row["pid"]),
        start=int(row["start"]),
        ppid=int(row["ppid"]),
        user=_words(row["user"]),
        command=_words(row["command"]),
        role=_words(row["role"]),
        ended=None if row["ended"] is None else _words(row["ended"]),
        seconds=None if row["seconds"] is None else _seconds(row["seconds"]),
        reason=_words(row.get("reason", "")),
        transaction=_words(row.get("transaction", "")),
    )


def _words(value: object) -> str:
    return str(value)[:_MOST_TEXT_CHARACTERS]


def _seconds(value: t.Any) -> float:
    seconds = float(value)
    if not math.isfinite(seconds):
        raise ValueError(f"{value!r} is no time")
    return seconds
