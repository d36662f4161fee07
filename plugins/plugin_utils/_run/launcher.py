# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program that has started this run and reads what it says: ansible-pull, ansible-runner, or what is built on that.

This file is private to the collection treekill.remote.

When such a program dies, ansible-playbook goes on, with nobody who waits for it, until it next prints something and fails: so its end is the end of the run.
A shell, nohup, cron or a terminal is none of them: what they start is meant to outlive them.
"""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessId
from ansible_collections.treekill.remote.plugins.module_utils._process.proc import ProcTable

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessTable

_PULL = b"ansible-pull"

#: ansible-runner sets it for what it starts, and does not have it in its own environment, or with
#: another value. Source: ansible_runner/config/_base.py, `prepare_env`.
_RUNNER = b"AWX_ISOLATED_DATA_DIR"

#: It uses ansible-runner as a library.
_NAVIGATOR = b"ansible-navigator"

#: Where a job has an ssh key, ansible-runner starts `ssh-agent sh -c 'ssh-add ... &&
#: ansible-playbook ...'`.
_BETWEEN = (b"sh", b"ssh-agent")


@dataclasses.dataclass(frozen=True)
class Launcher:
    """Who that is."""

    name: str
    process: ProcessId


def find(
    pid: int, environ: t.Mapping[bytes, bytes] = os.environb, table: ProcessTable | None = None
) -> Launcher | None:
    """The front end that has started process `pid`, whose environment is given; None where nobody is known to be one."""
    table = ProcTable() if table is None else table
    parent = _parent(table, pid)
    if parent is None:
        return None
    if any(os.path.basename(word) == _PULL for word in table.arguments(parent.pid)[:3]):
        return Launcher("ansible-pull", parent)
    place = environ.get(_RUNNER)
    if place is None:
        return None
    while parent is not None and (environment := table.environment(parent.pid)):
        if _RUNNER + b"=" + place not in environment.split(b"\0"):
            navigator = any(
                os.path.basename(word) == _NAVIGATOR for word in table.arguments(parent.pid)[:3]
            )
            return Launcher("ansible-navigator" if navigator else "ansible-runner", parent)
        # What inherited it from another of its jobs, a playbook or a shell in a task for example, is not started by ansible-runner.
        if (
            not table.arguments(parent.pid)
            or os.path.basename(table.arguments(parent.pid)[0]) not in _BETWEEN
        ):
            return None
        parent = _parent(table, parent.pid)
    return None  # another user's process, of which nothing can be told


def _parent(table: ProcessTable, pid: int) -> ProcessId | None:
    process = table.process(pid)
    parent = table.process(process.ppid) if process is not None and process.ppid > 1 else None
    return parent.id if parent is not None else None
