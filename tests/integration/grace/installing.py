# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run whose task installs something, and its interruption in the middle of that."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.coverage import covers
from tests.support.hosts import Host, Lab
from tests.support.run import controller
from tests.support.run.play import BECOME
from tests.support.run.playing import Play
from tests.support.run.run import Run
from tests.support.run.waiting import until
from tests.support.trees.table import rest
from tests.support.trees.triggers import (
    CUT_NETWORK,
    INT,
    KILL,
    LOST_CLIENT,
    LOST_CONTROLLER,
    TIMEOUT,
    Trigger,
)

from . import packages, tools

APT_GET = f"apt-get install --yes {packages.FILE}"
NEXT = "touch /tmp/next-{{ row }}"

#: How a task installs the package. What stands behind it must not be run.
WAYS: Mapping[str, Mapping[str, Any]] = {
    "apt-get": {"ansible.builtin.shell": f"{APT_GET}; {NEXT}"},
    "apt-get to a log": {
        "ansible.builtin.shell": f"{APT_GET} | tee /tmp/log-{{{{ row }}}}; {NEXT}"
    },
    "dpkg": {"ansible.builtin.command": f"dpkg --install {packages.FILE}"},
    "apt module": {"ansible.builtin.apt": {"deb": packages.FILE}},
    "raw": {"ansible.builtin.raw": f"{APT_GET}; {NEXT}"},
    "own sudo": {"ansible.builtin.shell": f"sudo -n {APT_GET}; {NEXT}"},
}


#: Columns of the table of what is covered. All other triggers are interrupts.
_COVERED = {
    KILL.name: "KILL of main",
    TIMEOUT.name: "timeout",
    **{one.name: "lost connection" for one in (LOST_CLIENT, LOST_CONTROLLER, CUT_NETWORK)},
}


@dataclass(frozen=True)
class Row:
    """One setting."""

    way: str = "apt-get"
    pipelining: bool = False
    become: str = "root, no password"
    trigger: Trigger = INT
    finish: bool = True

    @property
    def name(self) -> str:
        """The row in words."""
        return ", ".join(
            [
                self.way,
                "pipelining" if self.pipelining else "tty",
                *([] if self.become == "root, no password" else [self.become]),
                *([] if self.trigger is INT else [self.trigger.name]),
                *([] if self.finish else ["not finished"]),
            ]
        )

    @property
    def covered(self) -> list[pytest.MarkDecorator]:
        """The marks for the table of what is covered."""
        end = _COVERED.get(self.trigger.name, "interrupt")
        return [
            covers("Transactions", f"{self.way}, {'pipelining' if self.pipelining else 'tty'}", end)
        ]

    def play(self) -> Play:
        """Return the run of this row."""
        becoming = BECOME[self.become]
        task: dict[str, Any] = {
            "name": "Install",
            "environment": {"DEBIAN_FRONTEND": "noninteractive"},
            **{**WAYS, **tools.TASKS}[self.way],
        }
        if self.way == "raw":
            del task["environment"]
        if self.trigger is TIMEOUT:
            task = {
                "name": "Rescued",
                "block": [{**task, "timeout": 3600}],
                "rescue": [{"name": "Rescue", "ansible.builtin.debug": {}}],
            }
        return Play(
            [task],
            keywords=becoming.keywords or {},
            variables={
                "ansible_user": becoming.login,
                # The one that has the packages of Debian.
                "ansible_python_interpreter": "/usr/bin/python3",
                **(becoming.variables or {}),
            },
            options={"kill_timeout": 1, **({} if self.finish else {"finish": "false"})},
            sections={
                "ssh_connection": {
                    "pipelining": self.pipelining,
                    # A raw task has a terminal with pipelining too.
                    **({"usetty": not self.pipelining} if self.way == "raw" else {}),
                }
            },
            terminal=self.trigger.terminal,
            before=self.trigger.before,
        )


#: What the matrix does to its first host, done to the row's.
_FIRE: dict[str, Callable[[Run, Host], None]] = {
    TIMEOUT.name: lambda run, host: controller.worker_of(
        run.row, run.process.pid, host.address
    ).kill(signal.SIGALRM),
    CUT_NETWORK.name: lambda run, host: host.cut(),
    LOST_CLIENT.name: lambda run, host: controller.client_of(run.row, host.address).kill(),
}


def interrupt(
    run: Run,
    lab: Lab,
    host: Host,
    row: Row,
    has_begun: Callable[[Host], bool] = packages.has_begun,
) -> None:
    """Interrupt the run in the middle of the installation."""
    until(lambda: has_begun(host), 40, lambda: f"it has not begun\n{run.story}")
    _FIRE.get(row.trigger.name, lambda run, dummy: row.trigger.fire(run, lab))(run, host)
    if row.trigger is CUT_NETWORK:
        # Until its sshd has noticed that, nothing is interrupted.
        until(
            lambda: not host.processes("^sshd: ansible", system=True),
            30,
            lambda: f"sshd has not noticed the cut\n{run.story}",
        )
        packages.go_on(host)


def wait_for_the_end(run: Run, host: Host) -> None:
    """Wait until nothing of the tree is alive: nothing but the system of the host."""
    until(
        lambda: not packages.left(host),
        60,
        lambda: f"alive: {packages.left(host)}\n{run.story}",
    )


def each(rows: Sequence[Row], usual: Sequence[Row]) -> pytest.MarkDecorator:
    """Return the mark of a test of these rows. Those that are not usual need --every-row."""
    return pytest.mark.parametrize(
        "row",
        [
            pytest.param(row, id=row.name, marks=[*row.covered, *([] if row in usual else [rest])])
            for row in rows
        ],
    )


def has_gone_on(run: Run, host: Host) -> bool:
    """Whether the shell of the task has run what stands behind the installation."""
    return (host.root / f"tmp/next-{run.row}").exists()
