# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program that has started this run and reads its output.

It is ansible-pull, ansible-runner, or a program that uses ansible-runner.

When such a program dies, ansible-playbook continues, though no process waits for it, and fails when
it next prints something. Therefore the end of the program is the end of the run. Shell, nohup, cron
and terminal are no launchers: users expect a run to outlive them.
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

#: ansible-runner sets this variable for the programs that it starts. Its own environment lacks it,
#: or has another value. Source: ansible_runner/config/_base.py, `prepare_env`.
_RUNNER = b"AWX_ISOLATED_DATA_DIR"

#: ansible-navigator uses ansible-runner as a library.
_NAVIGATOR = b"ansible-navigator"

#: Programs between ansible-runner and ansible-playbook. For a job with an ssh key, ansible-runner
#: starts `ssh-agent sh -c 'ssh-add ... && ansible-playbook ...'`.
_BETWEEN = (b"sh", b"ssh-agent")


@dataclasses.dataclass(frozen=True)
class Launcher:
    """The program and its process."""

    name: str
    process: ProcessId


def find(
    pid: int, environ: t.Mapping[bytes, bytes] = os.environb, table: ProcessTable | None = None
) -> Launcher | None:
    """Return the launcher of process `pid`, whose environment is given; None if it has none."""
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
        # A process that inherited the variable was not started by ansible-runner itself. It is for
        # example a playbook or a shell in a task of another job.
        if (
            not table.arguments(parent.pid)
            or os.path.basename(table.arguments(parent.pid)[0]) not in _BETWEEN
        ):
            return None
        parent = _parent(table, parent.pid)
    return None  # the process of another user, whose environment can't be read


def _parent(table: ProcessTable, pid: int) -> ProcessId | None:
    process = table.process(pid)
    parent = table.process(process.ppid) if process is not None and process.ppid > 1 else None
    return parent.id if parent is not None else None
