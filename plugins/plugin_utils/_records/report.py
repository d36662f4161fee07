# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of an interrupted run as JSON, in the form that docs/report.schema.json publishes.

This file is private to the collection treekill.remote.
"""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import JsonObject

SCHEMA = "https://raw.githubusercontent.com/treekill/remote/main/docs/report.schema.json"

VERSION = 1


def content(head: t.Mapping[str, t.Any], report: JsonObject, complete: bool, interrupted: str | None, written: str) -> bytes:
    """The file's content.

    Args:
        head: of the run, as in the journal: began, user, controller, pid, program, playbooks, inventory.
        report: what the guardian tells the main process.
        complete: whether nothing more will come.
        interrupted: when the run was interrupted, in UTC; None if it was not, and commands did not return.
        written: now.
    """
    run = {"run": report["run"], "cause": report["cause"] or None, **head}
    times = {"interrupted": interrupted, "written": written, "complete": complete}
    unprotected = [{name: entry[name] for name in ("host", "connection", "reason")} for entry in report["unguarded"]]
    trees = [_tree(result) for result in report["results"]]
    whole = {"$schema": SCHEMA, "version": VERSION, **run, **times, "unprotected": unprotected, "trees": trees}
    # ASCII: what a host calls its processes may be no Unicode at all.
    return json.dumps(whole, indent=1).encode("ascii") + b"\n"


def _tree(result: JsonObject) -> dict[str, t.Any]:
    """One command of one task on one host."""
    tree: dict[str, t.Any] = {name: result[name] for name in ("host", "task", "lease", "outcome", "reason")}
    report = result["report"]
    if report is None:
        return {**tree, "report": None}
    processes = [_process(row, state) for name, state in (("gone", "gone"), ("survivors", "survived"), ("spared", "spared")) for row in report[name]]
    root = {"pid": report["root"][0], "ppid": report["root"][1]} if report["root"] else None
    told = {name: report[name] for name in ("method", "supervised", "escalated", "unreadable", "seconds")}
    return {**tree, "report": {"root": root, **told, "processes": processes}}


def _process(row: JsonObject, state: str) -> dict[str, t.Any]:
    named = {name: row[name] for name in ("pid", "start", "ppid", "user", "command", "role")}
    return {**named, "state": state, "ended": row["ended"], "seconds": row["seconds"], "reason": row.get("reason", "")}


def path_for(template: str, run: str) -> str:
    """Where the report of a run goes: C({run}) in the path stands for the run's id; a directory gets a file that is named by it.

    Raises:
        OSError: its directory is not there and can't be made.
    """
    path = template.replace("{run}", run)
    if template.endswith(os.sep) or os.path.isdir(path):
        path = os.path.join(path, f"treekill-{run}.json")
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    return path
