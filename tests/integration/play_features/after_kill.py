# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs that have something to do after the kill.

It has their files, and what they have left behind where they ran.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.hosts import Host
from tests.support.run import tasks
from tests.support.run.playing import Play
from tests.support.run.run import Run
from tests.support.run.waiting import until

Task = dict[str, Any]

#: It leaves on its host the variables that it got, and what of the tree was alive.
TELL: Task = {
    "name": "Tell",
    "ansible.builtin.shell": {
        "cmd": (
            "{ echo {{ treekill_run }}; echo {{ treekill_cause }}; printf '%s\\n' \"$TASK\"; "
            "pgrep -fc ^tk-.*{{ row }}; } >> /tmp/after-{{ row }}"
        ),
    },
    "environment": {"TASK": "{{ treekill_task }}"},
    "ignore_errors": True,
}

#: Seconds from the end of the tree to that of the run after it, on a machine with two busy cores.
SECONDS = 40.0


def play(after: Sequence[Task], **more: Any) -> Play:
    """Return a run with a tree, and with these tasks after the kill."""
    options = {"kill_timeout": 1, "after_kill": "after.yml", **more.pop("options", {})}
    files: Mapping[str, str] = {"after.yml": json.dumps(list(after)), **more.pop("files", {})}
    return Play(more.pop("tasks", [tasks.grow()]), options=options, files=files, **more)


def told(run: Run, host: Host) -> list[str]:
    """Return the lines that `TELL` has written there.

    They are id and cause of the run, name of the task, number of processes; nothing if it has not
    run.
    """
    path = host.root / f"tmp/after-{run.row}"
    return path.read_text().splitlines() if path.exists() else []


def wait_until_told(run: Run, host: Host) -> list[str]:
    return until(
        lambda: told(run, host)[3:] and told(run, host),
        SECONDS,
        lambda: f"nothing was run on {host.name}\n{run.story}",
    )
