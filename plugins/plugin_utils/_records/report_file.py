# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of an interrupted run as JSON, in the form that docs/report.schema.json publishes."""

from __future__ import annotations

import json
import os

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import JsonObject
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.kill_report import (
    ReportedProcess,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import ReportedLease
from ansible_collections.treekill.remote.plugins.plugin_utils._records.journal_records import (
    RunHead,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._records.writer_orders import (
    ReportOrder,
)

SCHEMA = "https://raw.githubusercontent.com/treekill/remote/main/docs/report.schema.json"

#: Grows if a reader of older reports could not read newer ones.
VERSION = 1

#: Grows with each release that adds a key, or a value that a key may have. Not in reports of 1.0.0.
MINOR = 1


def content(head: RunHead, order: ReportOrder) -> bytes:
    """Return the content of the file."""
    report = order.report
    run = {"run": report.run, "cause": report.cause or None, **head.to_message()}
    times = {"interrupted": order.interrupted, "written": order.written, "complete": order.complete}
    unprotected = [entry.to_message() for entry in report.unguarded]
    trees = [_tree(result) for result in report.results]
    whole = {
        "$schema": SCHEMA,
        "version": VERSION,
        "minor": MINOR,
        **run,
        **times,
        "unprotected": unprotected,
        **({"always": [entry.to_message() for entry in report.always]} if report.always else {}),
        "trees": trees,
    }
    # ASCII, because process names on a host may be no Unicode.
    return json.dumps(whole, indent=1).encode("ascii") + b"\n"


def _tree(lease: ReportedLease) -> JsonObject:
    """Return one command of one task on one host."""
    tree = {
        "host": lease.host,
        "task": lease.task,
        "lease": lease.lease,
        "outcome": lease.outcome.value,
        "reason": lease.reason,
    }
    report = lease.report
    if report is None:
        return {**tree, "report": None}
    rows = [
        (row, state)
        for rows, state in (
            (report.gone, "gone"),
            (report.survivors, "survived"),
            (report.spared, "spared"),
            (report.finishing, "finishing"),
        )
        for row in rows
    ]
    return {
        **tree,
        "report": {
            "root": {"pid": report.root[0], "ppid": report.root[1]} if report.root else None,
            "method": report.method,
            "supervised": report.supervised,
            "escalated": report.escalated,
            "unreadable": report.unreadable,
            "seconds": report.seconds,
            "processes": [_process(row, state) for row, state in rows],
            "elsewhere": [one.to_message() for one in report.elsewhere],
        },
    }


def _process(row: ReportedProcess, state: str) -> JsonObject:
    return {
        "pid": row.pid,
        "start": row.start,
        "ppid": row.ppid,
        "user": row.user,
        "command": row.command,
        "role": row.role,
        "state": state,
        "ended": row.ended,
        "seconds": row.seconds,
        "reason": row.reason,
        **({"transaction": row.transaction} if row.transaction else {}),
    }


def path_for(template: str, run: str) -> str:
    """Return the path of a run's report.

    In the template, C({run}) stands for the run's id. If the template is a directory, the id is the
    name of the file in it.

    Raises:
        OSError: its directory is missing, and can't be made.
    """
    path = template.replace("{run}", run)
    if template.endswith(os.sep) or os.path.isdir(path):
        path = os.path.join(path, f"treekill-{run}.json")
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    return path
