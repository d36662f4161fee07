# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


"""The play of a run, and what it leaves on its hosts if it ends well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.integration.concurrency import workloads
from tests.integration.concurrency.workloads import Flavour
from tests.integration.grace import packages
from tests.support.hosts import Host
from tests.support.run.playing import Play
from tests.support.run.run import Run

from . import triggers
from .draw import Drawn, Step

Task = dict[str, Any]

_ITEMS = ("a", "b", "c")
_CONTENT = 100_000

_BECOME: dict[str, dict[str, Any]] = {
    "no": {},
    "root": {"become": True},
    "other": {"become": True, "become_user": "other"},
}

#: Seconds of the grace: a round has to be short.
KILL_TIMEOUT = 2


def play(drawn: Drawn, program: Path, parent: Path, *, collection: bool = True) -> Play:
    """Return it.

    `program`: ansible-playbook of its core. `parent`: where the directory of the run is made.
    `collection`: False for a control, in which nothing guards the run.
    """
    flavour = Flavour(
        drawn.become,
        pipelining=drawn.pipelining,
        more="sudo" if drawn.become == "no" else "",
    )
    tasks = [
        task for number, step in enumerate(drawn.steps, 1) for task in _tasks(step, number, flavour)
    ]
    # The words of the play's own ansible-playbook are dropped.
    of_core = ("/bin/sh", "-c", 'shift; exec "$0" "$@"', str(program))
    return Play(
        tasks,
        hosts=drawn.hosts,
        keywords={"strategy": drawn.strategy, **_BECOME[drawn.become]},
        variables={"ansible_shell_allow_world_readable_temp": True},
        options={
            "kill_timeout": KILL_TIMEOUT,
            "report_path": "report.json",
            "run_always": drawn.run_always,
        },
        sections={
            "defaults": {"log_path": "log.txt"},
            "ssh_connection": {"pipelining": drawn.pipelining},
        },
        files={"work.sh": workloads.script()},
        before=(*triggers.before(drawn.trigger), *of_core),
        parent=str(parent),
        collection=collection,
    )


def _tasks(step: Step, number: int, flavour: Flavour) -> list[Task]:
    if step.kind == "tree":
        return [workloads.work(number, step.lasts, flavour)]
    if step.kind == "async":
        return [workloads.work(number, step.lasts, flavour, **{"async": 600, "poll": 1})]
    if step.kind == "loop":
        return [
            {
                "name": f"Loop {number}",
                "ansible.builtin.command": f"touch /tmp/loop-{{{{ row }}}}-{number}-{{{{ item }}}}",
                "loop": list(_ITEMS),
            }
        ]
    if step.kind == "copy":
        return [
            {
                "name": f"Send {number}",
                "ansible.builtin.copy": {
                    "content": "x" * _CONTENT,
                    "dest": f"/tmp/sent-{{{{ row }}}}-{number}",
                    "mode": "0644",
                },
            }
        ]
    if step.kind == "always":
        after = {
            "name": f"Always {number}",
            "ansible.builtin.command": f"touch /tmp/always-{{{{ row }}}}-{number}",
        }
        return [
            {
                "name": f"Block {number}",
                "block": [workloads.work(number, step.lasts, flavour)],
                "always": [after],
            }
        ]
    assert step.kind == "package", step.kind
    return [
        {
            "name": f"Install {number}",
            "ansible.builtin.command": f"apt-get install --yes {packages.FILE}",
            "environment": {"DEBIAN_FRONTEND": "noninteractive"},
            "become": True,
            "become_user": "root",
        }
    ]


def missing(drawn: Drawn, run: Run, host: Host) -> list[str]:
    """Return what a run that ended well should have left on a host, and has not."""
    lacking, temporary = [], host.root / "tmp"
    worked = [
        str(number)
        for number, step in enumerate(drawn.steps, 1)
        if step.kind in ("tree", "async", "always")
    ]
    results = temporary / f"results-{run.row}"
    done = results.read_text().split() if results.exists() else []
    if done != worked:
        lacking.append(f"trees {worked}, and these have ended well: {done}")
    for number, step in enumerate(drawn.steps, 1):
        paths = {
            "loop": [f"loop-{run.row}-{number}-{item}" for item in _ITEMS],
            "copy": [f"sent-{run.row}-{number}"],
            "always": [f"always-{run.row}-{number}"],
            "package": [f"{packages.NAME}-finished"],
        }.get(step.kind, [])
        lacking += [path for path in paths if not (temporary / path).exists()]
    return lacking


def has_package(drawn: Drawn) -> bool:
    """Whether it installs the package."""
    return any(step.kind == "package" for step in drawn.steps)
